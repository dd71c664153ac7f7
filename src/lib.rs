//! A bounded, persistent heap in one SQLite file. Every byte is accounted for by a row that
//! plain SQL can read.
//!
//! Objects are identified by their content, split across blocks, and placed as CPython
//! places its own: arena → pool → block. [`MemManager`] is the entry point; any SQL tool can
//! read the file.
//!
//! ```
//! use heapledger::{Error, MemManager};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("heap.db");
//! let memory = MemManager::options().max_mem(64 * 1024).open(path)?;
//!
//! // Stores any value that serde can serialise, and any bytes.
//! let id = memory.allocate(&("point", [1, 2]))?;
//! let raw = memory.allocate_bytes(&[7; 3000])?;
//! assert_eq!(memory.get::<(String, [i32; 2])>(&id)?, ("point".to_owned(), [1, 2]));
//! assert_eq!(memory.get_bytes(&raw)?.len(), 3000);
//!
//! // The same value again is stored once.
//! assert_eq!(memory.allocate_bytes(&[7; 3000])?, raw);
//! assert_eq!(memory.stats()?.dedup_hits, 1);
//!
//! // The bound is hard: what does not fit is refused, and nothing changes.
//! let refused = memory.allocate_bytes(&[0; 100_000]);
//! assert!(matches!(refused, Err(Error::OutOfMemory { needed: 100_000, .. })));
//!
//! // The bytes are where the ledger says, and the books balance.
//! assert_eq!(memory.ledger(&raw)?.iter().map(|entry| entry.allocated_mem).sum::<u64>(), 3000);
//! assert!(memory.check()?.is_empty());
//! # Ok::<(), Error>(())
//! ```
//!
//! # How it works
//!
//! | layer | what it does |
//! | --- | --- |
//! | [`MemManager`] | units of work: allocate, free, bind, collect |
//! | placement | pure decisions: which block, or which carving, comes next |
//! | triggers | pure functions over every row change: free flags, totals, counters |
//! | store | the only code that sees a connection; writes go through the triggers |
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `sqlite` (default) | the engine, compiled in; without it the library does not compile |
//! | `cli` (default) | the program `heapledger`, and the crates that only it needs |
//! | `postgres` | heaps on PostgreSQL servers, through the system's libpq |
//! | `postgres-bundled` | the same with libpq and OpenSSL compiled in; needs `perl` and `make` |
//! | `metrics` | counters and durations of commits, checkpoints and refusals, through the crate [`metrics`] |
//! | `tracing` | spans of the crate [`tracing`] around them |
//!
//! [`metrics`]: https://docs.rs/metrics
//! [`tracing`]: https://docs.rs/tracing
//!
//! A program that uses only the library needs `default-features = false, features = ["sqlite"]`.
//!
//! # One file, one SQLite
//!
//! SQLite isolates programs with locks on the heap file and on the `-shm` file next to it.
//! When a process closes any descriptor of a file, POSIX drops all of the process's locks on
//! that file. The next program that closes the heap then believes that it is the last one
//! and removes the write-ahead log, and later commits are lost. While a program has a heap
//! open, it must not
//!
//! - open and close the heap file or its `-shm` itself, not even to read: no [`std::fs::copy`]
//!   and no [`std::fs::read`]. [`MemManager::backup`] makes a copy, and
//!   [`MemManager::has_open`] recognises these files;
//! - use the heap through a second copy of SQLite in the same process, such as the system's
//!   or one compiled into another crate. Neither copy knows about the other's locks.
//!
//! Both are safe from another process, and so are several managers in one process.
//!
//! Nobody may move, replace or truncate the heap or its log while it is open, because SQLite
//! finds the log only next to the original name. A writer whose file was moved, or whose log
//! is missing or shorter, notices before its next commit ([`Error::FileChanged`],
//! [`Error::Database`]); earlier commits may exist only in the old log. With
//! [`Durability::Normal`] it looks once a millisecond.
//!
//! A heap with several hard links could have several logs and is not opened for writing
//! ([`Error::HardLinked`]). It can be read if no other name can have a log: all names are in
//! the same folder, or the log is next to the name that was given. Symbolic links are
//! resolved first and are harmless.

#![warn(missing_docs)]

#[cfg(not(feature = "sqlite"))]
compile_error!("heapledger needs an engine: the feature `sqlite`");

mod books;
mod clock;
mod error;
mod geometry;
mod identity;
mod instruments;
mod manager;
mod models;
mod store;
mod temporary;
mod value;

pub use books::eviction::replay::{Replay, Replayed};
pub use books::eviction::run::{ReplayRun, ReplayStrategy};
pub use books::eviction::trace::{Footprint, TraceRequest};
pub use books::invariants::Invariant;
#[doc(hidden)]
pub use clock::{advance_clock, pass_time};
pub use error::{
    Error, ExpiryError, HeldLog, LogHolder, PlanError, ReservationError, Result, ServerError, SpaceError, TransferError,
};
pub use geometry::{Geometry, SizeClass};
pub use manager::{
    ActorFlow, Allocation, Applied, Backup, Batch, BatchReader, BlockMap, Bound, CheckNote, CheckOptions, ClassDiff,
    ClassStats, ClassUse, Collected, CompactOptions, Compacted, Conflict, Copied, CopiedSpace, CopyOptions, Correction,
    Diff, DiskUse, Entries, EventCounts, Events, EvictOptions, Evicted, Eviction, EvictionPlan, Expired, Expiry,
    Exported, Figure, FileAttributes, FileType, Finding, Flows, FreePlan, Freed, FreedTagged, Held, HeldBy, History,
    Hold, HoldWith, Holders, ImportOptions, Imported, InPool, KindFlow, Layout, LayoutDigest, MapCell, MapFrame,
    MemManager, Moment, MoveTo, Mover, NamesWithPrefix, NewBlock, NewPool, NotAPath, ObjectReader, ObjectSize,
    ObjectWriter, Objects, Occupants, OnConflict, Options, Phase, Plan, PlanEvict, PlanFree, PlanMove, PlanPiece,
    PlanSlice, Planner, QuotaUsage, Refused, Remedy, Repaired, Report, ReportNow, ReportOptions, Reservation, Reserve,
    Restored, SaveTreeOptions, SavedTree, Severity, Snapshot, SpaceReport, SparseOptions, Stats, StoreTarOptions,
    StoredTar, TagBucket, TagUsage, TarStream, UnsavedName, UnstoredMember, UsagePoint, Victim, Watch, Work, WorkKind,
    WorkPlan, WorkTotals, name_of_path, path_of_name,
};
pub use models::{
    Arena, ArenaId, Block, BlockId, DroppedSpace, Event, EventId, EventKind, HistoryMode, KindTotals, Ledger, LedgerId,
    MemRam, MemRamId, Name, OverQuota, Policy, Pool, PoolId, Promise, Quota, QuotaLimit, QuotaLimits, QuotaState,
    ReservationId, ReservationInfo, ReservationState, SizeClassTotals, StoredObject, StoredObjectId, Timestamp,
    UnknownPolicy,
};
#[cfg(feature = "postgres")]
pub use store::Address;
pub use store::queries::audit::{Bucket, BucketName, Claim, ClaimName, Violation};
pub use store::queries::entries::{EntryInfo, Piece};
pub use store::queries::event_filter::EventFilter;
pub use store::queries::names::NameInfo;
pub use store::queries::objects::ObjectInfo;
pub use store::queries::sparse::Occupant;
pub use store::queries::tags::TagValue;
pub use store::queries::usage::{Level, LevelUsage};
#[doc(hidden)]
pub use store::queries::written::find_sign;
pub use store::queries::written::{SqlQuery, SqlValue};
pub use store::{Durability, TreeKind, TreeSize};
pub use temporary::interrupt;
pub use value::{Hasher, Json, Kind, ObjectId};

/// Compiles the README's example; tests/cli/readme.rs runs it.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
