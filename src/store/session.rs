//! A unit of work: its changes, and its reads, which see its own changes and earlier ones.

mod ahead;
mod due;
mod keys;
mod quotas;
mod recency;
mod tags;

use super::queries;
use super::queries::entries::StoredPiece;
use super::queries::names::{Bound, KeptName};
use super::queries::placed::PlacedObject;
use super::read::ReadTx;
use super::sqlite::ceiling::OnDisk;
use super::sqlite::spool::Spool;
use super::writer::Writer;
use crate::books::change::Change;
use crate::books::events::Signature;
use crate::books::placement::{RoomLevel, Step, next_step};
use crate::books::refusals::Refusal;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::{Ends, MemRam, MemRamId, StoredObject, StoredObjectId, Timestamp, signed};
use crate::value::ObjectId;

/// An open unit of work. The store begins and ends it; see [`super::Group::write`].
pub(crate) struct WriteTx<'w> {
    writer: &'w mut Writer,
    /// How many changes were made.
    changes: u64,
    /// The last refused allocation.
    refused: Option<Refusal>,
    /// Whether it leaves pieces to give back.
    leaves_pieces: bool,
    /// Whether it evicts something.
    evicts: bool,
    /// Whether what has expired by the clock may be given back, once that was decided.
    trusts_clock: Option<bool>,
    /// An object, and whether the policy remembers it, once that was looked up.
    recalled: Option<(ObjectId, bool)>,
}

impl<'w> WriteTx<'w> {
    pub(super) fn new(writer: &'w mut Writer) -> Self {
        Self {
            writer,
            changes: 0,
            refused: None,
            leaves_pieces: false,
            evicts: false,
            trusts_clock: None,
            recalled: None,
        }
    }

    /// Sets the actor, time and reason of this unit of work.
    pub fn sign(&mut self, signature: Signature) {
        self.writer.own.sign(signature);
    }

    /// The time of this unit of work, used for everything it writes.
    pub fn at(&self) -> Timestamp {
        self.writer.own.signature().at
    }

    /// Takes the last refused allocation.
    pub fn take_refused(&mut self) -> Option<Refusal> {
        self.refused.take()
    }

    /// How many changes this unit has made.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Notes that this unit leaves pieces, to be given back after it.
    pub fn leave_pieces(&mut self) {
        self.leaves_pieces = true;
    }

    /// Whether this unit leaves pieces.
    pub fn leaves_pieces(&self) -> bool {
        self.leaves_pieces
    }

    /// Whether this unit evicts something.
    pub fn evicts(&self) -> bool {
        self.evicts
    }

    /// Switches to another space of the file, because repair works on all of them.
    pub fn enter(&mut self, space: MemRamId, geometry: Geometry) -> Result<()> {
        self.writer.enter(space, geometry)
    }

    pub fn space(&self) -> MemRamId {
        self.writer.space
    }

    pub fn geometry(&self) -> &Geometry {
        &self.writer.geometry
    }

    /// Executes one change and runs every trigger on it.
    pub fn apply(&mut self, change: Change<'_>) -> Result<()> {
        self.writer.not_failed()?;
        self.changes += 1;
        self.evicts |= matches!(change, Change::Evicted { .. });
        if let Change::Refused(refusal) = &change {
            self.refused = Some(refusal.clone());
        }
        self.untag_ended(&change)?;
        self.count_paid(&change)?;
        let ranked = self.ranked_by(&change)?;
        self.whole(|tx| {
            tx.writer.apply(change)?;
            ranked.map_or(Ok(()), |ranked| tx.writer.apply(ranked))
        })
    }

    /// Runs `work`, which must complete: if it fails, the unit of work cannot be committed, even if a
    /// batch continues after the error.
    pub fn whole<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        work(self).inspect_err(|_| self.writer.fail())
    }
}

/// Reads.
impl WriteTx<'_> {
    /// The current row of the space, including this unit's changes.
    pub fn memram(&mut self) -> Result<MemRam> {
        self.writer.not_failed()?;
        let mut memram = self.writer.known()?.memram.clone();
        for batch in self.writer.gathered().into_iter().rev() {
            batch.effects().space.add_to(&mut memram);
        }
        Ok(memram)
    }

    /// What the files of the heap take, including what is written in this transaction.
    pub fn on_disk(&mut self) -> Result<OnDisk> {
        self.writer.not_failed()?;
        self.writer.engine.on_disk()
    }

    /// How many pieces may be given back in one transaction: as many as need about a third of the
    /// reserve below the ceiling of the file.
    pub fn most_pieces(&self) -> i64 {
        self.writer.engine.most_pieces()
    }

    /// A place to set bytes aside until the unit of work ends.
    pub fn spool(&self) -> Spool {
        self.writer.engine.spool()
    }

    /// Refuses content that needs more room on disk than there is, before it is stored in parts of up to `part` bytes.
    ///
    /// # Errors
    /// [`Error::FileFull`](crate::Error::FileFull).
    pub fn check_room_in_file(&mut self, bytes: u64, part: u64) -> Result<()> {
        self.writer.not_failed()?;
        self.writer.engine.check_room_in_file(bytes, part)
    }

    /// The name of the space.
    pub fn space_name(&mut self) -> Result<String> {
        Ok(self.writer.known()?.memram.name.clone())
    }

    /// The current capacity and free bytes.
    pub fn capacity(&mut self) -> Result<(i64, i64)> {
        let [own, earlier] = self.writer.gathered().map(|batch| batch.effects().space);
        let memram = &self.writer.known()?.memram;
        let max_mem = signed(memram.max_mem) + own.max_mem + earlier.max_mem;
        let taken = signed(memram.mem) + own.mem + earlier.mem;
        let promised = signed(memram.promised).saturating_add(own.promised + earlier.promised);
        Ok((max_mem, (max_mem - taken).saturating_sub(promised)))
    }

    /// The next step of placement for an object of `class` with `remaining` bytes.
    pub fn next_step(&mut self, class: usize, remaining: i64) -> Result<Option<Step>> {
        let (geometry, room) = self.writer.geometry_and_room()?;
        Ok(next_step(room, geometry, class, remaining))
    }

    /// Reads more rows with room.
    pub fn load_room(&mut self, level: RoomLevel) -> Result<()> {
        self.writer.flush()?;
        self.writer.load_room(level)
    }

    /// Reads with this unit's own changes.
    pub fn read<R>(&mut self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        self.writer.flush()?;
        self.read_written(read)
    }

    /// Reads objects, names and ledger entries; totals may be outdated.
    pub fn read_rows<R>(&mut self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        self.writer.flush_rows()?;
        self.read_written(read)
    }

    /// Reads only what is written, without what this unit has gathered.
    pub fn read_written<R>(&mut self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        self.writer.not_failed()?;
        let at = self.at();
        let result = read(&mut self.writer.engine.read().at(at));
        self.writer.check(result)
    }

    /// The object with this id, even if it has expired. O(log n).
    pub fn find(&mut self, object_id: &ObjectId) -> Result<Option<StoredObject>> {
        let gathered = self.writer.gathered();
        if let Some(object) = gathered.iter().find_map(|batch| batch.object(object_id)) {
            return Ok(Some(self.as_held(object.clone())));
        }
        let space = self.writer.space;
        let found = match self.writer.looked_up.object(object_id) {
            Some(found) => found.clone(),
            None => self.read_written(|tx| queries::objects::find_kept(tx, space, object_id))?,
        };
        Ok(found
            .filter(|object| !self.removes(object.id))
            .map(|object| self.as_held(object)))
    }

    /// Like [`Self::find`], for an object that is stored as a new one if it is not found. In a lazy unit it
    /// need not be looked up: if it is there, the unit runs again, and then knows it.
    pub fn find_unless_new(&mut self, object_id: &ObjectId) -> Result<Option<StoredObject>> {
        let is_gathered = self
            .writer
            .gathered()
            .iter()
            .any(|batch| batch.object(object_id).is_some());
        if self.writer.engine.is_lazy() && !is_gathered && self.writer.looked_up.object(object_id).is_none() {
            return Ok(None);
        }
        self.find(object_id)
    }

    /// Whether objects should be looked up several at a time, by [`Self::look_up`].
    pub fn looks_up_together(&self) -> bool {
        self.writer.engine.looks_up_together()
    }

    /// Looks up objects that will be asked for one by one.
    pub fn look_up(&mut self, ids: &[ObjectId]) -> Result<()> {
        self.writer.not_failed()?;
        self.writer.look_up(ids)
    }

    /// What a name is bound to, even if it has expired. O(log n).
    pub fn bound(&mut self, name: &str) -> Result<Option<Bound>> {
        let gathered = self.writer.gathered();
        match gathered.iter().find_map(|batch| batch.name(name)) {
            Some(change) if change.now.is_none() => return Ok(None),
            Some(_) => self.writer.flush_rows()?,
            None => {}
        }
        let space = self.writer.space;
        let found = self.read_written(|tx| queries::names::bound(tx, space, name))?;
        Ok(found.map(|bound| Bound {
            object: self.as_held(bound.object),
            ..bound
        }))
    }

    /// When the last of an object's names ends, besides `leaving`, if it has any. O(log n).
    pub fn last_end(&mut self, object: StoredObjectId, leaving: Option<&str>) -> Result<Option<Ends>> {
        self.flush_rows_of(object)?;
        self.read_written(|tx| queries::names::last_end(tx, object, leaving))
    }

    /// The names of an object, byte for byte, even if they have expired.
    pub fn names_of(&mut self, object: StoredObjectId) -> Result<Vec<KeptName>> {
        self.flush_rows_of(object)?;
        self.read_written(|tx| queries::names::exact(tx, object))
    }

    /// The object with this id and its pieces, each with its block including this unit's changes.
    /// O(log n + pieces).
    pub fn find_placed(&mut self, object_id: &ObjectId) -> Result<Option<PlacedObject>> {
        let gathered = self.writer.gathered();
        if gathered.iter().any(|batch| batch.object(object_id).is_some()) {
            self.writer.flush_rows()?;
        }
        let mut found = self.read_placed(object_id, None)?;
        if let Some(key) = found.as_ref().map(|found| found.id)
            && self.flush_rows_of(key)?
        {
            found = self.read_placed(object_id, None)?;
        }
        Ok(found.and_then(|found| self.as_left(found)))
    }

    /// The same for a known object, which is about to lose the name `leaving`, if that is given.
    pub fn placed(&mut self, object: &StoredObject, leaving: Option<&str>) -> Result<Option<PlacedObject>> {
        self.flush_rows_of(object.id)?;
        let found = self.read_placed(&object.object_id, leaving)?;
        Ok(found.and_then(|found| self.as_left(found)))
    }

    /// Applies this unit's changes to an object; `None` if it was removed.
    fn as_left(&self, mut found: PlacedObject) -> Option<PlacedObject> {
        let gathered = self.writer.gathered();
        for entry in &mut found.entries {
            if let Some(after) = gathered.iter().find_map(|batch| batch.block(entry.block_id)) {
                entry.block_mem = after.mem;
            }
        }
        if let Some(lifetime) = gathered.iter().find_map(|batch| batch.hold(found.id)) {
            found.expires_at = lifetime.expires_at;
        }
        (!self.removes(found.id)).then_some(found)
    }

    /// Writes the gathered rows if any belong to this object: its own, one of its last pieces, or one
    /// of its names. Returns whether there were any.
    fn flush_rows_of(&mut self, object: StoredObjectId) -> Result<bool> {
        let is_behind = self.is_unwritten(object) || self.renames(object);
        if is_behind {
            self.writer.flush_rows()?;
        }
        Ok(is_behind)
    }

    fn read_placed(&mut self, object_id: &ObjectId, leaving: Option<&str>) -> Result<Option<PlacedObject>> {
        let space = self.writer.space;
        self.read_written(|tx| queries::placed::placed(tx, space, object_id, leaving))
    }

    /// Up to `limit` pieces of an object as they are written, from position `from` on.
    /// O(log n + pieces).
    pub fn stored_pieces(&mut self, object: StoredObjectId, from: i64, limit: i64) -> Result<Vec<StoredPiece>> {
        self.writer.not_failed()?;
        match self.writer.looked_up.take_pieces(object) {
            Some(pieces) if from == 0 => Ok(pieces),
            _ => self.read_written(|tx| queries::entries::stored_pieces(tx, object, from, limit)),
        }
    }

    /// How many pieces an object has.
    pub fn count_entries(&mut self, object: StoredObjectId) -> Result<i64> {
        self.flush_rows_of(object)?;
        self.read_written(|tx| queries::entries::count(tx, object))
    }

    /// Whether a row of an object is gathered but not yet in its table.
    pub fn is_unwritten(&self, object: StoredObjectId) -> bool {
        self.writer.brings(object)
    }

    fn removes(&self, object: StoredObjectId) -> bool {
        self.writer.gathered().iter().any(|batch| batch.removes(object))
    }

    fn renames(&self, object: StoredObjectId) -> bool {
        self.writer.gathered().iter().any(|batch| batch.renames(object))
    }

    /// The object with what holds it now.
    fn as_held(&self, mut object: StoredObject) -> StoredObject {
        let gathered = self.writer.gathered();
        if let Some(lifetime) = gathered.iter().find_map(|batch| batch.hold(object.id)) {
            object.set_lifetime(lifetime);
        }
        object
    }
}
