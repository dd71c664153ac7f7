//! The engine of the writer: one SQLite connection, and what is SQLite's own about writing.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::checkpoint::Checkpoints;
use super::connect::{STREAM_CACHE, WRITE_CACHE};
use super::exec::{self, Sql, Statement, sql};
use super::log::Log;
use super::prepare::STAMP;
use super::write;
use crate::books::batch::Batch;
use crate::error::Result;
use crate::models::MemRamId;
use crate::store::conn::Conn;
use crate::store::deadline::Deadline;
use crate::store::location::{Durability, Location};
use crate::store::read::ReadTx;

/// How long a file that is written without syncs is taken to be where it was.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Transactions on one connection. Whether they may begin or end is the writer's to know.
pub(in crate::store) struct Engine {
    /// Ends before the connection does.
    checkpoints: Checkpoints,
    conn: Conn,
    location: Location,
    /// Of the call whose turn it is.
    deadline: Deadline,
    /// When the path last led to the file.
    looked: Option<Instant>,
    log: Log,
    /// Page 1 is to be written with the next commit, which may be the first in its log: it
    /// says whose log it is (see `stale_log`).
    stamp: bool,
}

impl Engine {
    pub fn new(location: Location, mut conn: Conn) -> Self {
        // SQLite would wait as long for each lock as the whole call may: `deadline` waits in
        // its place. What it waits for if this fails is too much, and nothing else.
        let _ = conn.batch_execute("PRAGMA busy_timeout = 0");
        Self {
            deadline: Deadline::after(location.busy_timeout),
            checkpoints: Checkpoints::default(),
            log: Log::new(&location),
            conn,
            location,
            looked: None,
            stamp: true,
        }
    }

    /// Until when the call may wait whose turn it is.
    pub fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// A look at what is written.
    pub fn read(&mut self) -> ReadTx<'_> {
        ReadTx::new(&mut self.conn)
    }

    /// Changes when another connection has committed.
    pub fn version(&mut self) -> Result<i64> {
        let Conn::Sqlite(conn) = &mut self.conn;
        Ok(exec::data_version(conn)?)
    }

    /// Begins a transaction that may write, once nobody else does.
    pub fn begin(&mut self) -> Result<()> {
        self.same_file()?;
        let deadline = self.deadline;
        deadline.retry(|| self.run::<BeginImmediate>())
    }

    /// Sees to it that the path still leads to this file. Commits without a sync are so
    /// short that this would be a thirtieth of each: they may be a moment behind.
    fn same_file(&mut self) -> Result<()> {
        let synced = self.location.durability == Durability::Full;
        if synced || self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN) {
            self.location.same_file_to_write()?;
            self.log.is_whole(&mut self.conn)?;
            self.looked = Some(Instant::now());
        }
        Ok(())
    }

    /// From here on [`Self::rollback_to_savepoint`] undoes what is written.
    pub fn savepoint(&mut self) -> Result<()> {
        self.execute("SAVEPOINT unit")
    }

    /// What was written since the savepoint stays.
    pub fn release_savepoint(&mut self) -> Result<()> {
        self.execute("RELEASE unit")
    }

    /// Undoes what was written since the savepoint.
    pub fn rollback_to_savepoint(&mut self) -> Result<()> {
        self.execute("ROLLBACK TO unit; RELEASE unit")
    }

    /// Writes a batch of one space, in the transaction that is open.
    pub fn write(&mut self, space: MemRamId, batch: &Batch<'_>) -> Result<()> {
        if std::mem::take(&mut self.stamp) {
            self.execute(STAMP)?;
        }
        let written = write::write(&mut self.conn, space, batch);
        self.explain(written)
    }

    /// Whether the transaction is still there. SQLite may have rolled back for a read that
    /// failed, and would commit each statement after it on its own. Only outside of a
    /// transaction can another begin.
    pub fn is_in_transaction(&mut self) -> bool {
        self.conn.batch_execute("BEGIN").is_err()
    }

    pub fn commit(&mut self) -> Result<()> {
        let done = self.log.commit(&mut self.conn);
        self.explain(done)
    }

    /// Undoes the whole transaction.
    pub fn rollback(&mut self) {
        self.stamp = true;
        // SQLite may have rolled back already; then there is nothing left to do.
        let _ = self.conn.batch_execute("ROLLBACK");
    }

    /// Keeps the log short. After a commit, once those who wait for it are told.
    pub fn after_commit(&mut self) {
        let length = self.log.length(&mut self.conn);
        self.checkpoints
            .after_commit(length, self.deadline, &self.location, &mut self.conn);
        self.stamp |= self.checkpoints.may_begin_again();
    }

    /// Runs `work` on the connection, outside of a transaction.
    pub fn maintain<R>(&mut self, work: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        // It may copy the log, which begins again then.
        self.stamp = true;
        work(&mut self.conn)
    }

    /// Waits until no checkpoint of this process is under way, and says whether none is.
    pub fn await_checkpoint(&mut self, deadline: Deadline) -> bool {
        self.checkpoints.wait(deadline)
    }

    /// What is written until this is called with `false` is more than any cache holds: a
    /// large one would only fill with pages that nobody wants again.
    pub fn stream(&mut self, is_streaming: bool) -> Result<()> {
        let size = if is_streaming { STREAM_CACHE } else { WRITE_CACHE };
        let set = self.conn.batch_execute(&format!("PRAGMA cache_size = {size}"));
        self.explain(set)
    }

    /// Runs a statement that stays prepared.
    fn run<S: Sql>(&mut self) -> Result<()> {
        let Conn::Sqlite(conn) = &mut self.conn;
        let done = Statement::<S, 0>::run(conn, []);
        self.explain(done).map(drop)
    }

    fn execute(&mut self, sql: &'static str) -> Result<()> {
        let done = self.conn.batch_execute(sql);
        self.explain(done)
    }

    /// Says what a database error means.
    fn explain<T>(&self, result: QueryResult<T>) -> Result<T> {
        result.map_err(|error| self.deadline.stamp(self.location.explain(error)))
    }
}

sql! {
    BeginImmediate = "BEGIN IMMEDIATE";
}
