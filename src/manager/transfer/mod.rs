//! Backup, restore, export, import, and snapshots.

pub(in crate::manager) mod backup;
pub(in crate::manager) mod conflicts;
pub(in crate::manager) mod export;
pub(in crate::manager) mod folder;
pub(in crate::manager) mod import;
pub(in crate::manager) mod manifest;
pub(in crate::manager) mod restore;
pub(in crate::manager) mod save;
pub(in crate::manager) mod snapshot;
