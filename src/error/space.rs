//! What can go wrong with a space: others may have ended it, or it is not made for what is asked.

use crate::models::{Policy, Timestamp};

/// Why a space cannot be used.
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
    /// A policy goes by use, but that of the space is another one, so nobody has noted what that policy has to know.
    #[error("space {space:?} does not evict by {policy}, so nobody has noted the use of its objects for it")]
    UseUnknown {
        /// The name of the space.
        space: String,
        /// The policy.
        policy: Policy,
    },
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
        }
    }
}
