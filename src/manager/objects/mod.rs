//! Storing, reading, naming and freeing objects.

pub(in crate::manager) mod admit;
pub(in crate::manager) mod again;
pub(in crate::manager) mod allocate;
pub(in crate::manager) mod announced;
pub(in crate::manager) mod batch;
pub(in crate::manager) mod content;
mod deferred;
pub(in crate::manager) mod evict;
pub(in crate::manager) mod expire;
pub(in crate::manager) mod expiry;
pub(in crate::manager) mod free;
pub(in crate::manager) mod hold;
pub(in crate::manager) mod inspect;
pub(in crate::manager) mod parts;
pub(in crate::manager) mod pin;
pub(in crate::manager) mod place;
pub(in crate::manager) mod read;
pub(in crate::manager) mod reader;
pub(in crate::manager) mod reclaim;
pub(in crate::manager) mod reserved;
pub(in crate::manager) mod room;
pub(in crate::manager) mod spool;
pub(in crate::manager) mod sweep;
pub(in crate::manager) mod tags;
pub(in crate::manager) mod upload;
pub(in crate::manager) mod vouch;
