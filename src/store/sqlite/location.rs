//! The location of a heap file, and how to connect to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::ceiling::OnDisk;
use super::open_files::OpenFile;
use super::path::locate;
use crate::error::Result;
use crate::store::deadline::Deadline;
use crate::store::location::{Durability, HeapId};

/// The location of a heap file, and the settings of its connections.
#[derive(Debug, Clone)]
pub(crate) struct FileLocation {
    /// The path that [`locate`] found.
    pub(in crate::store) path: PathBuf,
    /// The path as the user gave it, for messages.
    pub(in crate::store) named: PathBuf,
    pub(in crate::store) durability: Durability,
    /// Connections that write use SQLite's own file system (see `sqlite::vfs`).
    pub(in crate::store) plain_io: bool,
    pub(in crate::store) busy_timeout: Duration,
    /// Bytes of write-ahead log at which no further transaction begins (see `sqlite::log_limit`).
    pub(in crate::store) log_limit: u64,
    /// How long a read may take; `None` for any time.
    pub(in crate::store) max_snapshot_age: Option<Duration>,
    /// The deadline of the call that opens the heap, so that all its connections together wait no
    /// longer than `busy_timeout`.
    pub(in crate::store) opening: Option<Deadline>,
    /// The opened file, once it is known.
    pub(in crate::store) file: Option<Arc<OpenFile>>,
}

impl FileLocation {
    /// The default busy timeout.
    pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

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
            durability: Durability::default(),
            plain_io: false,
            busy_timeout: Self::BUSY_TIMEOUT,
            log_limit: Self::LOG_LIMIT,
            max_snapshot_age: None,
            opening: None,
            file: None,
        })
    }

    /// The same heap for a call that opens it with these options, with the deadline `opening`.
    pub fn for_opening(self, durability: Durability, busy_timeout: Duration, opening: Deadline) -> Self {
        Self {
            durability,
            busy_timeout,
            opening: Some(opening),
            ..self
        }
    }

    /// The same heap, written with SQLite's own file system or not.
    pub fn with_plain_io(self, plain_io: bool) -> Self {
        Self { plain_io, ..self }
    }

    /// The same heap, whose reads may take this long.
    pub fn with_max_snapshot_age(self, max_snapshot_age: Option<Duration>) -> Self {
        Self {
            max_snapshot_age,
            ..self
        }
    }

    /// The absolute path, with links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lengths of the files.
    pub fn on_disk(&self) -> OnDisk {
        OnDisk::of(&self.path)
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
        self.opening.unwrap_or_else(|| Deadline::after(self.busy_timeout))
    }
}
