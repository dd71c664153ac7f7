//! What the history records, and looking back at it.

pub(in crate::manager) mod diff;
pub(in crate::manager) mod events;
pub(in crate::manager) mod record;
