//! Options for opening a heap.

mod schema;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::books::history_change::HistorySetting;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::manager::History;
use crate::manager::history::record::short_enough;
use crate::manager::objects::read::Scope;
use crate::manager::{Inner, MemManager, Planner};
use crate::models::{MemRam, Timestamp, signed, unsigned};
use crate::store::{Access, Deadline, Durability, LEAST_CEILING, Location, Opening, ReadTx, queries};

/// Options for opening a heap; see [`MemManager::options`].
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("heap.db");
/// use heapledger::{Durability, MemManager};
///
/// let cache = MemManager::options()
///     .space("cache")
///     .max_mem(64 * 1024 * 1024)
///     .durability(Durability::Normal)
///     .open(path)?;
/// # Ok::<(), heapledger::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until `open`"]
pub struct Options {
    space: String,
    max_mem: Option<u64>,
    max_file: Option<u64>,
    geometry: Option<Geometry>,
    history: Option<History>,
    durability: Durability,
    read_only: bool,
    create: Option<bool>,
    create_new_space: bool,
    busy_timeout: Duration,
    max_snapshot_age: Option<Duration>,
    plain_io: bool,
    lease: Duration,
    actor: Option<String>,
}

/// What servers do not have.
const MAX_FILE: &str = "a ceiling of the file";

/// Default capacity of a new space, in bytes.
const DEFAULT_MAX_MEM: u64 = 1 << 30;

impl Default for Options {
    fn default() -> Self {
        Self {
            space: "main".into(),
            max_mem: None,
            max_file: None,
            geometry: None,
            history: None,
            durability: Durability::default(),
            read_only: false,
            create: None,
            create_new_space: false,
            busy_timeout: Location::BUSY_TIMEOUT,
            max_snapshot_age: None,
            plain_io: false,
            lease: Duration::from_secs(300),
            actor: None,
        }
    }
}

impl Options {
    /// The space to open; `main` by default. A file may hold several.
    pub fn space(mut self, name: impl Into<String>) -> Self {
        self.space = name.into();
        self
    }

    /// Capacity in bytes of a new space; 1 GiB by default. An existing space must have the same
    /// capacity; [`MemManager::resize`] changes it.
    pub fn max_mem(mut self, bytes: u64) -> Self {
        self.max_mem = Some(bytes);
        self
    }

    /// Ceiling in bytes of everything that a new file has on disk; none by default. An existing file must
    /// have the same; [`MemManager::set_max_file`] changes it, and explains it.
    pub fn max_file(mut self, bytes: u64) -> Self {
        self.max_file = Some(bytes);
        self
    }

    /// Sizes of a new space; [`Geometry::standard`] by default. An existing space must
    /// have the same.
    pub fn geometry(mut self, geometry: Geometry) -> Self {
        self.geometry = Some(geometry);
        self
    }

    /// The history of a new space; [`History::of_new_space`] by default.
    /// [`MemManager::set_history`] sets that of an existing one. With [`Error::BadHistoryLimit`],
    /// [`Self::open`] refuses a limit that is too small.
    pub fn history(mut self, history: History) -> Self {
        self.history = Some(history);
        self
    }

    /// What a commit survives; [`Durability::Full`] by default.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Opens for reading only, and creates nothing.
    ///
    /// A user without write permission in the heap's folder can read it, and sees only complete
    /// states. While nobody has it open, there is no write-ahead log, and only the file is read.
    /// Once somebody opens it for writing, the next read uses the log. A running read keeps its
    /// state; if the file is changed before that could be ensured, it fails with
    /// [`Error::ChangedWhileRead`]. Such a user cannot read a log that was left without its `-shm`:
    /// [`Error::LogUnreadable`].
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Whether a missing heap is created: the file, or on a server the schema. By default, a file is and a
    /// schema is not, because an address with a typing error should not lead to an empty heap that
    /// many use. A missing space of an existing heap is created in any case.
    pub fn create(mut self, create: bool) -> Self {
        self.create = Some(create);
        self
    }

    /// Refuses an existing space.
    pub fn create_new_space(mut self, create_new: bool) -> Self {
        self.create_new_space = create_new;
        self
    }

    /// The actor to record in the history; none by default. At most 1,024 bytes, otherwise
    /// [`Self::open`] fails with [`Error::TooLong`].
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// How long a large object that is being stored lasts after its last part; 5 minutes by default.
    ///
    /// Each part renews it, with the lease of the manager that stores it. If its process dies, or its
    /// source is silent for longer, the next writes of others give its bytes back step by step, and
    /// [`MemManager::collect_garbage`] at once. If its process is alive after all, its call fails with
    /// [`UploadLapsed`](crate::ReservationError::UploadLapsed). See [`MemManager::allocate_from`].
    pub fn lease(mut self, time: Duration) -> Self {
        self.lease = time;
        self
    }

    /// How long a call waits for others before [`Error::Busy`] or [`Error::LogHeld`]; 5 s by default.
    ///
    /// It limits the total wait in one call: for writing threads of the process, for other
    /// processes, for tools that lock the file, and for readers that hold the write-ahead log.
    /// [`Duration::ZERO`] means not to wait at all, [`Duration::MAX`] to wait forever.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How long a read may look at one state of the heap before it fails with
    /// [`Error::SnapshotTooOld`]; unlimited by default.
    ///
    /// A read of an old state keeps the write-ahead log from starting again, and once the log is at
    /// its limit, writers are refused with [`Error::LogHeld`]. With this option a reader fails
    /// instead: at its next access, or at the next row that it gets, and the log is free from then on.
    /// It holds for everything that looks at one state: the closures of [`MemManager::read`] and
    /// [`MemManager::try_read`], a [`MemManager::snapshot`] with its iterators and readers, and the
    /// calls that read for long, such as [`MemManager::check`] and [`MemManager::export`]. Iterators
    /// and readers of the manager itself hold nothing between two pages or pieces, so they never
    /// become too old.
    ///
    /// A snapshot that nobody is using is ended by a writer of the same process when it needs the log.
    /// What this cannot end: a closure that does not access the heap again, until it returns; a
    /// single statement of SQLite that runs for long without returning rows, such as the copying of
    /// [`MemManager::backup`]; and reads by other programs and by managers without this option.
    pub fn max_snapshot_age(mut self, age: Duration) -> Self {
        self.max_snapshot_age = Some(age);
        self
    }

    /// Writes only through SQLite's own VFS, below a check of the [ceiling](Self::max_file); `false` by
    /// default.
    ///
    /// Otherwise a small layer below SQLite writes each commit in one piece and lets files grow in
    /// larger steps. The files, and what a commit survives, are the same either way, but commits are
    /// slower without the layer. Use this if the layer is suspected of causing harm on a certain file
    /// system.
    pub fn plain_io(mut self, plain: bool) -> Self {
        self.plain_io = plain;
        self
    }

    /// Opens the heap file, and creates the file and the space if missing.
    ///
    /// # Errors
    /// - [`Error::NoFile`], [`Error::UnknownSpace`]: there is nothing to read;
    /// - [`Error::SpaceExists`]: the space exists with other sizes, or at all;
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
    /// - [`Error::Reentered`]: the space would be created inside a batch of the same file;
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
        let deadline = Deadline::after(self.busy_timeout);
        self.open_until(deadline, path.as_ref())
            .map_err(|error| deadline.stamp(error))
    }

    fn location(&self, deadline: Deadline, path: &Path) -> Result<Location> {
        let location = Location::at(path)?.for_opening(self.durability, self.busy_timeout, deadline);
        let location = location.with_max_snapshot_age(self.max_snapshot_age);
        Ok(location.with_plain_io(self.plain_io))
    }

    fn open_until(self, deadline: Deadline, path: &Path) -> Result<MemManager> {
        short_enough("an actor", self.actor.as_deref().unwrap_or_default())?;
        let location = self.location(deadline, path)?;
        let max_mem = self.new_max_mem()?;
        if self.max_file.is_some() {
            location.file(MAX_FILE, "Options::max_mem bounds each space")?;
        }
        if let Some(wanted) = self.max_file.filter(|&bytes| bytes < LEAST_CEILING) {
            let least = LEAST_CEILING;
            return Err(Error::BadMaxFile { wanted, least, free: 0 });
        }
        let history = self.new_history(max_mem)?;
        let access = if self.read_only { Access::Read } else { Access::Write };
        if location.is_on_server() {
            // A server cannot even look for a name that it could not store.
            self.check_name()?;
        }
        let create = self.create.unwrap_or(!location.is_on_server());
        // An existing file may have a space whose name must be repaired.
        if location.is_new() && access == Access::Write {
            self.check_name()?;
        }
        let mut opening = location.open(access, create)?;
        let (space, geometry) = self.find_or_make(&mut opening, max_mem, history)?;
        let (location, readers, writer) = opening.finish(space.id, &geometry)?;
        Ok(MemManager {
            inner: Arc::new(Inner {
                space: space.id,
                name: space.name,
                geometry,
                location,
                readers,
                writer,
                actor: self.actor.map(Into::into),
                lease: self.lease,
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
        let (max_mem, geometry) = (self.new_max_mem()?, self.geometry.clone().unwrap_or_default());
        let history = self.new_history(max_mem)?;
        ReadTx::with_space_in_memory(&self.space, max_mem, &geometry, history, Timestamp::now(), |tx| {
            let space = queries::spaces::by_name(tx, &self.space)?.ok_or_else(gone)?;
            let scope = Scope {
                space: space.id,
                name: &self.space,
            };
            work(&mut Planner::new(tx, space, scope, &geometry, None))
        })
    }

    fn new_max_mem(&self) -> Result<i64> {
        let wanted = self.max_mem.unwrap_or(DEFAULT_MAX_MEM);
        let max_mem = i64::try_from(wanted).ok().filter(|&bytes| bytes > 0);
        max_mem.ok_or(Error::BadMaxMem { max_mem: wanted })
    }

    fn new_history(&self, max_mem: i64) -> Result<HistorySetting> {
        let default = || History::of_new_space(unsigned(max_mem));
        self.history.unwrap_or_else(default).setting()
    }

    /// Refuses an invalid name of a space.
    fn check_name(&self) -> Result<()> {
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

    fn find_or_make(&self, opening: &mut Opening, max_mem: i64, history: HistorySetting) -> Result<(MemRam, Geometry)> {
        self.compare_ceiling(opening)?;
        let tx = &mut opening.read();
        if let Some(space) = queries::spaces::by_name(tx, &self.space)? {
            let geometry = queries::spaces::geometry(tx, &space)?;
            self.compare(&space, &geometry, &opening.location())?;
            return Ok((space, geometry));
        }
        if self.read_only {
            let known = queries::spaces::all(tx)?.into_iter();
            return Err(Error::UnknownSpace {
                space: self.space.clone(),
                known: known.map(|space| space.name).collect(),
                path: opening.location().named().to_owned(),
            });
        }
        self.check_name()?;
        let geometry = self.geometry.clone().unwrap_or_default();
        let max_file = self.max_file.map(signed);
        if opening.make_space(&self.space, max_mem, &geometry, history, max_file, Timestamp::now())? {
            let space = queries::spaces::by_name(&mut opening.read(), &self.space)?;
            return space.map(|space| (space, geometry)).ok_or_else(gone);
        }
        // Another process created it in the meantime.
        self.find_or_make(opening, max_mem, history)
    }

    /// Refuses a file with spaces and another ceiling.
    fn compare_ceiling(&self, opening: &mut Opening) -> Result<()> {
        let Some(wanted) = self.max_file else {
            return Ok(());
        };
        let tx = &mut opening.read();
        let (found, spaces) = (tx.max_file()?, queries::spaces::all(tx)?);
        let Some(first) = spaces.into_iter().next().filter(|_| found != Some(wanted)) else {
            return Ok(());
        };
        let found = found.map_or("none".into(), |bytes| format!("{bytes} bytes"));
        Err(Error::SpaceExists {
            space: first.name,
            path: opening.location().named().to_owned(),
            why: format!("the ceiling of the file is {found}, not {wanted}"),
        })
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

fn gone() -> Error {
    Error::Damaged {
        what: "the space that was just created is missing".into(),
    }
}
