//! Recording and reading the history.

pub(in crate::manager) mod counts;
pub(in crate::manager) mod diff;
pub(in crate::manager) mod events;
pub(in crate::manager) mod record;
mod requests;
pub(in crate::manager) mod watch;
