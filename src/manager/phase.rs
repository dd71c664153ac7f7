//! Phases of long calls.

use std::fmt;

/// What a long call is doing while it reports its progress: bytes done, and total bytes, which are 0 if
/// unknown or while the phase waits for something.
///
/// `Display` gives readable text: `hashing contents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// SQLite checks its pages, and the invariants are checked row by row.
    CheckingRows,
    /// Contents are read and hashed.
    Hashing,
    /// Violations are repaired, and the corrections committed.
    Repairing,
    /// Pages, or the objects of a heap, are copied.
    Copying,
    /// A copy is compared with its original.
    Comparing,
    /// The call waits for another writer.
    Waiting,
    /// Contents are stored.
    Storing,
    /// Written data is synced to the disk.
    Syncing,
    /// Pieces are moved; counts bytes of content.
    Compacting,
    /// A plan is carried out; counts its slices, not bytes.
    Applying,
    /// Rows of empty blocks, pools and arenas are removed; counts rows, not bytes.
    RemovingRows,
    /// Free pages are removed from the end of the file.
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
            Self::Comparing => "comparing",
            Self::Waiting => "waiting for its turn",
            Self::Storing => "storing",
            Self::Syncing => "writing to disk",
            Self::Compacting => "moving pieces",
            Self::Applying => "carrying the plan out",
            Self::RemovingRows => "removing empty rows",
            Self::Shrinking => "giving pages back",
            Self::EmptyingLog => "emptying the log",
        })
    }
}
