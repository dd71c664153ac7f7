//! What the writer knows without asking the file.

use diesel::prelude::*;

use super::conn::Conn;
use super::numbers::{Numbers, Table};
use super::queries;
use super::read::ReadTx;
use super::sqlite::exec;
use super::writer::Writer;
use crate::books::effects::{BlockAfter, SpaceDelta};
use crate::books::placement::Level;
use crate::books::room::Room;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::schema::memram;
use crate::models::{BlockId, HistoryMode, MemRam, StoredObject, StoredObjectId};

/// What is known of the space, and stays true until another connection writes.
pub(super) struct Known {
    pub memram: MemRam,
    pub room: Room,
    pub numbers: Numbers,
}

impl Writer {
    /// Reads the space anew if another connection has written since.
    pub(super) fn refresh(&mut self) -> Result<()> {
        let Conn::Sqlite(conn) = &mut self.conn;
        let version = exec::data_version(conn)?;
        if self.known.is_none() || version != self.data_version {
            let memram: MemRam = memram::table
                .find(self.space)
                .select(MemRam::as_select())
                .get_result(&mut self.conn)?;
            let room = Room::unknown(self.geometry.classes().len(), memram.max_mem - memram.reserved);
            let numbers = Numbers::default();
            self.known = Some(Known { memram, room, numbers });
            self.data_version = version;
        }
        self.start_recording()
    }

    pub(super) fn start_recording(&mut self) -> Result<()> {
        self.unit.effects.recording = self.known()?.memram.history != HistoryMode::Off;
        Ok(())
    }

    /// Forgets the space's row, after a change that is not told by effects.
    pub fn reread(&mut self) -> Result<()> {
        self.known = None;
        self.refresh()
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
        let loaded = queries::room::load(
            &mut ReadTx::new(&mut self.conn),
            self.space,
            &self.geometry,
            &mut known.room,
            level,
        );
        self.heed(loaded)
    }

    pub fn geometry_and_room(&mut self) -> Result<(&Geometry, &Room)> {
        let known = self.known.as_ref().ok_or_else(no_transaction)?;
        Ok((&self.geometry, &known.room))
    }

    /// Forgets what has room, after rows were removed.
    pub fn forget_room(&mut self) -> Result<()> {
        let classes = self.geometry.classes().len();
        let known = self.known()?;
        known.room = Room::unknown(classes, known.room.unreserved);
        Ok(())
    }

    /// The first of the next `count` keys of a table; a key never comes back.
    pub fn take_numbers(&mut self, table: Table, count: usize) -> Result<i64> {
        let known = self.known.as_mut().ok_or_else(no_transaction)?;
        let taken = known.numbers.take(&mut self.conn, table, count);
        self.heed(taken)
    }

    /// The next key of a table, which is not taken by this.
    pub fn next_number(&mut self, table: Table) -> Result<i64> {
        let known = self.known.as_mut().ok_or_else(no_transaction)?;
        let next = known.numbers.next(&mut self.conn, table);
        self.heed(next)
    }

    /// What the open transaction has done to the space's totals and not yet written.
    pub fn pending_totals(&self) -> (i64, i64) {
        let [kept, own] = [self.kept.effects.space, self.unit.effects.space];
        (kept.max_mem + own.max_mem, kept.mem + own.mem)
    }

    /// An object that is gathered, by its id.
    pub fn new_object(&self, object_id: &str) -> Option<&StoredObject> {
        let own = self.unit.objects.find(object_id);
        own.or_else(|| self.kept.objects.find(object_id))
    }

    /// Whether something of an object is gathered, and so not in its table yet.
    pub fn is_new(&self, object: StoredObjectId) -> bool {
        self.unit.holds(object) || self.kept.holds(object)
    }

    /// Whether an object is in its table and will be removed from it.
    pub fn is_removed(&self, object: StoredObjectId) -> bool {
        self.unit.removed.contains_key(&object) || self.kept.removed.contains_key(&object)
    }

    /// A block as the open transaction has left it, if that is not yet written.
    pub fn block_after(&self, block: BlockId) -> Option<&BlockAfter> {
        let own = self.unit.effects.blocks.get(&block);
        own.or_else(|| self.kept.effects.blocks.get(&block))
    }
}

fn no_transaction() -> Error {
    Error::Damaged {
        what: "a unit of work was used outside its transaction".into(),
    }
}

impl MemRam {
    pub(super) fn add(&mut self, by: SpaceDelta) {
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
