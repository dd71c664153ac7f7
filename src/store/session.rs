//! A unit of work: every write goes through [`WriteTx::apply`].
#![allow(clippy::disallowed_methods, reason = "one of the files that write rows")]

use diesel::prelude::*;

use super::conn::Conn;
use super::numbers::Table;
use super::sqlite::bulk;
use super::sqlite::connect::{STREAM_CACHE, WRITE_CACHE, set_write_cache};
use super::sqlite::record;
use super::sqlite::repair;
use super::writer::Writer;
use crate::books::batch::Unit;
use crate::books::change::Change;
use crate::books::events::Signature;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::schema::{arenas, blocks, ledger, names, pools, stored_objects};
use crate::models::{
    ArenaId, BlockId, EventId, HistoryMode, LedgerId, MemRamId, NewEntry, NewName, PoolId, StoredObjectId, Timestamp,
};

/// An open unit of work. The store begins and ends it; see [`super::Group::write`].
pub(crate) struct WriteTx<'w> {
    pub(super) writer: &'w mut Writer,
    /// The allocation that was refused last.
    refused: Option<RefusedAllocation>,
}

/// An allocation that was refused for want of room.
#[derive(Debug)]
pub(crate) struct RefusedAllocation {
    /// The object's id in hexadecimal digits, if it is known.
    pub object_id: Option<String>,
    /// Bytes that it needs.
    pub needed: i64,
    /// Bytes that were free.
    pub available: i64,
}

impl<'w> WriteTx<'w> {
    pub(super) fn new(writer: &'w mut Writer) -> Self {
        let refused = None;
        Self { writer, refused }
    }

    /// Says who does this unit of work, when, and why.
    pub fn sign(&mut self, signature: Signature) {
        self.writer.unit.effects.signature = signature;
    }

    /// When it was signed: what it writes is of that time.
    pub fn at(&self) -> Timestamp {
        self.writer.unit.effects.signature.at
    }

    /// Takes the allocation that was refused last.
    pub fn take_refused(&mut self) -> Option<RefusedAllocation> {
        self.refused.take()
    }

    /// Goes on in another space of the file: repair works on all of them.
    pub fn enter(&mut self, space: MemRamId, geometry: Geometry) -> Result<()> {
        self.writer.enter(space, geometry)
    }

    pub fn space(&self) -> MemRamId {
        self.writer.space
    }

    pub fn geometry(&self) -> &Geometry {
        &self.writer.geometry
    }

    pub fn next_arena_id(&mut self) -> Result<ArenaId> {
        self.writer.take_numbers(Table::Arenas, 1).map(ArenaId)
    }

    pub fn next_pool_id(&mut self) -> Result<PoolId> {
        self.writer.take_numbers(Table::Pools, 1).map(PoolId)
    }

    pub fn next_block_id(&mut self) -> Result<BlockId> {
        self.writer.take_numbers(Table::Blocks, 1).map(BlockId)
    }

    /// The key of the next object. Its entries have those that follow, so it is placed
    /// before the next one is numbered.
    pub fn next_object_id(&mut self) -> Result<StoredObjectId> {
        self.next_object_id_with(1)
    }

    /// A key for an object of so many entries that are there already.
    pub fn next_object_id_with(&mut self, entries: usize) -> Result<StoredObjectId> {
        let first = self.writer.take_numbers(Table::StoredObjects, entries.max(1));
        first.map(StoredObjectId)
    }

    pub fn next_event_id(&mut self) -> Result<EventId> {
        self.writer.take_numbers(Table::Events, 1).map(EventId)
    }

    /// Runs `work`, which writes more than any cache holds, in a small one: a large one
    /// would only fill with pages that nobody wants again.
    pub fn streaming<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let narrowed = set_write_cache(&mut self.writer.conn, STREAM_CACHE);
        self.writer.explain(narrowed)?;
        let result = work(self);
        let widened = set_write_cache(&mut self.writer.conn, WRITE_CACHE);
        self.writer.explain(widened)?;
        result
    }

    /// Runs `work`, which is only complete as a whole: if it fails, the unit of work
    /// cannot be kept, even if a batch goes on after the error.
    pub fn whole<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let result = work(self);
        self.writer.failed |= result.is_err();
        result
    }

    /// Executes one change and runs every trigger on it.
    pub fn apply(&mut self, change: Change<'_>) -> Result<()> {
        self.writer.not_failed()?;
        self.whole(|tx| tx.apply_now(change))
    }

    fn apply_now(&mut self, change: Change<'_>) -> Result<()> {
        for trigger in self.writer.triggers {
            trigger(&change, &mut self.writer.unit.effects)?;
        }
        self.observe(&change)?;
        self.execute(change)
    }

    /// Gathers objects and everything that is new, and writes the rest at once.
    fn execute(&mut self, change: Change<'_>) -> Result<()> {
        match change {
            Change::ArenaAdded(arena) => self.writer.unit.arenas.push(arena),
            Change::PoolAdded(pool) => self.writer.unit.pools.push(pool),
            Change::BlockAdded(block) => self.writer.unit.blocks.push(block),
            Change::ObjectStored(object) => {
                self.writer.unit.objects.push(object);
                return self.write_if_full();
            }
            Change::EntryAdded { entry, .. } => return self.add_entry(entry),
            Change::ArenaRemoved(arena) => {
                self.before_removal()?;
                self.writer.unit.effects.arenas.remove(&arena.id);
                return self.run(|conn| diesel::delete(arenas::table.find(arena.id)).execute(conn));
            }
            Change::PoolRemoved(pool) => {
                self.before_removal()?;
                self.writer.unit.effects.pools.remove(&pool.id);
                return self.run(|conn| diesel::delete(pools::table.find(pool.id)).execute(conn));
            }
            Change::BlockRemoved(block) => {
                self.before_removal()?;
                return self.run(|conn| diesel::delete(blocks::table.find(block.id)).execute(conn));
            }
            Change::PieceMended { object, seq, data } => {
                let row = ledger::table.find(LedgerId::of(object.id, seq));
                return self.run(|conn| diesel::update(row).set(ledger::data.eq(data)).execute(conn));
            }
            // The entries go with their object, which is the next that goes.
            Change::EntriesRemoved { .. } => {}
            Change::ObjectRemoved { object, entries, .. } => {
                self.write_if_new(object)?;
                self.keep_numbers()?;
                self.writer.unit.removed.insert(object, entries);
                return self.write_if_full();
            }
            Change::Held { object } => return self.set_held(object, true),
            Change::Released { object, .. } => return self.set_held(object, false),
            Change::NameBound { name, .. } => return self.bind(&name),
            Change::NameUnbound { name, .. } => {
                let row = names::table.find((self.writer.space, name));
                return self.run(|conn| diesel::delete(row).execute(conn));
            }
            Change::HistorySet { mode, keep } => return self.set_history(mode, keep),
            Change::BooksOpened => return self.open_books(),
            Change::Fixed(fix) => {
                self.before_removal()?;
                self.writer.before_write()?;
                let Conn::Sqlite(conn) = &mut self.writer.conn;
                let fixed = repair::execute(conn, &fix);
                return self.writer.explain(fixed);
            }
            Change::HistoryTrimmed { last } => {
                self.writer.flush()?;
                let space = self.writer.space;
                let trimmed = record::trim_events(&mut self.writer.conn, space, last.0);
                return self.writer.explain(trimmed).map(drop);
            }
            // Nothing but their effects.
            Change::Refused {
                object_id,
                needed,
                available,
            } => {
                let object_id = object_id.map(str::to_owned);
                self.refused = Some(RefusedAllocation {
                    object_id,
                    needed,
                    available,
                });
            }
            Change::DedupHit { .. } | Change::Resized { .. } => {}
        }
        Ok(())
    }

    fn add_entry(&mut self, entry: NewEntry<'_>) -> Result<()> {
        self.writer.known()?.numbers.used(Table::StoredObjects, entry.id().0)?;
        if entry.data.len() >= Unit::LARGE {
            self.writer.flush_rows()?;
            return self.run(|conn| bulk::insert_entry(conn, &entry).map(|()| 1));
        }
        let unit = &mut self.writer.unit;
        unit.bytes += entry.data.len();
        unit.entries.push(entry.into_owned());
        self.write_if_full()
    }

    fn write_if_full(&mut self) -> Result<()> {
        if self.writer.unit.is_full() {
            self.writer.flush_rows()
        } else {
            Ok(())
        }
    }

    fn set_history(&mut self, mode: HistoryMode, keep: Option<i64>) -> Result<()> {
        let was_off = self.memram()?.history == HistoryMode::Off;
        let space = self.writer.space;
        let set = record::set_history(&mut self.writer.conn, space, mode, keep);
        self.writer.explain(set)?;
        self.writer.reread()?;
        if was_off && mode != HistoryMode::Off {
            self.open_books()
        } else {
            Ok(())
        }
    }

    fn open_books(&mut self) -> Result<()> {
        self.writer.flush()?;
        let id = self.writer.take_numbers(Table::Events, 1)?;
        let (space, at) = (self.writer.space, self.writer.unit.effects.signature.at);
        let opened = record::open_books(&mut self.writer.conn, space, id, at);
        self.writer.explain(opened)
    }

    fn set_held(&mut self, object: StoredObjectId, held: bool) -> Result<()> {
        if let Some(new) = self.writer.unit.objects.get_mut(object) {
            new.held = held;
            return Ok(());
        }
        self.write_if_new(object)?;
        let row = stored_objects::table.find(object);
        self.run(|conn| diesel::update(row).set(stored_objects::held.eq(held)).execute(conn))
    }

    fn bind(&mut self, name: &NewName<'_>) -> Result<()> {
        self.write_if_new(name.stored_object_id)?;
        self.run(|conn| diesel::insert_into(names::table).values(name).execute(conn))
    }

    /// Before rows go: they must have been written, and the highest keys be known.
    fn before_removal(&mut self) -> Result<()> {
        self.writer.flush_rows()?;
        self.keep_numbers()
    }

    fn keep_numbers(&mut self) -> Result<()> {
        if !self.writer.unit.keep_numbers {
            for table in Table::ALL {
                self.writer.next_number(table)?;
            }
            self.writer.unit.keep_numbers = true;
        }
        Ok(())
    }

    fn run(&mut self, statement: impl FnOnce(&mut SqliteConnection) -> QueryResult<usize>) -> Result<()> {
        self.writer.before_write()?;
        let Conn::Sqlite(conn) = &mut self.writer.conn;
        let result = statement(conn);
        self.writer.explain(result).map(drop)
    }
}
