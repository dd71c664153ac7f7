//! Exports as a tar, and tars that others made.

mod export;
mod import;
pub(in crate::manager) mod stream;
pub(in crate::manager) mod write;
