//! The manifest of an export, with one JSON object per line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::conflicts::Incoming;
use super::folder::Folder;
use crate::error::{Error, Result, TransferError, grouped};
use crate::models::{Ends, Timestamp};
use crate::store::queries::names::KeptName;
use crate::store::queries::tags::Tags;
use crate::value::{Kind, ObjectId};

/// The manifest's name in the folder of an export.
pub(in crate::manager) const MANIFEST: &str = "manifest.jsonl";

/// The folder of the contents in an export.
pub(in crate::manager) const OBJECTS: &str = "objects";

/// Limit of a line, in bytes. An object with many names takes several lines.
pub(in crate::manager) const MOST_LINE: u64 = 16 * 1024 * 1024;

/// Limit of a type name, in bytes. In JSON a byte takes up to six, and it must fit into a line.
const MOST_TYPE_NAME: usize = 1024 * 1024;

/// One object of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::manager) struct Line {
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
    /// When those of them that expire will expire, in microseconds since 1970 UTC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expires: BTreeMap<String, i64>,
    /// The tags of those of them that have any: values by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Tags>,
    /// Whether an allocation without a name holds it.
    #[serde(default)]
    pub held: bool,
    /// When that hold ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<i64>,
    /// The tags of that hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held_tags: Tags,
    /// The file with its content, relative to the folder of the export.
    pub file: String,
}

impl Line {
    /// The path of an object's content. There are 256 folders, so that none gets too large to list.
    pub fn file_of(object_id: &str) -> String {
        format!("{OBJECTS}/{}/{object_id}", object_id.get(..2).unwrap_or("xx"))
    }

    /// The path of the content; `None` if it leads out of the folder.
    fn path(&self) -> Option<PathBuf> {
        let file = Path::new(&self.file);
        let within = file.components().all(|part| matches!(part, Component::Normal(_)));
        (within && !self.file.is_empty()).then(|| file.to_owned())
    }
}

/// An object to import.
pub(in crate::manager) struct Item {
    pub line: Line,
    pub id: ObjectId,
    pub kind: Kind,
    /// The file with its content, relative to the folder of the export.
    pub file: PathBuf,
    /// Its names.
    names: Vec<KeptName>,
    /// Its anonymous hold, if it has one.
    hold: Option<Ends>,
}

impl Item {
    /// The object with its names and its hold; `bad` makes the error for a name.
    pub fn incoming<'a>(&'a self, bad: &'a dyn Fn(&str, String) -> Error) -> Incoming<'a> {
        Incoming {
            id: self.id,
            names: self.names.as_slice().into(),
            hold: self.hold,
            hold_tags: &self.line.held_tags,
            bad,
        }
    }
}

/// The lines of a manifest.
pub(in crate::manager) struct Lines<R> {
    path: PathBuf,
    reader: BufReader<R>,
    number: u64,
}

impl Lines<File> {
    pub fn open(folder: &Folder) -> Result<Self> {
        let file = Path::new(MANIFEST);
        Ok(Self::of(folder.path(file), folder.file(file)?))
    }
}

impl<R: Read> Lines<R> {
    /// The lines of a manifest, which errors call `path`.
    pub fn of(path: PathBuf, reader: R) -> Self {
        Self {
            path,
            reader: BufReader::new(reader),
            number: 0,
        }
    }

    /// The next object. Skips what editors may add: blank lines, carriage returns, a byte order
    /// mark.
    pub fn next(&mut self) -> Result<Option<Item>> {
        loop {
            let mut text = Vec::new();
            let read = (&mut self.reader).take(MOST_LINE + 1).read_until(b'\n', &mut text);
            read.map_err(Error::io(format!("{} cannot be read", self.path.display())))?;
            if text.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            if text.len() as u64 > MOST_LINE {
                return Err(self.bad(format!("it has more than {} bytes", grouped(MOST_LINE))));
            }
            let text = str::from_utf8(&text).map_err(|_| self.bad("it is not UTF-8".into()))?;
            let text = text
                .strip_prefix('\u{feff}')
                .filter(|_| self.number == 1)
                .unwrap_or(text);
            if !text.trim().is_empty() {
                return self.item(text).map(Some);
            }
        }
    }

    fn item(&self, text: &str) -> Result<Item> {
        let line: Line = serde_json::from_str(text).map_err(|error| {
            // Each line is a separate document, so the line number is always 1.
            let why = error.to_string();
            self.bad(why.replace(" at line 1 column ", " at column "))
        })?;
        let id = line
            .object_id
            .parse()
            .map_err(|error: Error| self.bad(error.to_string()))?;
        let kind = Kind::from_name(&line.kind).ok_or_else(|| self.bad(format!("no kind {:?}", line.kind)))?;
        let file = line
            .path()
            .ok_or_else(|| self.bad(format!("{:?} is not a file of the export", line.file)))?;
        match &line.type_name {
            Some(_) if kind != Kind::Json => return Err(self.bad(format!("kind {kind} has no type_name"))),
            Some(name) if name.len() > MOST_TYPE_NAME => {
                let (bytes, most) = (grouped(name.len() as u64), grouped(MOST_TYPE_NAME as u64));
                return Err(self.bad(format!("its type_name has {bytes} bytes; at most {most} are allowed")));
            }
            _ => {}
        }
        let names = line.names.iter().map(|name| KeptName {
            name: name.clone(),
            expires_at: line.expires.get(name).copied().map(Timestamp::from_micros),
            tags: line.tags.get(name).cloned().unwrap_or_default(),
        });
        Ok(Item {
            names: names.collect(),
            hold: line.held.then(|| Ends(line.held_until.map(Timestamp::from_micros))),
            line,
            id,
            kind,
            file,
        })
    }

    fn bad(&self, why: String) -> Error {
        TransferError::BadExport {
            path: self.path.clone(),
            why: format!("line {}: {why}", self.number),
        }
        .into()
    }
}
