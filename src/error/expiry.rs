//! What can go wrong when something is to expire.

use std::time::Duration;

use crate::identity::ObjectId;
use crate::models::Timestamp;

/// Why a name or a hold cannot be made to expire like this. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpiryError {
    /// The time is not in the future.
    #[error("it cannot expire at {at}, which is past: it is {now} now")]
    Passed {
        /// The time given.
        at: Timestamp,
        /// The current time.
        now: Timestamp,
    },
    /// The time is after the year 9999.
    #[error("it cannot expire at {at}: the year 9999 is the last one possible")]
    TooLate {
        /// The time given, or the latest possible one if it is even later.
        at: Timestamp,
    },
    /// Nothing can expire at once: it would have to be removed instead.
    #[error("it cannot expire after no time at all")]
    AtOnce,
    /// The object has no anonymous hold, because no allocation without a name took one, or it has ended.
    #[error("object {id} has no anonymous hold that could expire")]
    NotHeld {
        /// The object.
        id: ObjectId,
    },
}

impl ExpiryError {
    /// The error for a time this far from now, which is too late.
    pub(crate) fn too_far(now: Timestamp, by: Duration) -> Self {
        Self::TooLate { at: now + by }
    }

    /// What to do about it in terms of library calls.
    pub(super) fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooLate { .. } => "Expiry::Never lets it never expire",
            Self::Passed { .. } | Self::AtOnce => "MemManager::unbind and MemManager::release remove a hold now",
            Self::NotHeld { .. } => "MemManager::names lists its names, which can expire",
        })
    }
}
