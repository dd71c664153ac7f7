//! Options for opening a heap.

pub(in crate::manager) mod open;
mod schema;

use std::time::Duration;

#[cfg(doc)]
use crate::error::Error;
use crate::geometry::Geometry;
#[cfg(doc)]
use crate::manager::MemManager;
use crate::manager::{Eviction, History};
#[cfg(doc)]
use crate::models::Policy;
use crate::store::{Durability, Location};

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
    eviction: Option<Eviction>,
    durability: Durability,
    read_only: bool,
    create: Option<bool>,
    create_space: bool,
    create_new_space: bool,
    busy_timeout: Duration,
    max_snapshot_age: Option<Duration>,
    plain_io: bool,
    lease: Duration,
    actor: Option<String>,
    purpose: Purpose,
}

/// What a space is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::manager) enum Purpose {
    /// To be used; a missing one is created.
    #[default]
    Use,
    /// To be changed as a whole, so it must be there.
    Change,
    /// To be dropped, or to have that completed.
    Drop,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            space: "main".into(),
            max_mem: None,
            max_file: None,
            geometry: None,
            history: None,
            eviction: None,
            durability: Durability::default(),
            read_only: false,
            create: None,
            create_space: true,
            create_new_space: false,
            busy_timeout: Location::BUSY_TIMEOUT,
            max_snapshot_age: None,
            plain_io: false,
            lease: Duration::from_secs(300),
            actor: None,
            purpose: Purpose::default(),
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
        // What is stored is a signed number.
        self.max_file = Some(bytes.min(i64::MAX as u64));
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

    /// Lets a new space evict other objects if there is no room for a new one, instead of refusing it. By
    /// default, and without this call, nothing is ever dropped. [`MemManager::set_eviction`] changes it for an
    /// existing space.
    ///
    /// Whole objects go, with all their names, in the same transaction as the allocation, upload or reservation that
    /// would otherwise be refused, after [what has expired](crate::Hold::expires_in) was given back: the fewest that
    /// have enough bytes, in the order of the policy. What is [pinned](MemManager::pin), younger than
    /// [`Eviction::min_age`], or stored by the same transaction stays. If the others are not enough, the allocation
    /// is refused and nothing is evicted. Content of a size that is not known beforehand needs room part by part,
    /// and evicts as it comes.
    ///
    /// In the history each is an event of kind `evict`, whose `changes` have the cause, before its `free`.
    /// [`MemManager::plan_eviction`] tells which would go. Eviction takes O(log n) for each; with `Largest`
    /// only as long as one of at least 4 KiB may go, and otherwise O(n) for each allocation. Objects that
    /// would be first but may not go are skipped one by one.
    ///
    /// With [`Policy::Lru`], [`Policy::Sieve`] and [`Policy::S3Fifo`] each read of an object counts as a use of it, and
    /// so does storing it again. It is noted in memory, and written with the next commit of this manager or a clone,
    /// else within about a second, and when the last clone of the manager is dropped. A read never waits for that. Uses
    /// make no events, and are dropped where they cannot be written. Up to 65,536 objects are noted in between.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("heap.db");
    /// use std::time::Duration;
    /// use heapledger::{Eviction, MemManager, Policy};
    ///
    /// let minute = Duration::from_secs(60);
    /// let cache = MemManager::options()
    ///     .max_mem(64 * 1024 * 1024)
    ///     .evict(Eviction::by(Policy::Oldest).min_age(minute))
    ///     .open(path)?;
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn evict(mut self, eviction: impl Into<Eviction>) -> Self {
        self.eviction = Some(eviction.into());
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

    /// Whether a missing heap is created: the file, or on a server the schema. By default, a file is
    /// created and a schema is not, because a mistyped address should not lead to an empty heap that many
    /// use. [`Self::create_space`] is about the spaces of an existing heap.
    pub fn create(mut self, create: bool) -> Self {
        self.create = Some(create);
        self
    }

    /// Whether a missing space of an existing heap is created, as it is by default; otherwise, [`Self::open`] fails
    /// with [`Error::UnknownSpace`](crate::Error::UnknownSpace). With `create(false)` as well, nothing but what is
    /// there can be opened. Opening for writing restores the WAL mode and dropped indexes of a file in any case.
    ///
    /// ```
    /// use heapledger::{Error, MemManager};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let file = folder.path().join("heap.db");
    /// drop(MemManager::options().open(&file)?);
    /// let mistyped = MemManager::options().space("mian").create_space(false).open(&file);
    /// assert!(matches!(mistyped, Err(Error::UnknownSpace { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_space(mut self, create: bool) -> Self {
        self.create_space = create;
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
}
