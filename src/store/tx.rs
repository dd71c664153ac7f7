//! A unit of work: every write goes through [`WriteTx::apply`].
#![allow(clippy::disallowed_methods, reason = "one of the files that write rows")]

use diesel::prelude::*;

use super::bulk;
use super::change::Change;
use super::conn::{Conn, STREAM_CACHE, WRITE_CACHE};
use super::mend;
use super::schema::{arenas, blocks, ledger, names, pools, stored_objects};
use super::unit::Unit;
use super::writer::{Table, Writer};
use super::{queries, record};
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::{
    ArenaId, BlockId, EventId, LedgerId, MemRam, MemRamId, NewEntry, NewName, NewStoredObject, PlacedEntry, PoolId,
    StoredObjectId,
};
use crate::placement::{Level, Step, next_step};
use crate::triggers::Signature;

/// An open unit of work. The store begins and ends it; see [`super::Group::write`].
pub(crate) struct WriteTx<'w> {
    pub(super) writer: &'w mut Writer,
}

impl<'w> WriteTx<'w> {
    pub(super) fn new(writer: &'w mut Writer) -> Self {
        Self { writer }
    }

    /// Says who does this unit of work, when, and why.
    pub fn sign(&mut self, signature: Signature) {
        self.writer.unit.effects.signature = signature;
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

    /// The space as it is now, with all that this unit has changed.
    pub fn memram(&mut self) -> Result<MemRam> {
        self.writer.flush()?;
        Ok(self.writer.known()?.memram.clone())
    }

    /// Capacity and bytes free, now.
    pub fn capacity(&mut self) -> Result<(i64, i64)> {
        let by = self.writer.unit.effects.space;
        let memram = &self.writer.known()?.memram;
        let max_mem = memram.max_mem + by.max_mem;
        Ok((max_mem, max_mem - memram.mem - by.mem))
    }

    /// What to do next for an object of `class` with `remaining` bytes to be placed.
    pub fn next_step(&mut self, class: usize, remaining: i64) -> Result<Option<Step>> {
        let (geometry, room) = self.writer.geometry_and_room()?;
        Ok(next_step(room, geometry, class, remaining))
    }

    /// Reads what has room beyond what is known.
    pub fn load_room(&mut self, level: Level) -> Result<()> {
        self.writer.flush()?;
        self.writer.load_room(level)
    }

    pub fn next_arena_id(&mut self) -> Result<ArenaId> {
        self.writer.next_id(Table::Arenas).map(ArenaId)
    }

    pub fn next_pool_id(&mut self) -> Result<PoolId> {
        self.writer.next_id(Table::Pools).map(PoolId)
    }

    pub fn next_block_id(&mut self) -> Result<BlockId> {
        self.writer.next_id(Table::Blocks).map(BlockId)
    }

    pub fn next_object_id(&mut self) -> Result<StoredObjectId> {
        self.writer.next_id(Table::StoredObjects).map(StoredObjectId)
    }

    pub fn next_event_id(&mut self) -> Result<EventId> {
        self.writer.next_id(Table::Events).map(EventId)
    }

    pub fn next_entry_id(&mut self) -> Result<LedgerId> {
        self.writer.next_id(Table::Ledger).map(LedgerId)
    }

    /// Reads with this unit's own changes.
    pub fn read<R>(&mut self, read: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        self.writer.flush()?;
        self.read_objects(read)
    }

    /// Reads objects, names and ledger entries; totals may be behind.
    pub fn read_pending<R>(&mut self, read: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        self.writer.flush_rows()?;
        self.read_objects(read)
    }

    /// Reads objects and names, which are never gathered but written at once.
    pub fn read_objects<R>(&mut self, read: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        self.writer.not_failed()?;
        let result = read(&mut self.writer.conn);
        // SQLite may have rolled back for it, as after a failed write.
        self.writer.failed |= matches!(
            result,
            Err(Error::DiskFull | Error::DiskFailed { .. } | Error::Database { .. })
        );
        result
    }

    /// The pieces of an object, each with its block as this unit has it.
    pub fn placed_entries(&mut self, object: StoredObjectId) -> Result<Vec<PlacedEntry>> {
        self.writer.flush_rows()?;
        let mut entries = queries::entries::placed(&mut self.writer.conn, object)?;
        for entry in &mut entries {
            if let Some(after) = self.writer.unit.effects.blocks.get(&entry.block_id) {
                entry.block_mem = after.mem;
            }
        }
        Ok(entries)
    }

    /// Runs `work`, which writes more than any cache holds, in a small one: a large one
    /// would only fill with pages that nobody wants again.
    pub fn streaming<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let narrowed = super::conn::set_write_cache(&mut self.writer.conn, STREAM_CACHE);
        self.writer.explain(narrowed)?;
        let result = work(self);
        let widened = super::conn::set_write_cache(&mut self.writer.conn, WRITE_CACHE);
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

    /// Executes one change and runs every trigger on it. Returns whether it took place:
    /// only [`Change::ObjectStored`] may not, when its id is taken, and then no trigger ran.
    pub fn apply(&mut self, change: Change<'_>) -> Result<bool> {
        self.writer.not_failed()?;
        self.whole(|tx| tx.apply_now(change))
    }

    fn apply_now(&mut self, change: Change<'_>) -> Result<bool> {
        if let Change::ObjectStored(object) = &change
            && !self.insert_object(object)?
        {
            return Ok(false);
        }
        for trigger in self.writer.triggers {
            trigger(&change, &mut self.writer.unit.effects)?;
        }
        self.observe(&change)?;
        self.execute(change)?;
        Ok(true)
    }

    fn insert_object(&mut self, object: &NewStoredObject<'_>) -> Result<bool> {
        let inserted = bulk::insert_object(&mut self.writer.conn, object);
        self.writer.explain(inserted)
    }

    /// Gathers new rows, and writes everything else at once.
    fn execute(&mut self, change: Change<'_>) -> Result<()> {
        match change {
            Change::ArenaAdded(arena) => self.writer.unit.arenas.push(arena),
            Change::PoolAdded(pool) => self.writer.unit.pools.push(pool),
            Change::BlockAdded(block) => self.writer.unit.blocks.push(block),
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
            Change::EntriesRemoved { object, .. } => {
                self.before_removal()?;
                let of_object = ledger::table.filter(ledger::stored_object_id.eq(object));
                return self.run(|conn| diesel::delete(of_object).execute(conn));
            }
            Change::ObjectRemoved(object) => {
                self.before_removal()?;
                return self.run(|conn| diesel::delete(stored_objects::table.find(object.id)).execute(conn));
            }
            Change::Held { object } => {
                let row = stored_objects::table.find(object);
                return self.run(|conn| diesel::update(row).set(stored_objects::held.eq(true)).execute(conn));
            }
            Change::NameBound { name, .. } => return self.bind(&name),
            Change::NameUnbound { name, .. } => {
                let row = names::table.find((self.writer.space, name));
                return self.run(|conn| diesel::delete(row).execute(conn));
            }
            Change::HistorySet { mode, keep } => return self.set_history(mode, keep),
            Change::BooksOpened => return self.open_books(),
            Change::Corrected { mend, binds } => {
                self.before_removal()?;
                return self.run(|conn| mend::execute(conn, mend, binds));
            }
            Change::HistoryTrimmed { last } => {
                self.writer.flush()?;
                let space = self.writer.space;
                let trimmed = record::trim_events(&mut self.writer.conn, space, last.0);
                return self.writer.explain(trimmed).map(drop);
            }
            // Nothing but their effects.
            Change::ObjectStored(_) | Change::DedupHit { .. } | Change::Refused { .. } | Change::Resized { .. } => {}
        }
        Ok(())
    }

    fn add_entry(&mut self, entry: NewEntry<'_>) -> Result<()> {
        if entry.data.len() >= Unit::LARGE {
            self.writer.flush_rows()?;
            return self.run(|conn| bulk::insert_entry(conn, &entry).map(|()| 1));
        }
        let unit = &mut self.writer.unit;
        unit.bytes += entry.data.len();
        unit.entries.push(entry.into_owned());
        if unit.bytes >= Unit::MOST_BYTES {
            self.writer.flush_rows()?;
        }
        Ok(())
    }

    fn set_history(&mut self, mode: &'static str, keep: Option<i64>) -> Result<()> {
        let was_off = self.memram()?.history == "off";
        let space = self.writer.space;
        let set = record::set_history(&mut self.writer.conn, space, mode, keep);
        self.writer.explain(set)?;
        self.writer.reread()?;
        if was_off && mode != "off" {
            self.open_books()
        } else {
            Ok(())
        }
    }

    fn open_books(&mut self) -> Result<()> {
        self.writer.flush()?;
        let id = self.writer.next_id(Table::Events)?;
        let (space, at) = (self.writer.space, self.writer.unit.effects.signature.at);
        let opened = record::open_books(&mut self.writer.conn, space, id, at);
        self.writer.explain(opened)
    }

    fn bind(&mut self, name: &NewName<'_>) -> Result<()> {
        use diesel::upsert::excluded;
        self.run(|conn| {
            diesel::insert_into(names::table)
                .values(name)
                .on_conflict((names::memram_id, names::name))
                .do_update()
                .set((
                    names::stored_object_id.eq(excluded(names::stored_object_id)),
                    names::bound_at.eq(excluded(names::bound_at)),
                ))
                .execute(conn)
        })
    }

    /// Before rows go: they must have been written, and the highest ids be known.
    fn before_removal(&mut self) -> Result<()> {
        self.writer.flush_rows()?;
        if !self.writer.unit.removed {
            for table in Table::ALL {
                self.writer.load_id(table)?;
            }
            self.writer.unit.removed = true;
        }
        Ok(())
    }

    fn run(&mut self, statement: impl FnOnce(&mut SqliteConnection) -> QueryResult<usize>) -> Result<()> {
        let Conn::Sqlite(conn) = &mut self.writer.conn;
        let result = statement(conn);
        self.writer.explain(result).map(drop)
    }
}

impl NewEntry<'_> {
    fn into_owned(self) -> NewEntry<'static> {
        NewEntry {
            id: self.id,
            stored_object_id: self.stored_object_id,
            seq: self.seq,
            arena_id: self.arena_id,
            pool_id: self.pool_id,
            block_id: self.block_id,
            allocated_mem: self.allocated_mem,
            data: self.data.into_owned().into(),
        }
    }
}
