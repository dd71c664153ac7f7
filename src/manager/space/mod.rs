//! Opening a heap; carving, resizing, garbage collection and compaction.

pub(in crate::manager) mod carve;
mod ceiling;
pub(in crate::manager) mod collect;
pub(in crate::manager) mod compact;
pub(in crate::manager) mod compact_options;
mod drop;
mod evict_in_steps;
pub(in crate::manager) mod eviction;
pub(in crate::manager) mod open;
pub(in crate::manager) mod options;
pub(in crate::manager) mod quotas;
mod rename;
