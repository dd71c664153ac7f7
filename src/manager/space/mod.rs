//! Opening a heap; carving, resizing and garbage collection.

pub(in crate::manager) mod carve;
mod ceiling;
pub(in crate::manager) mod collect;
mod drop;
pub(in crate::manager) mod open;
pub(in crate::manager) mod options;
mod rename;
