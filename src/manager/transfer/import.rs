//! Imports an export.

use std::path::Path;

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
        let total = self.look_through(&folder, options)?.bytes;
        let mut lines = Lines::open(&folder)?;
        let mut done = Imported::default();
        let mut current = None;
        loop {
            let unit = unit(&mut lines)?;
            if unit.is_empty() {
                done.left_out += u64::from(matches!(current, Some((_, false))));
                return Ok(done);
            }
            let (stored, last) = self.write_apart(|tx| {
                let mut import = Import {
                    folder: &folder,
                    options,
                    done: Imported::default(),
                    current,
                };
                for item in &unit {
                    import.item(tx, item)?;
                }
                Ok((import.done, import.current))
            })?;
            done.add(stored);
            current = last;
            progress(done.bytes, total);
        }
    }

    /// Summarises the export in a folder from its whole manifest, without reading contents. No heap
    /// is needed. O(manifest).
    ///
    /// # Errors
    /// [`TransferError::BadExport`] names the faulty file; [`Error::Io`].
    pub fn survey_export(from: impl AsRef<Path>) -> Result<Exported> {
        survey(&Folder::open(from.as_ref())?, |_| Ok(()))
    }

    /// Finds errors before anything is stored.
    fn look_through(&self, folder: &Folder, options: ImportOptions) -> Result<Exported> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            survey(folder, |item| match options.on_conflict {
                OnConflict::Refuse => item
                    .incoming(&|name, why| bad_name(folder, item, name, why))
                    .refuse(tx, space),
                _ => Ok(()),
            })
        })
    }
}

fn survey(folder: &Folder, mut look: impl FnMut(&Item) -> Result<()>) -> Result<Exported> {
    let mut lines = Lines::open(folder)?;
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

/// The next objects, for one transaction.
fn unit(lines: &mut Lines) -> Result<Vec<Item>> {
    let (mut unit, mut bytes) = (Vec::new(), 0_u64);
    while bytes < UNIT_BYTES && unit.len() < UNIT_OBJECTS {
        let Some(item) = lines.next()? else { break };
        let texts = item.line.names.iter().chain(&item.line.type_name);
        let texts: usize = texts.map(String::len).sum();
        bytes = bytes.saturating_add(item.line.size).saturating_add(texts as u64);
        unit.push(item);
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
    folder: &'a Folder,
    options: ImportOptions,
    done: Imported,
    /// The object of the previous line, and whether it was imported: an object with many names has
    /// several consecutive lines.
    current: Option<(ObjectId, bool)>,
}

impl Import<'_> {
    fn item(&mut self, tx: &mut WriteTx<'_>, item: &Item) -> Result<()> {
        let (goes_on, is_stored) = match self.current {
            Some((id, is_stored)) if id == item.id => (true, is_stored),
            _ => (false, false),
        };
        if let (Some((_, false)), false) = (self.current, goes_on) {
            self.done.left_out += 1;
        }
        let bad = |name: &str, why| bad_name(self.folder, item, name, why);
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
            self.store(tx, item, &settled.first_hold(&incoming))?;
            bound = 1;
        }
        self.current = Some((item.id, is_stored || is_wanted));
        self.done.names += settled.names.len() as u64;
        self.done.conflicts.extend(settled.complete(tx, &incoming, bound)?);
        Ok(())
    }

    fn store(&mut self, tx: &mut WriteTx<'_>, item: &Item, hold: &HoldWith<'_>) -> Result<()> {
        let mut file = self.folder.file(&item.file)?;
        let size = item.line.size;
        let found = file.metadata().map_or(size, |found| found.len());
        if found != size {
            return Err(self.bad(item, format!("it has {} bytes, not {}", grouped(found), grouped(size))));
        }
        let memram = tx.memram()?;
        // Can neither fit nor be already stored, so it need not be read.
        if size > memram.available() && size > memram.mem {
            need_room(tx, Some(item.id), size)?;
        }
        let mut validator = Validator::new(item.kind);
        let mut content = Spooled::file_of(&mut file, item.kind, size, &mut |part| validator.update(part))?;
        if content.id() != item.id || content.size() != size {
            let (found, size) = (content.id(), content.size());
            return Err(self.bad(item, format!("its {size} bytes have the id {found}, not {}", item.id)));
        }
        validator.finish().map_err(|why| self.bad(item, why))?;
        let what = Content {
            id: item.id,
            kind: item.kind,
            type_name: item.line.type_name.as_deref(),
            size,
            whole: None,
        };
        let stored = allocate::allocate(tx, &what, hold, &mut content)?;
        self.done.objects += 1;
        self.done.dedup_hits += u64::from(stored.dedup);
        self.done.bytes += stored.size;
        Ok(())
    }

    fn bad(&self, item: &Item, why: String) -> Error {
        TransferError::BadExport {
            path: self.folder.path(&item.file),
            why: format!("{why}; objects imported before it stay"),
        }
        .into()
    }
}

fn bad_name(folder: &Folder, item: &Item, name: &str, why: String) -> Error {
    TransferError::NameRefused {
        path: folder.path(&item.file),
        name: name.to_owned(),
        why,
    }
    .into()
}
