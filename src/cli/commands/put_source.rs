//! What `heapledger put` stores.

use std::path::{Path, PathBuf};

use heapledger::{FileAttributes, FileType};
use serde::Serialize;

use crate::cli::input::sources::Found;

/// What `put --sync` does with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    New,
    Changed,
    Gone,
}

impl Change {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }
}

/// What is stored, and the name for its path.
#[derive(Clone)]
pub struct Source {
    pub path: PathBuf,
    pub name: Option<String>,
    /// What --sync found.
    pub change: Option<Change>,
    /// The tags with its attributes.
    pub kept: Vec<(&'static str, String)>,
    /// Its content, if it is not that of the file.
    pub content: Option<Vec<u8>>,
}

impl Source {
    /// Without a name.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: None,
            change: None,
            kept: Vec::new(),
            content: None,
        }
    }

    /// What was found, with its name, and its attributes if they are wanted.
    pub fn found(found: Found, name: Option<String>, attributes: bool) -> Self {
        let file_type = match &found {
            Found::Link(..) => FileType::Link,
            Found::Folder(_) => FileType::Folder,
            _ => FileType::File,
        };
        let kept = match attributes {
            true => FileAttributes::new(file_type, mode(found.path())).tags(),
            false => Vec::new(),
        };
        let (path, content) = match found {
            Found::Link(path, target) => (path, Some(target.into_os_string().into_encoded_bytes())),
            Found::Folder(path) => (path, Some(Vec::new())),
            found => (found.path().to_owned(), None),
        };
        Self {
            name,
            kept,
            content,
            ..Self::of(path)
        }
    }
}

/// The permissions of a file.
#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    let found = path.metadata().ok()?;
    Some(std::os::unix::fs::MetadataExt::mode(&found))
}

#[cfg(not(unix))]
fn mode(_: &Path) -> Option<u32> {
    None
}
