//! Opening a heap: its space is found, compared with the options, or created.

use std::path::Path;
use std::sync::Arc;

use super::{Options, Purpose};
use crate::error::{Error, Result, SpaceError};
use crate::geometry::Geometry;
use crate::manager::history::record::short_enough;
use crate::manager::objects::abandoned::Abandoned;
use crate::manager::objects::read::Scope;
use crate::manager::objects::uses::Uses;
use crate::manager::{Eviction, History};
use crate::manager::{Inner, MemManager, Planner};
use crate::models::{MemRam, Policy, Timestamp, signed};
use crate::store::{Access, Deadline, LEAST_CEILING, Location, Opening, ReadTx, SpaceToMake, queries};

/// What servers do not have.
const MAX_FILE: &str = "a ceiling of the file";

/// Default capacity of a new space, in bytes.
const DEFAULT_MAX_MEM: u64 = 1 << 30;

impl Options {
    /// Opens the heap file, and creates the file and the space if missing.
    ///
    /// # Errors
    /// - [`Error::NoFile`], [`Error::UnknownSpace`]: there is nothing to read, or nothing may be created;
    /// - [`Error::SpaceExists`]: the space exists with other sizes, or at all;
    /// - [`Error::Space`]: the space is being dropped, and what is left of it can be opened for reading; or the
    ///   file exists with another ceiling;
    /// - [`Error::NotAHeap`], [`Error::TooOld`], [`Error::TooNew`]: the file is something else, or
    ///   of another format, and was left untouched;
    /// - [`Error::AlteredSchema`]: others have changed views, triggers or tables of the heap.
    ///   Additional indexes are fine, and dropped ones are recreated when the heap is opened for
    ///   writing;
    /// - [`Error::HardLinked`]: the file has a second name, and is opened for writing, or its log
    ///   may be next to that name;
    /// - [`Error::LogUnreadable`], [`Error::NotWritable`]: the user lacks permission;
    /// - [`Error::Busy`]: others locked the file for longer than `busy_timeout`, or another tool has
    ///   it open outside WAL mode, which opening for writing restores;
    /// - [`Error::LogHeld`]: a space would be created, and somebody holds the write-ahead log;
    /// - [`Error::Reentered`]: the space, or a dropped index, would be created inside a batch of the same file;
    /// - [`Error::BadMaxMem`], [`Error::BadSpaceName`], [`Error::NulInName`], [`Error::BadHistoryLimit`]:
    ///   a space cannot have this size, name or history;
    /// - [`Error::BadMaxFile`]: a new file needs more than this; [`Error::FileFull`]: there is no room
    ///   for another space;
    /// - [`Error::TooManySpaces`]: the file has used up all ids of spaces;
    /// - [`Error::TooLong`]: the actor has more than 1,024 bytes;
    /// - [`Error::ForeignLog`]: the log next to the file belongs to another file;
    /// - [`Error::Io`], including if no file descriptor is left or the path
    ///   is too long for SQLite (504 bytes), [`Error::Database`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<MemManager> {
        self.open_for(path.as_ref(), Purpose::Use)
    }

    pub(in crate::manager) fn open_for(mut self, path: &Path, purpose: Purpose) -> Result<MemManager> {
        let deadline = Deadline::after(self.busy_timeout);
        self.purpose = purpose;
        let location = self.location(deadline, path)?;
        let named = location.clone();
        self.open_at(location)
            .map_err(|error| deadline.stamp(named.name_in(error)))
    }

    /// Opens another space of the heap of a manager, or the same one.
    pub(in crate::manager) fn open_next_to(mut self, memory: &MemManager, purpose: Purpose) -> Result<MemManager> {
        let inner = &memory.inner;
        let deadline = inner.location.deadline();
        self.purpose = purpose;
        self.lease = inner.lease;
        self.actor = self.actor.or_else(|| inner.actor.as_deref().map(Into::into));
        let opened = self.open_at(inner.location.clone());
        let mut opened = opened.map_err(|error| deadline.stamp(inner.location.name_in(error)))?;
        opened.reason = memory.reason.clone();
        Ok(opened)
    }

    pub(super) fn location(&self, deadline: Deadline, path: &Path) -> Result<Location> {
        let location = Location::at(path)?.for_opening(self.durability, self.busy_timeout, deadline);
        let location = location.with_max_snapshot_age(self.max_snapshot_age);
        Ok(location.with_plain_io(self.plain_io))
    }

    fn open_at(self, location: Location) -> Result<MemManager> {
        short_enough("an actor", self.actor.as_deref().unwrap_or_default())?;
        let geometry = self.geometry.clone().unwrap_or_default();
        let new = self.new_space(&geometry)?;
        if self.max_file.is_some() {
            location.file(MAX_FILE, "Options::max_mem bounds each space")?;
        }
        if let Some(wanted) = self.max_file.filter(|&bytes| bytes < LEAST_CEILING) {
            let least = LEAST_CEILING;
            return Err(Error::BadMaxFile { wanted, least, free: 0 });
        }
        let access = if self.read_only { Access::Read } else { Access::Write };
        if location.is_on_server() {
            // A server cannot even look for a name that it could not store.
            self.check_name()?;
        }
        let may_create = self.purpose == Purpose::Use;
        let create = may_create && self.create.unwrap_or(!location.is_on_server());
        // An existing file may have a space whose name must be repaired.
        if location.is_new() && access == Access::Write {
            self.check_name()?;
        }
        let mut opening = location.open(access, create)?;
        let (space, geometry) = self.find_or_make(&mut opening, new)?;
        let (location, readers, writer) = opening.finish(space.id, &geometry, self.purpose == Purpose::Drop)?;
        let writer = writer.map(Arc::new);
        let goes_by_use = space.evict.is_some_and(Policy::is_by_use);
        Ok(MemManager {
            inner: Arc::new(Inner {
                uses: Uses::new(writer.clone(), goes_by_use),
                space: space.id,
                name: space.name,
                geometry,
                location,
                readers,
                writer,
                actor: self.actor.map(Into::into),
                lease: self.lease,
                abandoned: Abandoned::default(),
            }),
            reason: None,
        })
    }

    /// Plans allocations in a space that does not exist yet, as [`Self::open`] would create it in a
    /// new file; like [`MemManager::plan_batch`] for an existing space. No file is created.
    ///
    /// # Errors
    /// [`Error::BadMaxMem`], [`Error::BadSpaceName`], [`Error::NulInName`], [`Error::BadHistoryLimit`]; what
    /// `work` returns.
    pub fn plan_new<R>(&self, work: impl FnOnce(&mut Planner<'_>) -> Result<R>) -> Result<R> {
        self.check_name()?;
        let geometry = self.geometry.clone().unwrap_or_default();
        let new = SpaceToMake {
            max_file: None,
            ..self.new_space(&geometry)?
        };
        ReadTx::with_space_in_memory(new, |tx| {
            let space = queries::spaces::by_name(tx, &self.space)?.ok_or_else(gone)?;
            let scope = Scope {
                space: space.id,
                name: &self.space,
                uses: None,
            };
            work(&mut Planner::new(tx, space, scope, &geometry, None))
        })
    }

    /// The space that these options describe.
    fn new_space<'a>(&'a self, geometry: &'a Geometry) -> Result<SpaceToMake<'a>> {
        let wanted = self.max_mem.unwrap_or(DEFAULT_MAX_MEM);
        let max_mem = i64::try_from(wanted).ok().filter(|&bytes| bytes > 0);
        let history = self.history.unwrap_or_else(|| History::of_new_space(wanted));
        Ok(SpaceToMake {
            name: &self.space,
            max_mem: max_mem.ok_or(Error::BadMaxMem { max_mem: wanted })?,
            geometry,
            history: history.setting()?,
            eviction: Eviction::setting(self.eviction),
            max_file: self.max_file.map(signed),
            created_at: Timestamp::now(),
        })
    }

    /// Refuses an invalid name of a space.
    pub(in crate::manager) fn check_name(&self) -> Result<()> {
        if self.space.is_empty() || self.space.len() > 255 {
            return Err(Error::BadSpaceName {
                length: self.space.len(),
            });
        }
        if self.space.contains('\0') {
            return Err(Error::NulInName {
                name: self.space.clone(),
            });
        }
        Ok(())
    }

    fn find_or_make(&self, opening: &mut Opening, new: SpaceToMake<'_>) -> Result<(MemRam, Geometry)> {
        self.compare_ceiling(opening)?;
        let tx = &mut opening.read();
        if let Some(space) = queries::spaces::by_name(tx, &self.space)? {
            // What is left of a space that is being dropped can be read.
            if !self.read_only && self.purpose != Purpose::Drop {
                space.is_kept()?;
            }
            let geometry = match queries::spaces::geometry(tx, &space) {
                Ok(geometry) => geometry,
                // Somebody may have dropped it in between.
                Err(_) if queries::spaces::by_name(tx, &self.space)?.is_none_or(|now| now.id != space.id) => {
                    return self.find_or_make(opening, new);
                }
                Err(error) => return Err(error),
            };
            self.compare(&space, &geometry, &opening.location())?;
            return Ok((space, geometry));
        }
        if self.read_only || !self.create_space || self.purpose != Purpose::Use {
            let known = queries::spaces::all(tx)?;
            return Err(unknown_space(known, &self.space, &opening.location()));
        }
        self.check_name()?;
        if opening.make_space(new)? {
            let space = queries::spaces::by_name(&mut opening.read(), &self.space)?;
            return space.map(|space| (space, new.geometry.clone())).ok_or_else(gone);
        }
        // Another process created it in the meantime.
        self.find_or_make(opening, new)
    }

    /// Refuses a file with spaces and another ceiling.
    fn compare_ceiling(&self, opening: &mut Opening) -> Result<()> {
        let Some(wanted) = self.max_file else {
            return Ok(());
        };
        let tx = &mut opening.read();
        let (found, spaces) = (tx.max_file()?, queries::spaces::all(tx)?);
        if spaces.is_empty() || found == Some(wanted) {
            return Ok(());
        }
        Err(SpaceError::OtherCeiling {
            path: opening.location().named().to_owned(),
            max_file: found,
            wanted,
        }
        .into())
    }

    fn compare(&self, space: &MemRam, geometry: &Geometry, location: &Location) -> Result<()> {
        let refuse = |why: String| {
            Err(Error::SpaceExists {
                space: space.name.clone(),
                path: location.named().to_owned(),
                why,
            })
        };
        if self.create_new_space {
            return refuse("it was not changed".into());
        }
        if let Some(wanted) = self.max_mem.filter(|&wanted| wanted != space.max_mem) {
            return refuse(format!("it has {} bytes, not {wanted}", space.max_mem));
        }
        if self.geometry.as_ref().is_some_and(|wanted| wanted != geometry) {
            return refuse("its arena size and size classes are different, and cannot be changed".into());
        }
        Ok(())
    }
}

/// The error for a space that a heap does not have.
pub(in crate::manager) fn unknown_space(known: Vec<MemRam>, name: &str, heap: &Location) -> Error {
    Error::UnknownSpace {
        space: name.to_owned(),
        known: known.into_iter().map(|space| space.name).collect(),
        path: heap.named().to_owned(),
    }
}

fn gone() -> Error {
    Error::Damaged {
        what: "the space that was just created is missing".into(),
    }
}
