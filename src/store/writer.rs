//! The one connection that writes, and what it remembers between transactions.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::bulk;
use super::conn::{Access, Conn, Settings};
use super::exec;
use super::schema::memram;
use super::unit::Unit;
use super::{queries, record};
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::{MemRam, MemRamId};
use crate::placement::{Level, Room};
use crate::triggers::{SpaceDelta, Trigger};

/// Executes units of work. Several units may share one transaction (see `group`); each
/// is undone alone when it fails.
pub(super) struct Writer {
    pub conn: Conn,
    settings: Settings,
    pub space: MemRamId,
    pub geometry: Geometry,
    pub triggers: &'static [Trigger],
    pub unit: Unit,
    /// The unit failed half-way and must not be kept.
    pub failed: bool,
    known: Option<Known>,
    /// `PRAGMA data_version` for which `known` holds.
    data_version: i64,
    open: bool,
    /// Units that are done in the open transaction.
    pub done: usize,
}

/// What is known of the space, and stays true until another connection writes.
pub(super) struct Known {
    pub memram: MemRam,
    pub room: Room,
    pub ids: Ids,
}

/// The next id of each table, once it has been looked up.
#[derive(Default)]
pub(super) struct Ids {
    next: [Option<i64>; Table::ALL.len()],
}

/// Tables that the crate numbers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Arenas,
    Pools,
    Blocks,
    StoredObjects,
    Ledger,
    Events,
}

impl Table {
    pub const ALL: [Self; 6] = [
        Self::Arenas,
        Self::Pools,
        Self::Blocks,
        Self::StoredObjects,
        Self::Ledger,
        Self::Events,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Arenas => "arenas",
            Self::Pools => "pools",
            Self::Blocks => "blocks",
            Self::StoredObjects => "stored_objects",
            Self::Ledger => "ledger",
            Self::Events => "events",
        }
    }
}

impl Writer {
    pub fn open(settings: Settings, space: MemRamId, geometry: Geometry, triggers: &'static [Trigger]) -> Result<Self> {
        Ok(Self {
            conn: settings.connect(Access::Write)?,
            settings,
            space,
            geometry,
            triggers,
            unit: Unit::default(),
            failed: false,
            known: None,
            data_version: -1,
            open: false,
            done: 0,
        })
    }

    /// Starts a unit of work: with a transaction, or in the one that is open.
    pub fn begin(&mut self) -> Result<()> {
        self.failed = false;
        if self.open {
            // What fails here fails the units before: half of what they wrote may be lost.
            let begun = self.flush().and_then(|()| self.execute("SAVEPOINT unit"));
            return begun.inspect_err(|_| self.abandon());
        }
        self.settings.same_file()?;
        self.execute("BEGIN IMMEDIATE")?;
        self.open = true;
        self.refresh().inspect_err(|_| {
            let _ = self.undo();
        })
    }

    /// The unit is complete; its changes stay unless the transaction fails.
    pub fn keep(&mut self) -> Result<()> {
        if self.failed {
            return Err(Error::BatchFailed);
        }
        if self.done > 0 {
            self.execute("RELEASE unit")?;
        }
        self.done += 1;
        Ok(())
    }

    /// Undoes the unit. An error means that the whole transaction is gone: SQLite
    /// itself rolls it back after some failures, such as a full disk.
    pub fn undo(&mut self) -> Result<()> {
        self.failed = false;
        self.unit = Unit::default();
        self.known = None;
        if self.done > 0 {
            let undone = self.execute("ROLLBACK TO unit; RELEASE unit");
            if undone.is_ok() {
                return self.refresh();
            }
            self.abandon();
            return undone;
        }
        self.abandon();
        Ok(())
    }

    /// Writes everything and commits. After an error nothing of the transaction is left.
    pub fn commit(&mut self) -> Result<()> {
        let committed = self.flush().and_then(|()| self.execute("COMMIT"));
        if committed.is_err() {
            self.abandon();
        }
        self.open = false;
        self.done = 0;
        committed
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Rolls the whole transaction back.
    pub fn abandon(&mut self) {
        // SQLite may have rolled back already; then there is nothing left to do.
        let _ = self.conn.batch_execute("ROLLBACK");
        self.unit = Unit::default();
        self.known = None;
        self.open = false;
        self.done = 0;
    }

    fn execute(&mut self, sql: &'static str) -> Result<()> {
        self.conn
            .batch_execute(sql)
            .map_err(|error| self.settings.explain(error))
    }

    /// Says what a database error means.
    pub fn explain<T>(&self, result: QueryResult<T>) -> Result<T> {
        result.map_err(|error| self.settings.explain(error))
    }

    /// Reads the space anew if another connection has written since.
    fn refresh(&mut self) -> Result<()> {
        let Conn::Sqlite(conn) = &mut self.conn;
        let version = exec::data_version(conn)?;
        if self.known.is_none() || version != self.data_version {
            let memram: MemRam = memram::table
                .find(self.space)
                .select(MemRam::as_select())
                .get_result(&mut self.conn)?;
            let room = Room::unknown(self.geometry.classes().len(), memram.max_mem - memram.reserved);
            let ids = Ids::default();
            self.known = Some(Known { memram, room, ids });
            self.data_version = version;
        }
        self.unit.effects.recording = self.known()?.memram.history != "off";
        Ok(())
    }

    pub fn known(&mut self) -> Result<&mut Known> {
        self.known.as_mut().ok_or_else(no_transaction)
    }

    pub fn known_room(&mut self) -> Result<&mut Room> {
        Ok(&mut self.known()?.room)
    }

    /// Reads the next page of what has room at one level.
    pub fn load_room(&mut self, level: Level) -> Result<()> {
        let known = self.known.as_mut().ok_or_else(no_transaction)?;
        queries::room::load(&mut self.conn, self.space, &self.geometry, &mut known.room, level)
    }

    pub fn geometry_and_room(&mut self) -> Result<(&Geometry, &Room)> {
        let known = self.known.as_ref().ok_or_else(no_transaction)?;
        Ok((&self.geometry, &known.room))
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

    /// Forgets what has room, after rows were removed.
    pub fn forget_room(&mut self) -> Result<()> {
        let classes = self.geometry.classes().len();
        let known = self.known()?;
        known.room = Room::unknown(classes, known.room.unreserved);
        Ok(())
    }

    /// The next id of a table; an id never comes back.
    pub fn next_id(&mut self, table: Table) -> Result<i64> {
        let next = self.load_id(table)?;
        self.set_next_id(table, next.saturating_add(1))?;
        Ok(next)
    }

    /// Looks the next id of a table up, once.
    pub fn load_id(&mut self, table: Table) -> Result<i64> {
        if let Some(next) = self.known()?.ids.next.get(table as usize).copied().flatten() {
            return Ok(next);
        }
        let last = queries::ids::last_id(&mut self.conn, table)?;
        let next = last.checked_add(1).ok_or_else(|| Error::Damaged {
            what: format!("no ids are left in {}", table.name()),
        })?;
        self.set_next_id(table, next)?;
        Ok(next)
    }

    /// The id of the first of so many events; they are numbered without a gap.
    fn number_events(&mut self, count: usize) -> Result<i64> {
        if count == 0 {
            return Ok(0);
        }
        let first = self.load_id(Table::Events)?;
        let next = first.checked_add(count as i64).ok_or_else(|| Error::Damaged {
            what: "no ids are left in events".into(),
        })?;
        self.set_next_id(Table::Events, next)?;
        Ok(first)
    }

    fn set_next_id(&mut self, table: Table, next: i64) -> Result<()> {
        if let Some(slot) = self.known()?.ids.next.get_mut(table as usize) {
            *slot = Some(next);
        }
        Ok(())
    }

    /// Writes new rows, so that statements see them.
    pub fn flush_rows(&mut self) -> Result<()> {
        self.not_failed()?;
        if self.unit.has_rows() {
            let written = bulk::insert_rows(&mut self.conn, &mut self.unit);
            self.failed |= written.is_err();
            self.explain(written)?;
        }
        Ok(())
    }

    /// After some failures, such as a full disk, SQLite has rolled back and would commit
    /// whatever is written next on its own: nothing must be.
    pub fn not_failed(&self) -> Result<()> {
        if self.failed { Err(Error::BatchFailed) } else { Ok(()) }
    }

    /// Writes everything that is gathered: afterwards the tables are as the books say.
    pub fn flush(&mut self) -> Result<()> {
        self.flush_rows()?;
        let mut effects = self.unit.effects.take();
        let by = effects.space;
        let mem = self.known()?.memram.mem;
        let first_event = self.number_events(effects.events.len())?;
        let written = bulk::write_effects(&mut self.conn, self.space, &effects)
            .and_then(|()| record::insert_events(&mut self.conn, self.space, first_event, mem, &mut effects.events));
        self.failed |= written.is_err();
        self.explain(written)?;
        self.known()?.memram.add(by);
        if std::mem::take(&mut self.unit.removed) {
            let mut last_ids = Vec::new();
            for table in Table::ALL {
                last_ids.push((table.name(), self.load_id(table)? - 1));
            }
            let raised = bulk::raise_sequences(&mut self.conn, &last_ids);
            self.failed |= raised.is_err();
            self.explain(raised)?;
        }
        Ok(())
    }
}

fn no_transaction() -> Error {
    Error::Damaged {
        what: "a unit of work was used outside its transaction".into(),
    }
}

impl Writer {
    /// Forgets the space's row, after a change that is not told by effects.
    pub fn reread(&mut self) -> Result<()> {
        self.known = None;
        self.refresh()
    }
}

impl MemRam {
    fn add(&mut self, by: SpaceDelta) {
        self.peak_mem = self.peak_mem.max(self.mem + by.peak);
        self.max_mem += by.max_mem;
        self.mem += by.mem;
        self.reserved += by.reserved;
        self.arenas += by.arenas;
        self.allocations += by.allocations;
        self.frees += by.frees;
        self.dedup_hits += by.dedup_hits;
        self.dedup_saved += by.dedup_saved;
    }
}
