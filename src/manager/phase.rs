//! What a long call is at.

use std::fmt;

/// What a long call is doing while it reports its progress: bytes done, and bytes in all,
/// which is 0 where it is not known or where the phase waits for something.
///
/// Shown as people read it: `hashing contents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// SQLite checks its pages, and the invariants are checked row by row.
    CheckingRows,
    /// Contents are read and hashed.
    Hashing,
    /// What is wrong is repaired, and committed.
    Repairing,
    /// Pages are copied.
    Copying,
    /// Another writer is waited for.
    Waiting,
    /// Contents are stored.
    Storing,
    /// What was written is forced to the disk.
    Syncing,
    /// Rows of empty blocks, pools and arenas are removed: how many, not bytes.
    RemovingRows,
    /// Free pages are taken off the end of the file.
    Shrinking,
    /// The write-ahead log is copied into the file and emptied.
    EmptyingLog,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CheckingRows => "checking rows",
            Self::Hashing => "hashing contents",
            Self::Repairing => "repairing and committing",
            Self::Copying => "copying",
            Self::Waiting => "waiting for its turn",
            Self::Storing => "storing",
            Self::Syncing => "writing to disk",
            Self::RemovingRows => "removing empty rows",
            Self::Shrinking => "giving pages back",
            Self::EmptyingLog => "emptying the log",
        })
    }
}
