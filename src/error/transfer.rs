//! What can go wrong with exports, imports and backups.

use std::path::{Path, PathBuf};

/// Why something cannot be exported, imported or backed up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The file or folder to create already exists.
    #[error("{path} already exists and was not changed; name another")]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// An export is invalid, or does not match its manifest.
    #[error("{path} cannot be imported: {why}")]
    BadExport {
        /// The faulty file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A tar is not an export, but has other files.
    #[error("the tar is not an export: {}", not_an_export(.begins_with.as_deref()))]
    NotAnExport {
        /// Its first file, if it has any.
        begins_with: Option<PathBuf>,
    },
    /// A name of an export is taken or invalid; [`ImportOptions::on_conflict`](crate::ImportOptions)
    /// decides what else to do with it.
    #[error("{path} cannot be imported with its name {name:?}: {why}")]
    NameRefused {
        /// The file with the content of the object.
        path: PathBuf,
        /// The name in the export.
        name: String,
        /// Why it cannot be bound.
        why: String,
    },
    /// A space of the target of a copy has something that does not come from the original;
    /// [`CopyOptions::on_conflict`](crate::CopyOptions) decides what else to do then.
    #[error("space {space:?} of {path} is neither empty nor a part of a copy of this one: {why}")]
    Occupied {
        /// The target.
        path: PathBuf,
        /// The space.
        space: String,
        /// What it has.
        why: String,
    },
    /// A copy is not like its original, because others have changed it meanwhile.
    #[error("the copy of space {space:?} in {path} differs from the original: {why}")]
    CopyDiffers {
        /// The target.
        path: PathBuf,
        /// The space.
        space: String,
        /// How it differs.
        why: String,
    },
}

fn not_an_export(begins_with: Option<&Path>) -> String {
    match begins_with {
        None => "it has no files".into(),
        Some(path) => format!("it begins with {}, and not with manifest.jsonl", path.display()),
    }
}
