//! Opening a heap, and the size and the garbage of a space.

pub(in crate::manager) mod carve;
pub(in crate::manager) mod collect;
pub(in crate::manager) mod open;
pub(in crate::manager) mod options;
