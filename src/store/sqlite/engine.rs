//! The engine of the writer: one SQLite connection, and everything about writing that is specific to
//! SQLite.

mod cache;
mod near_ceiling;
mod room_in_log;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use self::cache::Cache;
use super::ceiling::{Ceiling, OnDisk, forget_refusal};
use super::checkpoint::{Checkpoints, LONG};
use super::exec::{self, Run};
use super::log::Log;
use super::pages::file_sizes;
use super::prepare::STAMP;
use super::spool::Spool;
use super::write;
use crate::books::batch::Batch;
use crate::books::limits::Limits;
use crate::error::{Error, Result};
use crate::models::{MemRamId, unsigned};
use crate::store::conn::Conn;
use crate::store::deadline::Deadline;
use crate::store::engine::Engine;
use crate::store::read::ReadTx;
use crate::store::settings::Durability;
use crate::store::sqlite::location::FileLocation;
use crate::store::statement::{Sql, Statement, sql};

/// How often to check that a file written without syncs is still in place.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Transactions on one connection. The writer knows when they may begin or end.
pub(in crate::store) struct SqliteEngine {
    /// Dropped before the connection.
    checkpoints: Checkpoints,
    conn: Conn,
    cache: Cache,
    location: FileLocation,
    /// The deadline of the current call.
    deadline: Deadline,
    /// When the path last led to the file.
    looked: Option<Instant>,
    log: Log,
    ceiling: Arc<Ceiling>,
    /// Bytes below the ceiling that units of work which share a commit may need.
    shared_room: u64,
    /// When there was last much room below the ceiling.
    far_from_ceiling: Option<Instant>,
    /// The limit of the log far from the ceiling, in bytes.
    log_limit: u64,
    /// Bytes of its log that the connection keeps when it starts the log again; at first as `connect` has set it.
    log_kept: u64,
    /// Whether the transaction does more than make room.
    grows: bool,
    /// The [`Self::version`] in which the length of the log is known, if it is.
    log_known: Option<i64>,
    /// Set when a call begins to wait for readers of the log, and cleared once the log can be shortened.
    log_is_held: Arc<AtomicBool>,
    /// Changes when another connection has committed.
    version: i64,
    /// Whether all transactions may use the reserve.
    may_use_reserve: bool,
    /// Whether the transaction changes the ceiling.
    moves_ceiling: bool,
    /// Whether the next commit must write page 1, because it may be the first in its log; page 1
    /// identifies the file that the log belongs to (see `stale_log`).
    stamp: bool,
    /// Whether commits are to be synced; see [`Self::sync_commits`].
    syncs: bool,
    /// Whether the connection syncs them.
    is_synced: bool,
}

impl SqliteEngine {
    pub fn new(location: FileLocation, mut conn: Conn) -> Self {
        // SQLite would wait for each lock as long as the whole call may, so `deadline` waits
        // instead. If this fails, it only waits too long.
        let _ = conn.batch_execute("PRAGMA busy_timeout = 0");
        Self {
            deadline: Deadline::after(location.settings.busy_timeout),
            checkpoints: Checkpoints::default(),
            log: Log::new(&location),
            ceiling: Ceiling::of(&location.path),
            shared_room: u64::MAX,
            far_from_ceiling: None,
            log_limit: location.log_limit,
            log_kept: location.log_limit / LONG,
            grows: false,
            log_known: None,
            log_is_held: Arc::default(),
            version: 0,
            may_use_reserve: false,
            moves_ceiling: false,
            conn,
            cache: Cache::default(),
            location,
            looked: None,
            stamp: true,
            syncs: true,
            is_synced: true,
        }
    }

    fn ask_version(&mut self) -> Result<i64> {
        Ok(exec::data_version(self.conn.sqlite()?)?)
    }

    fn read_ceiling(&mut self) -> Result<()> {
        self.ceiling.read(&mut ReadTx::new(&mut self.conn))
    }

    /// Checks that the path still leads to this file. For commits without a sync this would take a
    /// thirtieth of the time, so for them the check may be a moment old.
    fn same_file(&mut self) -> Result<()> {
        let synced = self.location.settings.durability == Durability::Full;
        if synced || self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN) {
            self.location.same_file_to_write()?;
            self.log.is_whole(&mut self.conn)?;
            self.looked = Some(Instant::now());
        }
        Ok(())
    }

    fn keep_reserve(&self) {
        self.ceiling.keep_reserve(self.grows && !self.may_use_reserve);
    }

    /// Makes the connection sync commits, or not, as `syncs` says, before a transaction begins. If
    /// that fails, none begins, so that nothing is acknowledged that is not synced.
    fn set_sync(&mut self) -> Result<()> {
        if self.location.settings.durability == Durability::Full && self.is_synced != self.syncs {
            self.execute(if self.syncs {
                "PRAGMA synchronous = FULL"
            } else {
                "PRAGMA synchronous = NORMAL"
            })?;
            self.is_synced = self.syncs;
        }
        Ok(())
    }

    /// Runs a statement that stays prepared.
    fn run<S: Sql>(&mut self) -> Result<()> {
        let done = self.conn.sqlite().and_then(|conn| Statement::<S, 0>::run(conn, []));
        self.explain(done).map(drop)
    }

    fn execute(&mut self, sql: &'static str) -> Result<()> {
        let done = self.conn.batch_execute(sql);
        self.explain(done)
    }

    /// Translates a database error.
    fn explain<T>(&self, result: QueryResult<T>) -> Result<T> {
        result.map_err(|error| self.deadline.stamp(self.location.explain(error)))
    }
}

impl Engine for SqliteEngine {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    fn read(&mut self) -> ReadTx<'_> {
        ReadTx::new(&mut self.conn)
    }

    fn read_when_idle(&mut self) -> ReadTx<'_> {
        self.cache.read(&mut self.conn);
        self.read()
    }

    fn explain(&self, error: Error) -> Error {
        self.location.with_path(error)
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn log_is_held(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.log_is_held)
    }

    /// Begins a write transaction, once nobody else writes and the log is below its limit.
    fn begin(&mut self, _space: MemRamId) -> Result<()> {
        self.same_file()?;
        self.set_sync()?;
        self.cache.write(&mut self.conn);
        forget_refusal();
        self.look_at_ceiling();
        let deadline = self.deadline;
        loop {
            deadline.retry(|| self.run::<BeginImmediate>())?;
            match self.log_has_room() {
                Ok(true) => break,
                Ok(false) => {
                    self.rollback();
                    self.make_room_in_log()?;
                }
                Err(error) => {
                    self.rollback();
                    return Err(error);
                }
            }
        }
        self.grows = false;
        self.keep_reserve();
        Ok(())
    }

    fn ceiling(&self) -> Option<Arc<Ceiling>> {
        Some(Arc::clone(&self.ceiling))
    }

    fn use_reserve(&mut self) {
        self.may_use_reserve = true;
    }

    fn spool(&self) -> Spool {
        Spool::new(&self.location.path, Arc::clone(&self.ceiling), self.may_use_reserve)
    }

    fn on_disk(&mut self) -> Result<OnDisk> {
        let file = file_sizes(&mut self.conn)?;
        Ok(self.ceiling.on_disk().with_file(file.bytes))
    }

    fn will_grow(&mut self) {
        self.grows = true;
    }

    fn savepoint(&mut self) -> Result<()> {
        self.execute("SAVEPOINT unit")
    }

    fn release_savepoint(&mut self) -> Result<()> {
        self.execute("RELEASE unit")
    }

    fn rollback_to_savepoint(&mut self) -> Result<()> {
        self.execute("ROLLBACK TO unit; RELEASE unit")
    }

    fn write(&mut self, space: MemRamId, batch: &Batch<'_>) -> Result<()> {
        if std::mem::take(&mut self.stamp) {
            self.execute(STAMP)?;
        }
        if let Some(max_file) = batch.ceiling() {
            // This transaction obeys the new one already.
            self.ceiling.set(max_file.map(unsigned));
            self.moves_ceiling = true;
        }
        self.keep_reserve();
        let written = write::write(&mut self.conn, space, batch);
        self.explain(written)
    }

    /// SQLite may have rolled back after a failed read, and would then commit each further statement by
    /// itself. A new transaction can begin only if none is open.
    fn is_in_transaction(&mut self) -> bool {
        self.conn.batch_execute("BEGIN").is_err()
    }

    fn commit(&mut self) -> Result<()> {
        self.keep_reserve();
        self.log.set_limit(self.location.log_limit);
        let done = self.log.commit(&mut self.conn);
        self.explain(done)?;
        self.moves_ceiling = false;
        Ok(())
    }

    fn rollback(&mut self) {
        self.stamp = true;
        self.log_known = None;
        // Fails if SQLite has already rolled back, which is fine.
        let _ = self.conn.batch_execute("ROLLBACK");
        if std::mem::take(&mut self.moves_ceiling) {
            // Otherwise a later transaction reads it.
            let _ = self.read_ceiling();
        }
    }

    /// Keeps the log short.
    fn after_commit(&mut self) {
        let length = self.log.ask_length(&mut self.conn);
        self.log_known = Some(self.version);
        self.checkpoints
            .after_commit(length, self.deadline, &self.location, &mut self.conn);
        self.stamp |= self.checkpoints.may_begin_again();
    }

    fn to_maintain(&mut self) -> Result<&mut Conn> {
        // It may copy the log, which then restarts.
        self.stamp = true;
        self.log_known = None;
        self.set_sync()?;
        Ok(&mut self.conn)
    }

    fn await_checkpoint(&mut self, deadline: Deadline) -> bool {
        self.checkpoints.wait(deadline)
    }

    fn sync_commits(&mut self, sync: bool) {
        self.syncs = sync;
    }

    fn limits(&self) -> Limits {
        Limits::SMALL
    }

    fn reads_when_idle(&self) -> bool {
        true
    }
}

sql! {
    BeginImmediate = "BEGIN IMMEDIATE";
}
