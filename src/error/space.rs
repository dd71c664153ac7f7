//! What can go wrong with a space: others may have ended it, or it is not made for what is asked.

use std::fmt;

use super::Error;
use crate::models::{Policy, Timestamp};

/// Why a space cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpaceError {
    /// It was dropped, and nothing is left of it.
    Dropped {
        /// Its name.
        space: String,
        /// When it was dropped.
        at: Timestamp,
    },
    /// It is being dropped, or that was interrupted. What is left of it can only be read.
    BeingDropped {
        /// Its name.
        space: String,
        /// Since when.
        at: Timestamp,
    },
    /// It evicts nothing, and no policy was named.
    EvictsNothing {
        /// Its name.
        space: String,
    },
    /// A policy goes by use, but that of the space is another one, so nobody has noted what that policy has to know.
    UseUnknown {
        /// The name of the space.
        space: String,
        /// The policy.
        policy: Policy,
    },
}

impl From<SpaceError> for Error {
    fn from(error: SpaceError) -> Self {
        Self::Space(error)
    }
}

impl fmt::Display for SpaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped { space, at } => write!(f, "space {space:?} was dropped at {at:.0}"),
            Self::BeingDropped { space, at } => {
                write!(f, "the drop of space {space:?} began at {at:.0} and is not complete")
            }
            Self::EvictsNothing { space } => {
                write!(f, "space {space:?} evicts nothing; what does not fit is refused")
            }
            Self::UseUnknown { space, policy } => {
                write!(
                    f,
                    "space {space:?} does not evict by {policy}, so nobody has noted the use of its objects for it"
                )
            }
        }
    }
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

impl std::error::Error for SpaceError {}
