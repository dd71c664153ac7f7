//! The engine that keeps a heap in one SQLite file.

pub(in crate::store) mod ceiling;
pub(in crate::store) mod checkpoint;
pub(in crate::store) mod checks;
pub(in crate::store) mod connect;
pub(in crate::store) mod copy;
pub(in crate::store) mod engine;
pub(in crate::store) mod exec;
pub(in crate::store) mod frozen;
pub(in crate::store) mod log;
pub(in crate::store) mod migrations;
pub(in crate::store) mod open;
pub(in crate::store) mod open_files;
pub(in crate::store) mod pages;
pub(in crate::store) mod path;
pub(in crate::store) mod prepare;
pub(in crate::store) mod readers;
mod refusal;
pub(in crate::store) mod repair;
pub(in crate::store) mod replace;
pub(in crate::store) mod shrink;
pub(in crate::store) mod sidecar;
pub(in crate::store) mod stale_log;
mod texts;
pub(in crate::store) mod trees;
pub(in crate::store) mod verify;
pub(in crate::store) mod vfs;
pub(in crate::store) mod write;
