//! Where a heap is, and how it is used there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::deadline::Deadline;
use super::sqlite::open_files::OpenFile;
use super::sqlite::path::locate;
use crate::error::Result;

/// When a commit is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A commit survives power loss: one fsync for each commit, shared by the writers
    /// that wait at the same time. The default.
    #[default]
    Full,
    /// A commit survives a crash of the program. Power loss may take the newest
    /// commits, and never damages the file.
    Normal,
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Where a heap is, and how connections to it are set up.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// As [`locate`] found it.
    pub(in crate::store) path: PathBuf,
    /// As the user spelled it, for messages.
    pub(in crate::store) named: PathBuf,
    pub(in crate::store) durability: Durability,
    /// Connections that write use SQLite's own file system (see `sqlite::vfs`).
    pub(in crate::store) plain_io: bool,
    pub(in crate::store) busy_timeout: Duration,
    /// Of the call that opens the heap, until it is open: all its connections wait for no
    /// longer together than `busy_timeout`.
    pub(in crate::store) opening: Option<Deadline>,
    /// The file that was opened, once it is known.
    pub(in crate::store) file: Option<Arc<OpenFile>>,
}

impl Location {
    /// How long a call waits for others unless somebody says otherwise.
    pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

    /// The heap at a path, which need not be there.
    ///
    /// # Errors
    /// [`crate::Error::Io`] for what cannot be the path of a heap.
    pub fn at(path: &Path) -> Result<Self> {
        Ok(Self {
            path: locate(path)?,
            named: path.to_owned(),
            durability: Durability::default(),
            plain_io: false,
            busy_timeout: Self::BUSY_TIMEOUT,
            opening: None,
            file: None,
        })
    }

    /// The same heap for a call that opens it with these options, and has until `opening` to
    /// do so.
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

    /// The absolute path, where links lead.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as the user spelled it, for messages.
    pub fn named(&self) -> &Path {
        &self.named
    }

    /// Until when a call may wait that begins now, or has begun to open the heap.
    pub fn deadline(&self) -> Deadline {
        self.opening.unwrap_or_else(|| Deadline::after(self.busy_timeout))
    }
}
