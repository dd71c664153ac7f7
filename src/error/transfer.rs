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
            Self::NameRefused { path, name, why } => {
                write!(f, "{} cannot be imported with its name {name:?}: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for TransferError {}
