//! The settings of connections, wherever the heap is.

use std::time::Duration;

use super::deadline::Deadline;
use super::sqlite::open_files::FileId;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Power loss: one fsync per commit, shared by writers that wait at the same time. The default. On a
    /// server it is `synchronous_commit = on`.
    #[default]
    Full,
    /// A crash of the program. Power loss may take the newest commits, but never damages the file. On a
    /// server it is `synchronous_commit = off`, and `local` on Citus, whose moves would lose more.
    Normal,
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What distinguishes open heaps from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum HeapId {
    File(FileId),
    /// A digest of the address without passwords. A heap that is also opened by another address counts
    /// as a different one.
    #[cfg(feature = "postgres")]
    Server(u64),
}

/// The settings of a heap's connections, wherever it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Settings {
    pub durability: Durability,
    pub busy_timeout: Duration,
    /// How long a read may take; `None` for any time.
    pub max_snapshot_age: Option<Duration>,
    /// The deadline of the call that opens the heap, so that all its connections together wait no
    /// longer than `busy_timeout`.
    pub opening: Option<Deadline>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            busy_timeout: Self::BUSY_TIMEOUT,
            max_snapshot_age: None,
            opening: None,
        }
    }
}

impl Settings {
    /// The default busy timeout.
    pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

    /// The deadline of a call that begins now, or of the one that is opening the heap.
    pub fn deadline(&self) -> Deadline {
        self.opening.unwrap_or_else(|| Deadline::after(self.busy_timeout))
    }
}
