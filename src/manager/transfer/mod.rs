//! Backup, restore, export, import, copies from heap to heap, and snapshots.

pub(in crate::manager) mod backup;
mod compare;
pub(in crate::manager) mod conflicts;
pub(in crate::manager) mod copy;
pub(in crate::manager) mod copy_item;
mod copy_space;
pub(in crate::manager) mod export;
pub(in crate::manager) mod folder;
pub(in crate::manager) mod import;
pub(in crate::manager) mod manifest;
pub(in crate::manager) mod restore;
pub(in crate::manager) mod save;
pub(in crate::manager) mod snapshot;
mod source;
pub(in crate::manager) mod tar;
mod whole;
