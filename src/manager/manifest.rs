//! The manifest of an export: one JSON object per line for each object.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The manifest's name in the folder of an export.
pub(super) const MANIFEST: &str = "manifest.jsonl";

/// Where an export has the contents.
pub(super) const OBJECTS: &str = "objects";

/// Bytes of a line at most. An object with many names takes several lines.
pub(super) const MOST_LINE: u64 = 16 * 1024 * 1024;

/// One object of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// The object's id.
    pub object_id: String,
    /// `bytes`, `str`, `int`, `float`, `bool`, `none` or `json`.
    pub kind: String,
    /// For `json`, the Rust type that was stored.
    #[serde(default)]
    pub type_name: Option<String>,
    /// Bytes of content.
    pub size: u64,
    /// The names bound to it.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether an allocation without a name holds it.
    #[serde(default)]
    pub held: bool,
    /// The file with its content, from the folder of the export.
    pub file: String,
}

impl Line {
    /// Where the content of an object goes: 256 folders, so that none gets too large for
    /// the tools that list it.
    pub fn file_of(object_id: &str) -> String {
        format!("{OBJECTS}/{}/{object_id}", object_id.get(..2).unwrap_or("xx"))
    }

    /// Where the content is; `None` for a path that leads out of the folder.
    pub fn path(&self, folder: &Path) -> Option<PathBuf> {
        let file = Path::new(&self.file);
        let within = file.components().all(|part| matches!(part, Component::Normal(_)));
        (within && !self.file.is_empty()).then(|| folder.join(file))
    }
}
