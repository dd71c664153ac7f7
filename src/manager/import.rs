//! Storing what an export holds.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::allocate::{self, Content};
use super::manifest::{Line, MANIFEST, MOST_LINE};
use super::spool::Spooled;
use super::{Hold, MemManager, free, names};
use crate::error::{Error, Result};
use crate::store::change::Change;
use crate::store::{WriteTx, queries};
use crate::value::{Kind, ObjectId};

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Imported {
    /// Objects in the export.
    pub objects: u64,
    /// Of these, objects that were stored already.
    pub dedup_hits: u64,
    /// Names in the export.
    pub names: u64,
    /// Bytes of content in the export.
    pub bytes: u64,
}

/// So many bytes, or objects, are stored in one transaction.
const UNIT_BYTES: u64 = 8 * 1024 * 1024;
const UNIT_OBJECTS: usize = 500;

impl MemManager {
    /// Stores what [`Self::export`] wrote: every object with its kind, type, names and
    /// hold. What is stored already is a dedup hit, so an import that was broken off can be
    /// repeated. Contents are read twice and never held in memory.
    ///
    /// Each object is stored whole or not at all. A name that is bound to another object
    /// here is an error: nothing is replaced.
    ///
    /// # Errors
    /// [`Error::BadExport`] names the file, if its content does not match its id or size,
    /// or the manifest is no manifest; [`Error::OutOfMemory`]. What was stored before stays.
    pub fn import(&self, from: impl AsRef<Path>) -> Result<Imported> {
        self.import_with(from, &mut |_| {})
    }

    /// Like [`Self::import`]; `progress` gets the bytes of content imported.
    pub fn import_with(&self, from: impl AsRef<Path>, progress: &mut dyn FnMut(u64)) -> Result<Imported> {
        let mut lines = Lines::open(from.as_ref())?;
        let mut imported = Imported::default();
        loop {
            let unit = lines.unit()?;
            if unit.is_empty() {
                return Ok(imported);
            }
            let done = self.write(|tx| {
                let mut done = imported;
                for item in &unit {
                    item.store(tx, &mut done)?;
                }
                Ok(done)
            });
            imported = done?;
            progress(imported.bytes);
        }
    }
}

/// The lines of a manifest.
struct Lines {
    folder: PathBuf,
    manifest: PathBuf,
    reader: BufReader<File>,
    number: u64,
}

impl Lines {
    fn open(folder: &Path) -> Result<Self> {
        let manifest = folder.join(MANIFEST);
        let file = File::open(&manifest).map_err(Error::io(format!("{} cannot be read", manifest.display())))?;
        Ok(Self {
            folder: folder.to_owned(),
            manifest,
            reader: BufReader::new(file),
            number: 0,
        })
    }

    /// The next objects, as many as one transaction takes.
    fn unit(&mut self) -> Result<Vec<Item>> {
        let mut unit = Vec::new();
        let mut bytes = 0;
        while bytes < UNIT_BYTES && unit.len() < UNIT_OBJECTS {
            let Some(item) = self.next()? else { break };
            bytes = bytes.saturating_add(item.line.size);
            unit.push(item);
        }
        Ok(unit)
    }

    fn next(&mut self) -> Result<Option<Item>> {
        let mut text = String::new();
        let cannot = Error::io(format!("{} cannot be read", self.manifest.display()));
        let read = (&mut self.reader)
            .take(MOST_LINE)
            .read_line(&mut text)
            .map_err(cannot)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        let bad = |why: String| Error::BadExport {
            path: self.manifest.clone(),
            why: format!("line {number}: {why}"),
        };
        let line: Line = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let id = line.object_id.parse().map_err(|error: Error| bad(error.to_string()))?;
        let kind = Kind::from_name(&line.kind).ok_or_else(|| bad(format!("no kind {:?}", line.kind)))?;
        let path = line
            .path(&self.folder)
            .ok_or_else(|| bad(format!("{:?} is no file of the export", line.file)))?;
        for name in &line.names {
            names::validate(name).map_err(|error| bad(error.to_string()))?;
        }
        if line.type_name.is_some() && kind != Kind::Json {
            return Err(bad(format!("kind {kind} has no type_name")));
        }
        Ok(Some(Item { line, id, kind, path }))
    }
}

/// One object that is to be imported.
struct Item {
    line: Line,
    id: ObjectId,
    kind: Kind,
    path: PathBuf,
}

impl Item {
    fn store(&self, tx: &mut WriteTx<'_>, done: &mut Imported) -> Result<()> {
        let mut file = self.open()?;
        let mut content = Spooled::file_of(&mut file, self.kind, self.line.size)?;
        if content.id() != self.id || content.size() != self.line.size {
            let (found, size) = (content.id(), content.size());
            return Err(self.bad(format!("its {size} bytes are those of {found}, not of {}", self.id)));
        }
        for name in &self.line.names {
            self.check_name(tx, name)?;
        }
        let what = Content {
            id: self.id,
            kind: self.kind,
            type_name: self.line.type_name.as_deref(),
            size: self.line.size,
        };
        let (first, others) = match self.line.names.split_first() {
            Some((first, others)) => (Hold::Name(first), others),
            None => (Hold::Anonymous, [].as_slice()),
        };
        let stored = allocate::allocate(tx, &what, first, &mut content)?;
        let object = free::find(tx, "", &self.id)?;
        for name in others {
            names::bind(tx, name, object.id, &object.object_id)?;
        }
        if self.line.held && !object.held {
            tx.apply(Change::Held { object: object.id })?;
        }
        done.objects += 1;
        done.dedup_hits += u64::from(stored.dedup);
        done.names += self.line.names.len() as u64;
        done.bytes += stored.size;
        Ok(())
    }

    /// A link could lead out of the export.
    fn open(&self) -> Result<File> {
        let cannot = || Error::io(format!("{} cannot be read", self.path.display()));
        if !self.path.symlink_metadata().map_err(cannot())?.is_file() {
            return Err(self.bad("it is no regular file".into()));
        }
        File::open(&self.path).map_err(cannot())
    }

    fn check_name(&self, tx: &mut WriteTx<'_>, name: &str) -> Result<()> {
        let space = tx.space();
        let bound = tx.read_written(|conn| queries::names::resolve(conn, space, name))?;
        match bound.filter(|bound| bound.object_id != self.id.to_hex()) {
            Some(other) => Err(self.bad(format!("its name {name:?} is bound to object {} here", other.object_id))),
            None => Ok(()),
        }
    }

    fn bad(&self, why: String) -> Error {
        Error::BadExport {
            path: self.path.clone(),
            why,
        }
    }
}
