//! What a space evicts, and what for.

use crate::models::Policy;
use crate::value::ObjectId;

/// What a space evicts to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct EvictionSetting {
    /// What goes first; `None` if nothing does.
    pub policy: Option<Policy>,
    /// Younger objects stay, in microseconds.
    pub min_age: i64,
    /// Whether the space has this policy already, so that what is known of the use of its objects stays.
    pub is_same_policy: bool,
}

/// What objects are evicted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cause {
    /// What chose them.
    pub policy: Policy,
    /// The id of the new object, if it is known.
    pub object_id: Option<ObjectId>,
    /// Bytes that it needs.
    pub needed: i64,
    /// Bytes that were free.
    pub available: i64,
}
