//! `MemManager`, the handle of an open space.

use std::sync::Arc;
use std::time::Duration;

#[cfg(doc)]
use crate::error::Error;
use crate::geometry::Geometry;
use crate::manager::objects::abandoned::Abandoned;
use crate::manager::objects::uses::Uses;
use crate::models::MemRamId;
use crate::store::{Group, Location, Readers};

/// One space of a heap file: allocate, get, name, free, and account for every byte.
///
/// A `MemManager` is cheap to clone, and clones share one writer: threads that write
/// at the same time share commits. Readers run in parallel with the writer, and each sees the
/// last commit. During heavy writing, a separate thread copies the write-ahead log
/// into the file; it ends before the last clone is dropped.
///
/// Each reading thread uses a separate connection, with a page cache of up to 32 MiB. As many
/// idle connections as there are processors, at most 16, stay open; the others are closed, with
/// their caches and their descriptors of the log. SQLite itself holds on to their descriptors of
/// the heap file until no connection is open, because closing one would drop the
/// [locks](crate#one-file-one-sqlite) of the process.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("heap.db");
/// use heapledger::MemManager;
///
/// let memory = MemManager::open(path)?;
/// let id = memory.allocate(&vec![1, 2, 3])?;
/// assert_eq!(memory.get::<Vec<i32>>(&id)?, [1, 2, 3]);
/// memory.free(&id)?;
/// assert!(memory.check()?.is_empty());
/// # Ok::<(), heapledger::Error>(())
/// ```
///
/// # Errors
///
/// Each method documents its own errors. In addition, any call that reads the file fails with
///
/// - [`Error::Busy`] if others hold the lock that it needs for longer than
///   [`Options::busy_timeout`](crate::Options::busy_timeout). Readers do not wait for
///   writers, only for a lock on the whole file;
/// - [`Error::FileChanged`] if the file was moved, removed or replaced under the manager,
///   [`Error::ChangedWhileRead`] and [`Error::LogUnreadable`] if this user may not write next to
///   it;
/// - [`Error::SnapshotTooOld`] if it looks at one state for longer than
///   [`Options::max_snapshot_age`](crate::Options::max_snapshot_age);
/// - [`Error::Reentered`] from inside another call of the same [`Self::snapshot`];
/// - [`Error::Space`] if the space was dropped: every write, and every read that does not find what it
///   needs. A read that can say that nothing is there, such as [`Self::contains`] or a list, says so;
/// - [`Error::Damaged`] if a row contradicts what the schema promises;
/// - [`Error::DiskFailed`] if the file cannot be read, [`Error::Io`] if the process has no file
///   descriptor left, [`Error::Database`] for any other error of SQLite.
///
/// Any write also fails with
///
/// - [`Error::ReadOnly`] if the heap was opened for reading or is a snapshot,
///   [`Error::NotWritable`] if the file may not be written;
/// - [`Error::LogHeld`] if the write-ahead log is at its limit, and somebody reads an old state from it
///   for longer than [`Options::busy_timeout`](crate::Options::busy_timeout). The limit is 64 MiB, or
///   less under a [`max_file`](crate::Options::max_file); the log never has more than that plus one
///   transaction. Freeing and collecting lengthen it as well, so they are refused too;
/// - [`Error::Reentered`] inside a batch of the same file;
/// - [`Error::TooLong`] if the reason given to [`Self::because`] is too long;
/// - [`Error::NoIdsLeft`] if the space has used up its 2⁴⁰ − 1 ids for a table;
/// - [`Error::FileFull`] if the heap would take more than its [ceiling](Self::set_max_file) on disk;
/// - [`Error::DiskFull`].
///
/// On a server, any call can fail with one of [`Error::Server`](crate::ServerError) instead of the errors
/// of files:
///
/// - `Unreachable`, if no connection can be opened. An open heap tries until the call has taken
///   [`Options::busy_timeout`](crate::Options::busy_timeout), because the server may be starting again. A host
///   that does not answer is given up on after 10 seconds, and one that stops answering is lost after 40,
///   unless the address says otherwise (`connect_timeout`, `keepalives_idle`, `tcp_user_timeout`, …);
/// - `Lost`, if the connection is lost within a batch, a part of a large object, the closure of [`Self::read`] or
///   [`Self::plan_batch`], a call on a [`Self::snapshot`], a check, an export or a copy. Other writes and reads,
///   such as [`Self::get`], run again by themselves until the same time is over;
/// - `CommitUnknown`, if the connection is lost at a commit and the server cannot be asked about it
///   within the timeout, or others have committed more than 32 times meanwhile. **Only after this error
///   may something have changed.** Otherwise the commit is looked for on another connection: if it is
///   there, the call succeeds, and if not, it never will be;
/// - `Conflict`, if the server ended a batch to resolve a deadlock. Other writes run again. The isolation level
///   that a role or a database prefers has no effect: each connection sets its own;
/// - `Cancelled`, after `pg_cancel_backend` or a `statement_timeout`; `Standby`, if the server only reads;
/// - `Full`, if a disk of the server is full. If it is the disk of the server's own log, the server stops
///   instead, which is `Unreachable`;
/// - [`Error::Busy`], if others hold the row of the space for longer than the timeout.
///
/// After any error nothing has changed, unless the method documents what stays.
#[derive(Clone)]
#[doc(alias = "MemoryManager")]
pub struct MemManager {
    pub(super) inner: Arc<Inner>,
    pub(super) reason: Option<Arc<str>>,
}

pub(super) struct Inner {
    pub space: MemRamId,
    pub name: String,
    pub geometry: Geometry,
    pub location: Location,
    pub actor: Option<Arc<str>>,
    /// How long an upload lasts after its last part.
    pub lease: Duration,
    pub readers: Readers,
    /// `None` if the file was opened for reading.
    pub writer: Option<Arc<Group>>,
    /// What was used since uses were last written.
    pub uses: Uses,
    /// Uploads that are still to be given up.
    pub abandoned: Abandoned,
}

impl std::fmt::Debug for MemManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemManager")
            .field("path", &self.path())
            .field("space", &self.space())
            .finish_non_exhaustive()
    }
}
