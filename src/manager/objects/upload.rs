//! Large objects, stored in parts.
//!
//! Each part is a short transaction, so that others write in between and the log stays short. Until
//! the last one nobody sees the object: its pieces belong to an upload, a reservation without a key.
//! The bytes are read once and hashed on the way, so the id is known at the end; if that content is
//! stored already, the pieces are given back.
//!
//! An upload has a lease, which each part renews. If its process dies, whoever writes after the
//! lease gives its bytes back.

use super::again::Again;
use super::allocate::{allocate, dedup};
use super::content::Content;
use super::hold::Hold;
use super::parts::Parts;
use super::place::{Placing, Source};
use super::reclaim;
use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::{Allocation, MemManager, Phase, names, unsigned};
use crate::models::{ReservationRow, ReservationState, StoredObject, StoredObjectId, signed};
use crate::store::{WriteTx, queries};
use crate::value::{Kind, ObjectId};

/// Ids set aside for pieces beyond those that an object can have when its upload begins: others
/// may free small objects, whose room it then fills.
const MORE_PIECES: u64 = 4096;
/// For a stream of unknown length, ids for the pieces of this many bytes are set aside.
const LONGEST_STREAM: u64 = 16 << 30;

/// What is known about content before it is read.
pub(in crate::manager) struct Announced<'a> {
    pub kind: Kind,
    pub type_name: Option<&'a str>,
    /// Its bytes, unless it is a stream.
    pub size: Option<u64>,
    /// Its id, if it was read before.
    pub id: Option<ObjectId>,
}

/// An object that is being stored in parts.
pub(in crate::manager) struct Upload<'m, 'a> {
    memory: &'m MemManager,
    announced: Announced<'a>,
    /// The reservation that it was announced with, or that its first part makes.
    row: Option<ReservationRow>,
    placing: Option<Placing>,
}

impl MemManager {
    /// Stores content in parts. `parts` has the first part already.
    ///
    /// # Errors
    /// Like [`MemManager::store_from`]. What was stored is given back then.
    pub(in crate::manager) fn upload(
        &self,
        announced: Announced<'_>,
        parts: &mut Parts<'_>,
        hold: Hold<'_>,
        reservation: Option<ReservationRow>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        let is_stream = announced.size.is_none();
        let mut upload = Upload {
            memory: self,
            announced,
            row: reservation,
            placing: None,
        };
        let stored = upload.run(parts, hold, progress);
        if stored.is_err() {
            upload.give_up();
        }
        match stored {
            Err(Error::OutOfMemory { .. }) if is_stream => self.skip(&upload.announced, parts, hold),
            Err(Error::OutOfMemory { needed, available, .. }) => {
                let (_, deadline) = self.writer()?;
                self.record_refusal(upload.announced.id, needed, available, deadline)?;
                stored
            }
            stored => stored,
        }
    }

    /// A stream that does not fit is read to its end, because it may be stored already.
    fn skip(&self, announced: &Announced<'_>, parts: &mut Parts<'_>, hold: Hold<'_>) -> Result<Allocation> {
        let max_mem = self.memram()?.max_mem;
        parts.skip_to_end(max_mem)?;
        // Of a longer one, only the start was read.
        let id = (parts.total <= max_mem).then(|| parts.id());
        let whole = match &id {
            Some(id) => self.whole_object(id)?,
            None => None,
        };
        let size = parts.total;
        self.write(|tx| match id {
            Some(id) if tx.find(&id)?.is_some() => {
                let what = announced.content(id, size, whole);
                allocate(tx, &what, hold, &mut Gone)
            }
            _ => {
                let (max_mem, available) = tx.capacity()?;
                Err(refuse(tx, id, size, max_mem, available))
            }
        })
    }
}

/// Records that an allocation is refused.
pub(in crate::manager) fn refuse(
    tx: &mut WriteTx<'_>,
    object_id: Option<ObjectId>,
    size: u64,
    max_mem: i64,
    available: i64,
) -> Error {
    let refused = tx.apply(Change::Refused {
        object_id,
        needed: signed(size),
        available,
    });
    refused.err().unwrap_or(Error::OutOfMemory {
        needed: size,
        available: unsigned(available),
        max_mem: unsigned(max_mem),
    })
}

/// A stream that was read to its end: it cannot be read again.
struct Gone;

impl Source for Gone {
    fn take(&mut self, _: usize) -> Result<std::borrow::Cow<'_, [u8]>> {
        Err(Error::Damaged {
            what: "the content is already stored, but damaged; store it from a file to repair it".into(),
        })
    }
}

impl Announced<'_> {
    pub fn bytes(size: Option<u64>, id: Option<ObjectId>) -> Self {
        Self {
            kind: Kind::Bytes,
            type_name: None,
            size,
            id,
        }
    }

    fn content(&self, id: ObjectId, size: u64, whole: Option<StoredObjectId>) -> Content<'_> {
        Content {
            id,
            kind: self.kind,
            type_name: self.type_name,
            size,
            whole,
        }
    }
}

impl Upload<'_, '_> {
    fn run(
        &mut self,
        parts: &mut Parts<'_>,
        hold: Hold<'_>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        let total = self.announced.size;
        while !parts.at_end {
            self.store_part(parts)?;
            parts.fill()?;
            progress(Phase::Storing, parts.total, total.unwrap_or_default());
        }
        if total.is_some_and(|total| total != parts.total) || self.announced.id.is_some_and(|id| id != parts.id()) {
            return Err(Error::Io {
                what: "the content changed while it was read".into(),
                source: std::io::ErrorKind::InvalidData.into(),
            });
        }
        progress(Phase::Syncing, 0, 0);
        self.finish(parts, hold)
    }

    /// Stores what is in the buffer, but never the last byte of the content.
    fn store_part(&mut self, parts: &mut Parts<'_>) -> Result<()> {
        let memory = self.memory;
        let (row, placing) = memory.write_part(|tx| {
            let mut row = self.begin(tx, parts.rest().len() as u64)?;
            let mut placing = self.placing(tx, &row);
            tx.whole(|tx| {
                let most = parts.rest().len() as i64 - 1;
                self.place(tx, &mut row, &mut placing, parts, most)
            })?;
            Ok((row, placing))
        })?;
        self.row = Some(row);
        self.placing = Some(placing);
        Ok(())
    }

    /// The current row, which the first part makes. Fails if others have ended it.
    fn begin(&self, tx: &mut WriteTx<'_>, buffered: u64) -> Result<ReservationRow> {
        let Some(row) = &self.row else {
            return self.make(tx, buffered);
        };
        let mut row = reclaim::open(tx, row.id)?;
        // Of a stream, only what is read needs room.
        if row.stored_object_id.is_none() {
            self.set_ids_aside(tx, &mut row)?;
        } else if self.announced.size.is_none() && row.key.is_none() {
            self.check_room(tx, buffered)?;
        }
        Ok(row)
    }

    fn make(&self, tx: &mut WriteTx<'_>, buffered: u64) -> Result<ReservationRow> {
        let bytes = self.announced.size.unwrap_or(buffered);
        self.check_room(tx, bytes)?;
        let now = tx.at();
        let mut row = ReservationRow {
            id: tx.next_reservation_id()?,
            memram_id: tx.space(),
            key: None,
            state: ReservationState::Open,
            bytes: signed(bytes),
            written: 0,
            object_id: None,
            stored_object_id: None,
            entry_ids: 0,
            first_arena_id: crate::models::ArenaId(0),
            first_pool_id: crate::models::PoolId(0),
            first_block_id: crate::models::BlockId(0),
            created_at: now,
            expires_at: now + self.memory.inner.lease,
            resolved_at: None,
        };
        self.set_ids_aside(tx, &mut row)?;
        tx.apply(Change::ReservationSet {
            before: None,
            after: row.clone(),
        })?;
        Ok(row)
    }

    fn check_room(&self, tx: &mut WriteTx<'_>, bytes: u64) -> Result<()> {
        if bytes > unsigned(tx.capacity()?.1) {
            reclaim::all_due(tx)?;
        }
        let (max_mem, available) = tx.capacity()?;
        if bytes > unsigned(available) {
            return Err(refuse(tx, self.announced.id, bytes, max_mem, available));
        }
        Ok(())
    }

    /// Sets ids aside, which the pieces need to follow each other while others store objects.
    fn set_ids_aside(&self, tx: &mut WriteTx<'_>, row: &mut ReservationRow) -> Result<()> {
        let (space, most) = (tx.space(), tx.memram()?.available() + unsigned(row.bytes));
        let size = self.announced.size.unwrap_or_else(|| most.min(LONGEST_STREAM));
        let class = tx.geometry().class_for(self.size_of_class());
        let classes = tx.geometry().classes();
        let block_size = classes.get(class).map_or(1, |class| class.block_size);
        let pieces = tx.read(|tx| queries::reservations::most_pieces(tx, space, block_size, size))?;
        let entries = usize::try_from(pieces + MORE_PIECES).unwrap_or(usize::MAX);
        row.entry_ids = entries as i64;
        row.stored_object_id = Some(tx.next_object_id(entries)?);
        (row.first_arena_id, row.first_pool_id, row.first_block_id) = tx.next_carved()?;
        Ok(())
    }

    /// A stream of unknown length is placed like the largest objects.
    fn size_of_class(&self) -> u64 {
        self.announced.size.unwrap_or(u64::MAX)
    }

    fn placing(&self, tx: &WriteTx<'_>, row: &ReservationRow) -> Placing {
        let new = || {
            let object = row.stored_object_id.unwrap_or(StoredObjectId(0));
            let size = self.size_of_class();
            Placing::new(object, tx.geometry().class_for(size), size)
        };
        self.placing.unwrap_or_else(new)
    }

    /// Places up to `most` bytes of `parts` as one part.
    fn place(
        &self,
        tx: &mut WriteTx<'_>,
        row: &mut ReservationRow,
        placing: &mut Placing,
        parts: &mut Parts<'_>,
        most: i64,
    ) -> Result<()> {
        tx.apply(Change::PartBegun { reservation: row.id })?;
        placing.place(tx, parts, most)?;
        if placing.seq > row.entry_ids {
            return Err(Error::TooManyPieces {
                pieces: unsigned(placing.seq),
                ids: unsigned(row.entry_ids),
            });
        }
        let is_stream = self.announced.size.is_none() && row.key.is_none();
        let after = ReservationRow {
            // A stream is promised nothing but what is written.
            bytes: if is_stream { placing.placed } else { row.bytes },
            written: placing.placed,
            expires_at: row.expires_at.max(tx.at() + self.memory.inner.lease),
            ..row.clone()
        };
        tx.apply(Change::ReservationSet {
            before: Some(row),
            after: after.clone(),
        })?;
        *row = after;
        Ok(())
    }

    /// Stores the rest, and makes the object visible, or ends as a dedup hit.
    fn finish(&mut self, parts: &mut Parts<'_>, hold: Hold<'_>) -> Result<Allocation> {
        let (id, size) = (parts.id(), parts.total);
        let memory = self.memory;
        let whole = memory.whole_object(&id)?;
        memory.write_apart(|tx| {
            names::validate_hold(tx, hold)?;
            let row = self.begin(tx, parts.rest().len() as u64)?;
            if let Some(object) = tx.find(&id)? {
                let what = self.announced.content(id, size, whole);
                return tx.whole(|tx| {
                    let mut source = Again::new(memory, row.stored_object_id, parts.rest());
                    let stored = dedup(tx, &what, &object, hold, &mut source)?;
                    self.resolve(tx, &row, id)?;
                    Ok(stored)
                });
            }
            tx.whole(|tx| self.post(tx, row, parts, id, hold))
        })
    }

    fn post(
        &self,
        tx: &mut WriteTx<'_>,
        mut row: ReservationRow,
        parts: &mut Parts<'_>,
        id: ObjectId,
        hold: Hold<'_>,
    ) -> Result<Allocation> {
        let mut placing = self.placing(tx, &row);
        let rest = parts.rest().len() as i64;
        placing.remaining = rest;
        tx.streaming(|tx| self.place(tx, &mut row, &mut placing, parts, rest))?;
        let object = StoredObject {
            id: placing.object,
            memram_id: tx.space(),
            object_id: id,
            kind: self.announced.kind,
            type_name: self.announced.type_name.map(str::to_owned),
            size: parts.total,
            held: hold == Hold::Anonymous,
            created_at: tx.at(),
        };
        let reservation = row.id;
        let taken = ReservationRow {
            written: 0,
            bytes: row.bytes,
            stored_object_id: None,
            entry_ids: 0,
            ..row.clone()
        };
        self.resolve_taken(tx, &row, taken, id)?;
        tx.apply(Change::ObjectPosted { object, reservation })?;
        let freed = match hold {
            Hold::Anonymous => None,
            Hold::Name(name) | Hold::NewName(name) => names::bind(tx, name, placing.object, id)?,
        };
        tx.give_ids_back()?;
        Ok(Allocation {
            id,
            size: parts.total,
            pieces: unsigned(placing.seq),
            dedup: false,
            repaired: 0,
            freed,
        })
    }

    /// The pieces have become an object.
    fn resolve_taken(
        &self,
        tx: &mut WriteTx<'_>,
        before: &ReservationRow,
        taken: ReservationRow,
        id: ObjectId,
    ) -> Result<()> {
        if before.key.is_none() {
            return tx.apply(Change::ReservationRemoved { reservation: before });
        }
        let after = ReservationRow {
            state: ReservationState::Posted,
            object_id: Some(id),
            resolved_at: Some(tx.at()),
            ..taken
        };
        tx.apply(Change::ReservationSet {
            before: Some(before),
            after,
        })
    }

    /// The content was stored already, so the pieces are given back.
    fn resolve(&self, tx: &mut WriteTx<'_>, row: &ReservationRow, id: ObjectId) -> Result<()> {
        tx.leave_pieces();
        if row.key.is_none() {
            return reclaim::resolve(tx, row, ReservationState::Voided).map(drop);
        }
        let after = ReservationRow {
            state: ReservationState::Posted,
            object_id: Some(id),
            resolved_at: Some(tx.at()),
            ..row.clone()
        };
        tx.apply(Change::ReservationSet {
            before: Some(row),
            after,
        })
    }

    /// Gives back what was stored after an error. If that fails too, others do it after the lease.
    fn give_up(&self) {
        if let Some(row) = &self.row {
            let _ = self.memory.give_up(row.id);
        }
    }
}
