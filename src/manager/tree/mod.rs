//! Names that are the paths of files.

mod folder;
pub(in crate::manager) mod path_name;
pub(in crate::manager) mod save;
