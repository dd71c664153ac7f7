//! What a unit of work sees: what it has done itself, and what was done before it.

use super::queries::objects::PlacedObject;
use super::queries::{self};
use super::read::ReadTx;
use super::session::WriteTx;
use crate::books::placement::{Level, Step, next_step};
use crate::error::Result;
use crate::models::{MemRam, StoredObject, StoredObjectId};

impl WriteTx<'_> {
    /// The space as it is now, with all that this unit has changed.
    pub fn memram(&mut self) -> Result<MemRam> {
        self.writer.flush()?;
        Ok(self.writer.known()?.memram.clone())
    }

    /// The name of the space.
    pub fn space_name(&mut self) -> Result<String> {
        Ok(self.writer.known()?.memram.name.clone())
    }

    /// Capacity and bytes free, now.
    pub fn capacity(&mut self) -> Result<(i64, i64)> {
        let (by_max_mem, by_mem) = self.writer.pending_totals();
        let memram = &self.writer.known()?.memram;
        let max_mem = memram.max_mem + by_max_mem;
        Ok((max_mem, max_mem - memram.mem - by_mem))
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

    /// Reads with this unit's own changes.
    pub fn read<R>(&mut self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        self.writer.flush()?;
        self.read_written(read)
    }

    /// Reads objects, names and ledger entries; totals may be behind.
    pub fn read_rows<R>(&mut self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        self.writer.flush_rows()?;
        self.read_written(read)
    }

    /// Reads names, which are never gathered but written at once, and what was there
    /// before the transaction.
    pub fn read_written<R>(&mut self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        self.writer.not_failed()?;
        let result = read(&mut ReadTx::new(&mut self.writer.conn));
        self.writer.heed(result)
    }

    /// The object with this id, given as hexadecimal digits. O(log n).
    pub fn find(&mut self, object_id: &str) -> Result<Option<StoredObject>> {
        if let Some(object) = self.writer.new_object(object_id) {
            return Ok(Some(object.clone()));
        }
        let space = self.writer.space;
        let found = self.read_written(|tx| queries::objects::find(tx, space, object_id))?;
        Ok(found.filter(|object| !self.writer.is_removed(object.id)))
    }

    /// The object with this id and its pieces, each with its block as this unit has it.
    /// O(log n + pieces).
    pub fn find_placed(&mut self, object_id: &str) -> Result<Option<PlacedObject>> {
        if self.writer.new_object(object_id).is_some() {
            self.writer.flush_rows()?;
        }
        let mut found = self.read_placed(object_id)?;
        // Its last pieces may be gathered although its row and the others are written.
        if found.as_ref().is_some_and(|found| self.writer.is_new(found.id)) {
            self.writer.flush_rows()?;
            found = self.read_placed(object_id)?;
        }
        let Some(mut found) = found.filter(|found| !self.writer.is_removed(found.id)) else {
            return Ok(None);
        };
        for entry in &mut found.entries {
            if let Some(after) = self.writer.block_after(entry.block_id) {
                entry.block_mem = after.mem;
            }
        }
        Ok(Some(found))
    }

    fn read_placed(&mut self, object_id: &str) -> Result<Option<PlacedObject>> {
        let space = self.writer.space;
        self.read_written(|tx| queries::objects::placed(tx, space, object_id))
    }

    /// How many pieces an object has.
    pub fn count_entries(&mut self, object: StoredObjectId) -> Result<i64> {
        self.write_if_new(object)?;
        self.read_written(|tx| queries::entries::count(tx, object))
    }

    /// Whether something of an object is gathered and not in its table yet.
    pub fn is_unwritten(&self, object: StoredObjectId) -> bool {
        self.writer.is_new(object)
    }

    /// An object that is only gathered is written, so that statements see it.
    pub(super) fn write_if_new(&mut self, object: StoredObjectId) -> Result<()> {
        if self.writer.is_new(object) {
            self.writer.flush_rows()
        } else {
            Ok(())
        }
    }
}
