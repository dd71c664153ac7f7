//! What can go wrong with exports, imports and backups.

use std::fmt;
use std::path::PathBuf;

use super::Error;

/// Why something cannot be exported, imported or backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferError {
    /// The file or folder to create already exists.
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// An export is invalid, or does not match its manifest.
    BadExport {
        /// The faulty file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A tar is not an export, but has other files.
    NotAnExport {
        /// Its first file, if it has any.
        begins_with: Option<PathBuf>,
    },
    /// A name of an export is taken or invalid; [`ImportOptions::on_conflict`](crate::ImportOptions)
    /// decides what else to do with it.
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
    Occupied {
        /// The target.
        path: PathBuf,
        /// The space.
        space: String,
        /// What it has.
        why: String,
    },
    /// A copy is not like its original, because others have changed it meanwhile.
    CopyDiffers {
        /// The target.
        path: PathBuf,
        /// The space.
        space: String,
        /// How it differs.
        why: String,
    },
}

impl From<TransferError> for Error {
    fn from(error: TransferError) -> Self {
        Self::Transfer(error)
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists { path } => write!(f, "{} already exists and was not changed; name another", path.display()),
            Self::BadExport { path, why } => write!(f, "{} cannot be imported: {why}", path.display()),
            Self::NotAnExport { begins_with: None } => f.write_str("the tar is not an export: it has no files"),
            Self::NotAnExport {
                begins_with: Some(path),
            } => write!(
                f,
                "the tar is not an export: it begins with {}, and not with manifest.jsonl",
                path.display()
            ),
            Self::NameRefused { path, name, why } => {
                write!(f, "{} cannot be imported with its name {name:?}: {why}", path.display())
            }
            Self::Occupied { path, space, why } => write!(
                f,
                "space {space:?} of {} is neither empty nor a part of a copy of this one: {why}",
                path.display()
            ),
            Self::CopyDiffers { path, space, why } => write!(
                f,
                "the copy of space {space:?} in {} differs from the original: {why}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for TransferError {}
