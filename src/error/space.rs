//! What can go wrong with a space: others may have ended it, or it is not made for what is asked.

use std::path::PathBuf;

use crate::models::{Policy, Timestamp};

/// Why a space, or the file that it is in, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// It was dropped, and nothing is left of it.
    #[error("space {space:?} was dropped at {at:.0}")]
    Dropped {
        /// Its name.
        space: String,
        /// When it was dropped.
        at: Timestamp,
    },
    /// It is being dropped, or that was interrupted. What is left of it can only be read.
    #[error("the drop of space {space:?} began at {at:.0} and is not complete")]
    BeingDropped {
        /// Its name.
        space: String,
        /// Since when.
        at: Timestamp,
    },
    /// It evicts nothing, and no policy was named.
    #[error("space {space:?} evicts nothing; what does not fit is refused")]
    EvictsNothing {
        /// Its name.
        space: String,
    },
    /// The policy goes by use, but the space has another one, so the use that it goes by was not noted.
    #[error("space {space:?} does not evict by {policy}, so nobody has noted the use of its objects for it")]
    UseUnknown {
        /// The name of the space.
        space: String,
        /// The policy.
        policy: Policy,
    },
    /// The file exists with another ceiling than it was to be opened with. Opening never changes it.
    #[error("the ceiling of the file is {}, not {wanted}: {}", ceiling(*max_file), path.display())]
    OtherCeiling {
        /// The file.
        path: PathBuf,
        /// The ceiling that it has, in bytes, if any.
        max_file: Option<u64>,
        /// The one asked for, in bytes.
        wanted: u64,
    },
}

fn ceiling(max_file: Option<u64>) -> String {
    max_file.map_or("none".to_owned(), |bytes| format!("{bytes} bytes"))
}

impl SpaceError {
    /// What to do about it in terms of library calls.
    pub(super) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Dropped { .. } => None,
            Self::EvictsNothing { .. } => {
                Some("MemManager::set_eviction lets it evict, and EvictOptions::policy names a policy for one call")
            }
            Self::UseUnknown { .. } => {
                Some("use Policy::Largest or Policy::Oldest, or set it with MemManager::set_eviction")
            }
            Self::BeingDropped { .. } => Some("MemManager::drop_space removes the rest"),
            Self::OtherCeiling { .. } => {
                Some("open it without Options::max_file, or change it with MemManager::set_max_file")
            }
        }
    }
}
