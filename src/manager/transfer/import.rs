//! Imports an export.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::conflicts::{Conflict, OnConflict};
use super::export::Exported;
use super::folder::Folder;
use super::manifest::{Item, Lines};
use crate::error::{Error, Result, TransferError, grouped};
use crate::manager::objects::content::Content;
use crate::manager::objects::room::need_room;
use crate::manager::objects::spool::Spooled;
use crate::manager::objects::{allocate, sweep};
use crate::manager::{HoldWith, MemManager};
use crate::store::WriteTx;
use crate::value::{ObjectId, Validator};

/// Options of [`MemManager::import_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// What to do with a name that is taken or invalid.
    pub on_conflict: OnConflict,
}

impl ImportOptions {
    /// Sets what to do with a name that is taken or invalid.
    #[must_use]
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.on_conflict = on_conflict;
        self
    }
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// Objects imported.
    pub objects: u64,
    /// Of these, objects that were already stored.
    pub dedup_hits: u64,
    /// Names imported.
    pub names: u64,
    /// Bytes of content imported.
    pub bytes: u64,
    /// Objects left out, because only skipped names held them or they have expired.
    pub left_out: u64,
    /// Names that were taken or invalid, and what was done.
    pub conflicts: Vec<Conflict>,
}

/// The limits of one transaction, in bytes and in objects.
const UNIT_BYTES: u64 = 8 * 1024 * 1024;
const UNIT_OBJECTS: usize = 500;

impl MemManager {
    /// Stores what [`Self::export`] wrote: every object with its kind, type, names and hold. A name
    /// that is bound to another object here is an error, before anything is stored;
    /// [`Self::import_with`] can do otherwise.
    ///
    /// An interrupted import can be repeated: it consists of many transactions, each object is
    /// stored completely or not at all, and stored objects are dedup hits. Repeating a complete
    /// import changes nothing.
    ///
    /// The whole manifest is read first, so errors in it are found before anything is stored.
    /// Contents are read twice and never held in memory. Each must match its id and be valid for its
    /// kind. No link in the folder is followed.
    ///
    /// # Errors
    /// [`TransferError::BadExport`] names the faulty file; [`TransferError::NameRefused`] a name that is taken or
    /// invalid; [`Error::OutOfMemory`]; [`Error::KindConflict`]; [`Error::Io`] if a file cannot be
    /// read; what [any write](MemManager#errors) fails with. Objects stored before the error stay.
    pub fn import(&self, from: impl AsRef<Path>) -> Result<Imported> {
        self.import_with(from, ImportOptions::default(), &mut |_, _| {})
    }

    /// Like [`Self::import`]; `progress` gets the bytes of content imported, and the total.
    ///
    /// # Errors
    /// Those of [`Self::import`].
    pub fn import_with(
        &self,
        from: impl AsRef<Path>,
        options: ImportOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Imported> {
        let folder = Folder::open(from.as_ref())?;
        let total = self.look_through(Lines::open(&folder)?, &folder, options)?.bytes;
        let mut lines = Lines::open(&folder)?;
        let mut unit = || unit(&mut lines, |item| Ok(Where::In(item.file.clone())));
        self.import_units(&folder, options, &mut unit, &mut |done| progress(done, total))
    }

    /// Stores the objects that `next` finds, several in one transaction, until it finds none. `progress`
    /// gets the bytes.
    pub(super) fn import_units(
        &self,
        origin: &dyn Origin,
        options: ImportOptions,
        next: &mut dyn FnMut() -> Result<Unit>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Imported> {
        let mut done = Imported::default();
        let mut current = None;
        loop {
            let unit = next()?;
            if unit.is_empty() {
                done.left_out += u64::from(matches!(current, Some((_, false))));
                return Ok(done);
            }
            let (stored, last) = self.write_apart(|tx| {
                let mut import = Import {
                    origin,
                    options,
                    done: Imported::default(),
                    current,
                };
                for (item, content) in unit {
                    import.item(tx, &item, content)?;
                }
                Ok((import.done, import.current))
            })?;
            done.add(stored);
            current = last;
            progress(done.bytes);
        }
    }

    /// Summarises the export in a folder from its whole manifest, without reading contents. No heap
    /// is needed. O(manifest).
    ///
    /// # Errors
    /// [`TransferError::BadExport`] names the faulty file; [`Error::Io`].
    pub fn survey_export(from: impl AsRef<Path>) -> Result<Exported> {
        survey(Lines::open(&Folder::open(from.as_ref())?)?, |_| Ok(()))
    }

    /// Finds errors before anything is stored.
    pub(super) fn look_through(
        &self,
        lines: Lines<impl Read>,
        origin: &dyn Origin,
        options: ImportOptions,
    ) -> Result<Exported> {
        let space = self.inner.space;
        self.inner.readers.snapshot_once(|tx| {
            survey(lines, |item| match options.on_conflict {
                OnConflict::Refuse => item
                    .incoming(&|name, why| bad_name(origin, item, name, why))
                    .refuse(tx, space),
                _ => Ok(()),
            })
        })
    }
}

fn survey(mut lines: Lines<impl Read>, mut look: impl FnMut(&Item) -> Result<()>) -> Result<Exported> {
    let (mut found, mut before) = (Exported::default(), None);
    while let Some(item) = lines.next()? {
        look(&item)?;
        if before != Some(item.id) {
            found.objects += 1;
            found.bytes = found.bytes.saturating_add(item.line.size);
        }
        found.names += item.line.names.len() as u64;
        before = Some(item.id);
    }
    Ok(found)
}

/// What an export is read from.
pub(super) trait Origin {
    /// What errors call one of its files.
    fn path(&self, file: &Path) -> PathBuf;

    /// Opens one of its files.
    fn file(&self, file: &Path) -> Result<File>;
}

impl Origin for Folder {
    fn path(&self, file: &Path) -> PathBuf {
        self.path(file)
    }

    fn file(&self, file: &Path) -> Result<File> {
        self.file(file)
    }
}

/// Where the content of an object is.
pub(super) enum Where {
    /// In a file of the export.
    In(PathBuf),
    /// Here; it was compared with the manifest.
    Here(Box<dyn Read>),
    /// It came with an earlier line.
    Before,
}

/// Objects for one transaction.
pub(super) type Unit = Vec<(Item, Where)>;

/// The next objects.
pub(super) fn unit(lines: &mut Lines<impl Read>, mut content: impl FnMut(&Item) -> Result<Where>) -> Result<Unit> {
    let (mut unit, mut bytes) = (Vec::new(), 0_u64);
    while bytes < UNIT_BYTES && unit.len() < UNIT_OBJECTS {
        let Some(item) = lines.next()? else { break };
        let texts = item.line.names.iter().chain(&item.line.type_name);
        let texts: usize = texts.map(String::len).sum();
        bytes = bytes.saturating_add(item.line.size).saturating_add(texts as u64);
        let content = content(&item)?;
        unit.push((item, content));
    }
    Ok(unit)
}

impl Imported {
    fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.dedup_hits += other.dedup_hits;
        self.names += other.names;
        self.bytes += other.bytes;
        self.left_out += other.left_out;
        self.conflicts.extend(other.conflicts);
    }
}

/// One transaction of a running import.
struct Import<'a> {
    origin: &'a dyn Origin,
    options: ImportOptions,
    done: Imported,
    /// The object of the previous line, and whether it was imported: an object with many names has
    /// several consecutive lines.
    current: Option<(ObjectId, bool)>,
}

impl Import<'_> {
    fn item(&mut self, tx: &mut WriteTx<'_>, item: &Item, content: Where) -> Result<()> {
        let (goes_on, is_stored) = match self.current {
            Some((id, is_stored)) if id == item.id => (true, is_stored),
            _ => (false, false),
        };
        if let (Some((_, false)), false) = (self.current, goes_on) {
            self.done.left_out += 1;
        }
        let bad = |name: &str, why| bad_name(self.origin, item, name, why);
        let mut incoming = item.incoming(&bad);
        if !incoming.without_ended(tx.at()) {
            self.current = Some((item.id, is_stored));
            return Ok(());
        }
        let resolve = &mut |name: &str| Ok(sweep::resolve(tx, name)?.map(|bound| bound.object));
        let settled = incoming.settle(resolve, self.options.on_conflict)?;
        let is_wanted = settled.is_wanted(&incoming);
        let mut bound = 0;
        if is_wanted && !(is_stored && sweep::find(tx, &item.id)?.is_some()) {
            self.store(tx, item, content, &settled.first_hold(&incoming))?;
            bound = 1;
        }
        self.current = Some((item.id, is_stored || is_wanted));
        self.done.names += settled.names.len() as u64;
        self.done.conflicts.extend(settled.complete(tx, &incoming, bound)?);
        Ok(())
    }

    fn store(&mut self, tx: &mut WriteTx<'_>, item: &Item, content: Where, hold: &HoldWith<'_>) -> Result<()> {
        let size = item.line.size;
        match content {
            Where::In(file) => {
                let mut file = self.origin.file(&file)?;
                let found = file.metadata().map_or(size, |found| found.len());
                if found != size {
                    return Err(self.bad(item, other_size(found, size)));
                }
                let memram = tx.memram()?;
                // Can neither fit nor be already stored, so it need not be read.
                if size > memram.available() && size > memram.mem {
                    need_room(tx, Some(item.id), size)?;
                }
                let mut validator = Validator::new(item.kind);
                let mut content = Spooled::file_of(&mut file, item.kind, size, &mut |part| validator.update(part))?;
                is_of(item, content.id(), content.size(), validator).map_err(|why| self.bad(item, why))?;
                self.allocate(tx, item, hold, &mut content)
            }
            Where::Here(content) => self.allocate(tx, item, hold, &mut Spooled::known(content, item.id, size)),
            Where::Before => Err(self.bad(item, "it has lines in several places of the manifest".to_owned())),
        }
    }

    fn allocate(
        &mut self,
        tx: &mut WriteTx<'_>,
        item: &Item,
        hold: &HoldWith<'_>,
        content: &mut Spooled<'_>,
    ) -> Result<()> {
        let what = Content {
            id: item.id,
            kind: item.kind,
            type_name: item.line.type_name.as_deref(),
            size: item.line.size,
            whole: None,
        };
        let stored = allocate::allocate(tx, &what, hold, content)?;
        self.done.objects += 1;
        self.done.dedup_hits += u64::from(stored.dedup);
        self.done.bytes += stored.size;
        Ok(())
    }

    fn bad(&self, item: &Item, why: String) -> Error {
        bad_content(self.origin, item, &why)
    }
}

/// The error for content that is not the right one.
pub(super) fn bad_content(origin: &dyn Origin, item: &Item, why: &str) -> Error {
    TransferError::BadExport {
        path: origin.path(&item.file),
        why: format!("{why}; objects imported before it stay"),
    }
    .into()
}

/// Why a file cannot be the content of an object.
pub(super) fn other_size(found: u64, size: u64) -> String {
    format!("it has {} bytes, not {}", grouped(found), grouped(size))
}

/// Compares what was read with what the manifest says, and says how it differs.
pub(super) fn is_of(item: &Item, found: ObjectId, size: u64, validator: Validator) -> Result<(), String> {
    if found != item.id || size != item.line.size {
        return Err(format!("its {size} bytes have the id {found}, not {}", item.id));
    }
    validator.finish()
}

fn bad_name(origin: &dyn Origin, item: &Item, name: &str, why: String) -> Error {
    TransferError::NameRefused {
        path: origin.path(&item.file),
        name: name.to_owned(),
        why,
    }
    .into()
}
