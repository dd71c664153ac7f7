//! The location of a heap file, and how to connect to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ceiling::OnDisk;
use super::open_files::OpenFile;
use super::path::locate;
use crate::error::Result;
use crate::store::deadline::Deadline;
use crate::store::settings::{HeapId, Settings};

/// The location of a heap file, and the settings of its connections.
#[derive(Debug, Clone)]
pub(crate) struct FileLocation {
    /// The path that [`locate`] found.
    pub(in crate::store) path: PathBuf,
    /// The path as the user gave it, for messages.
    pub(in crate::store) named: PathBuf,
    pub(in crate::store) settings: Settings,
    /// Connections that write use SQLite's own file system (see `sqlite::vfs`).
    pub(in crate::store) plain_io: bool,
    /// Bytes of write-ahead log at which no further transaction begins (see `sqlite::log_limit`).
    pub(in crate::store) log_limit: u64,
    /// The opened file, once it is known.
    pub(in crate::store) file: Option<Arc<OpenFile>>,
}

impl FileLocation {
    /// The default limit of the write-ahead log, in bytes. A log is copied into the file when a
    /// quarter of it is new, and starts again at a half: with 16 and 32 MiB, copying takes little of
    /// the time of small puts, whose log has mostly the same pages again (see `sqlite::checkpoint`).
    /// The other half leaves room for readers that end a moment later. A longer log would only cost
    /// disk and the time to read it after a crash.
    pub const LOG_LIMIT: u64 = 64 * 1024 * 1024;

    /// The heap at a path, which need not exist.
    ///
    /// # Errors
    /// [`crate::Error::Io`] for an unusable path.
    pub fn at(path: &Path) -> Result<Self> {
        Ok(Self {
            path: locate(path)?,
            named: path.to_owned(),
            settings: Settings::default(),
            plain_io: false,
            log_limit: Self::LOG_LIMIT,
            file: None,
        })
    }

    /// The same heap, written with SQLite's own file system or not.
    pub fn with_plain_io(self, plain_io: bool) -> Self {
        Self { plain_io, ..self }
    }

    /// The absolute path, with links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lengths of the files.
    pub fn on_disk(&self) -> OnDisk {
        OnDisk::of(&self.path)
    }

    /// Bytes that are free on its disk for this user.
    #[cfg(unix)]
    pub fn free_on_disk(&self) -> Option<u64> {
        // Some file systems in memory, or in user space, have no size.
        let disk = rustix::fs::statvfs(&self.path).ok().filter(|disk| disk.f_blocks > 0)?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }

    #[cfg(not(unix))]
    pub fn free_on_disk(&self) -> Option<u64> {
        None
    }

    /// The path as the user gave it, for messages.
    pub fn named(&self) -> &Path {
        &self.named
    }

    /// Which heap it is, for this process.
    pub(in crate::store) fn heap_id(&self) -> Option<HeapId> {
        self.file.as_deref().map(|file| HeapId::File(file.id()))
    }

    /// The deadline of a call that begins now, or of the one that is opening the heap.
    pub fn deadline(&self) -> Deadline {
        self.settings.deadline()
    }
}
