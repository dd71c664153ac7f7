//! Names that are the paths of files.

pub(in crate::manager) mod attributes;
mod folder;
pub(in crate::manager) mod path_name;
pub(in crate::manager) mod save;
pub(in crate::manager) mod store_tar;
mod tar;
mod target;
