//! The one connection that writes, and what it remembers between transactions.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::conn::Conn;
use super::deadline::Deadline;
use super::known::Known;
use super::location::{Durability, Location};
use super::numbers::Table;
use super::sqlite::bulk;
use super::sqlite::checkpoint::Checkpoints;
use super::sqlite::exec::{Sql, Statement};
use super::sqlite::log::Log;
use super::sqlite::record;
use crate::books::batch::Unit;
use crate::books::triggers::Trigger;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::MemRamId;

/// How long a file that is written without syncs is taken to be where it was.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Executes units of work. Several units may share one transaction (see `group`); each
/// is undone alone when it fails.
///
/// What a unit gathers is written when something must read it, and at the latest with the
/// commit, together with what the other units of the transaction have gathered. Only a
/// unit that writes before needs a savepoint.
pub(super) struct Writer {
    /// Ends before the connection does.
    pub checkpoints: Checkpoints,
    pub conn: Conn,
    settings: Location,
    /// Of the call whose turn it is.
    pub deadline: Deadline,
    /// When the path last led to the file.
    looked: Option<Instant>,
    pub space: MemRamId,
    pub geometry: Geometry,
    pub triggers: &'static [Trigger],
    pub unit: Unit,
    /// What the units before it in the transaction have gathered.
    pub(super) kept: Unit,
    /// The unit has written, behind a savepoint or as the first of its transaction.
    has_written: bool,
    /// The unit failed half-way and must not be kept.
    pub failed: bool,
    pub(super) known: Option<Known>,
    /// `PRAGMA data_version` for which `known` holds.
    pub(super) data_version: i64,
    open: bool,
    /// Units that are done in the open transaction.
    pub done: usize,
    log: Log,
    /// Page 1 is to be written with the next commit, which may be the first in its log: it
    /// says whose log it is (see `stale_log`).
    pub(super) stamp: bool,
}

impl Writer {
    pub fn new(
        settings: Location,
        mut conn: Conn,
        space: MemRamId,
        geometry: Geometry,
        triggers: &'static [Trigger],
    ) -> Self {
        // SQLite would wait as long for each lock as the whole call may: `deadline` waits in
        // its place. What it waits for if this fails is too much, and nothing else.
        let _ = conn.batch_execute("PRAGMA busy_timeout = 0");
        Self {
            deadline: Deadline::after(settings.busy_timeout),
            checkpoints: Checkpoints::default(),
            log: Log::new(&settings),
            conn,
            settings,
            looked: None,
            space,
            geometry,
            triggers,
            unit: Unit::default(),
            kept: Unit::default(),
            has_written: false,
            failed: false,
            known: None,
            data_version: -1,
            open: false,
            done: 0,
            stamp: true,
        }
    }

    /// Starts a unit of work: with a transaction, or in the one that is open.
    pub fn begin(&mut self) -> Result<()> {
        self.failed = false;
        self.has_written = false;
        if !self.open {
            self.same_file()?;
            self.deadline.retry(|| self.run::<BeginImmediate>())?;
            self.open = true;
            return self.refresh().inspect_err(|_| self.abandon());
        }
        self.start_recording()
    }

    /// Sees to it that the path still leads to this file. Commits without a sync are so
    /// short that this would be a thirtieth of each: they may be a moment behind.
    fn same_file(&mut self) -> Result<()> {
        let synced = self.settings.durability == Durability::Full;
        if synced || self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN) {
            self.settings.same_file_to_write()?;
            self.log.is_whole(&mut self.conn)?;
            self.looked = Some(Instant::now());
        }
        Ok(())
    }

    /// The unit is complete; its changes stay unless the transaction fails.
    pub fn keep(&mut self) -> Result<()> {
        self.not_failed()?;
        if self.has_written && self.done > 0 {
            self.execute("RELEASE unit")?;
        }
        let unit = std::mem::take(&mut self.unit);
        if self.done == 0 {
            self.kept = unit;
        } else {
            self.kept.absorb(unit);
        }
        self.done += 1;
        if self.kept.is_full() {
            self.write_kept().inspect_err(|_| self.abandon())?;
        }
        Ok(())
    }

    /// Undoes the unit. An error means that the whole transaction is gone: SQLite
    /// itself rolls it back after some failures, such as a full disk. That it was gone
    /// before is [`Error::BatchFailed`].
    pub fn undo(&mut self) -> Result<()> {
        self.unit = Unit::default();
        if !self.open {
            return Err(Error::BatchFailed);
        }
        if self.done == 0 {
            self.abandon();
            return Ok(());
        }
        self.failed = false;
        // What is known follows the unit; what the others did must be there to be read.
        let undone = if self.has_written {
            let undone = self.execute("ROLLBACK TO unit; RELEASE unit");
            undone.map_err(|_| Error::BatchFailed)
        } else {
            self.not_rolled_back().and_then(|()| self.write_kept())
        };
        self.known = None;
        undone.and_then(|()| self.refresh()).inspect_err(|_| self.abandon())
    }

    /// Writes everything and commits. After an error nothing of the transaction is left.
    pub fn commit(&mut self) -> Result<()> {
        let committed = self.write_kept().and_then(|()| self.run_commit());
        if committed.is_err() {
            self.abandon();
        }
        self.open = false;
        self.done = 0;
        committed
    }

    fn run_commit(&mut self) -> Result<()> {
        let done = self.log.commit(&mut self.conn);
        self.explain(done)
    }

    /// Keeps the log short. After a commit, once those who wait for it are told.
    pub fn tend_log(&mut self) {
        let length = self.log.length(&mut self.conn);
        self.checkpoints
            .after_commit(length, self.deadline, &self.settings, &mut self.conn);
        self.stamp |= self.checkpoints.may_begin_again();
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// SQLite may have rolled back for a read that failed: each statement after it would
    /// be committed on its own. Only outside a transaction can another begin.
    fn not_rolled_back(&mut self) -> Result<()> {
        match self.conn.batch_execute("BEGIN") {
            Ok(()) => Err(Error::BatchFailed),
            Err(_) => Ok(()),
        }
    }

    /// Rolls the whole transaction back.
    pub fn abandon(&mut self) {
        self.stamp = true;
        // SQLite may have rolled back already; then there is nothing left to do.
        let _ = self.conn.batch_execute("ROLLBACK");
        self.unit = Unit::default();
        self.kept = Unit::default();
        self.known = None;
        self.open = false;
        self.done = 0;
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
    pub fn explain<T>(&self, result: QueryResult<T>) -> Result<T> {
        result.map_err(|error| self.deadline.stamp(self.settings.explain(error)))
    }

    /// A read that failed may have cost the transaction, as a failed write does: what
    /// comes after it must not be kept.
    pub fn heed<T>(&mut self, result: Result<T>) -> Result<T> {
        self.failed |= matches!(
            result,
            Err(Error::DiskFull | Error::DiskFailed { .. } | Error::Database { .. })
        );
        result
    }

    /// Writes what is gathered and goes on in another space, or in this one with what
    /// its row says now.
    pub fn enter(&mut self, space: MemRamId, geometry: Geometry) -> Result<()> {
        self.flush()?;
        self.space = space;
        self.geometry = geometry;
        self.known = None;
        self.refresh()
    }

    /// After some failures, such as a full disk, SQLite has rolled back and would commit
    /// whatever is written next on its own: nothing must be.
    pub fn not_failed(&self) -> Result<()> {
        if self.failed { Err(Error::BatchFailed) } else { Ok(()) }
    }

    /// Must come before the unit writes anything: what the others have gathered is
    /// written first, and stays when the unit is undone.
    pub fn before_write(&mut self) -> Result<()> {
        self.not_failed()?;
        if self.has_written {
            return Ok(());
        }
        if self.done > 0 {
            // What fails here fails the units before: half of what they wrote may be lost.
            let behind = self.write_kept().and_then(|()| self.execute("SAVEPOINT unit"));
            behind.inspect_err(|_| {
                self.failed = true;
                self.abandon();
            })?;
        }
        self.has_written = true;
        Ok(())
    }

    /// Writes the rows that the unit has gathered, so that statements see them.
    pub fn flush_rows(&mut self) -> Result<()> {
        self.before_write()?;
        let written = bulk::write_rows(&mut self.conn, &mut self.unit);
        self.failed |= written.is_err();
        self.explain(written)
    }

    /// Writes everything that is gathered: afterwards the tables are as the books say.
    pub fn flush(&mut self) -> Result<()> {
        self.before_write()?;
        let mut unit = std::mem::take(&mut self.unit);
        let written = self.write(&mut unit);
        // An allocation that is still under way has left its event.
        self.unit = unit;
        self.failed |= written.is_err();
        written
    }

    /// Writes what the units before have gathered.
    pub fn write_kept(&mut self) -> Result<()> {
        let mut kept = std::mem::take(&mut self.kept);
        self.write(&mut kept)
    }

    fn write(&mut self, unit: &mut Unit) -> Result<()> {
        if self.stamp && !unit.is_empty() {
            self.execute(super::sqlite::migrate::STAMP)?;
            self.stamp = false;
        }
        let written = bulk::write_rows(&mut self.conn, unit);
        self.explain(written)?;
        let mut effects = unit.effects.take();
        let by = effects.space;
        let mem = self.known()?.memram.mem;
        let first_event = match effects.events.len() {
            0 => 0,
            count => self.take_numbers(Table::Events, count)?,
        };
        let written = bulk::write_effects(&mut self.conn, self.space, &effects)
            .and_then(|()| record::insert_events(&mut self.conn, self.space, first_event, mem, &mut effects.events));
        self.explain(written)?;
        self.known()?.memram.add(by);
        if std::mem::take(&mut unit.keep_numbers) {
            self.write_numbers()?;
        }
        Ok(())
    }

    fn write_numbers(&mut self) -> Result<()> {
        let mut last = Vec::new();
        for table in Table::ALL {
            last.push((table.name(), self.next_number(table)? - 1));
        }
        let raised = bulk::raise_sequences(&mut self.conn, &last);
        self.explain(raised)
    }
}

bulk::sql! {
    BeginImmediate = "BEGIN IMMEDIATE";
}
