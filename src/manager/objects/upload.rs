//! Large objects, stored in parts.
//!
//! Each part is a short transaction, so that others write in between and the log stays short. Until the
//! last one nobody sees the object: its pieces belong to an upload, a reservation without a key. The
//! bytes are read once and hashed on the way, so the id is known only at the end; if that content is
//! stored already, the pieces are given back.
//!
//! An upload has a lease, which each part renews. If its process dies, writes after the end of the
//! lease give its bytes back.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::admit::{Gain, admit};
use super::again::Again;
use super::allocate::{allocate, dedup};
use super::announced::Announced;
use super::hold::HoldWith;
use super::parts::{Part, Parts};
use super::place::{Placing, Source};
use super::reserved;
use super::room::{need_room, refuse};
use super::sweep;
use crate::books::change::Change;
use crate::error::{Error, ReservationError, Result};
use crate::manager::names::Kept;
use crate::manager::{Allocation, MemManager, Phase, names, unsigned};
use crate::models::{ReservationRow, ReservationState, StoredObjectId};
use crate::store::WriteTx;
use crate::value::ObjectId;

/// An object that is being stored in parts.
pub(in crate::manager) struct Upload<'a> {
    pub memory: MemManager,
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
        hold: &HoldWith<'_>,
        reservation: Option<ReservationRow>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        // The content of a reservation is not looked for after an error: the reservation stays open.
        let is_skipped = announced.size.is_none() && reservation.is_none();
        let mut upload = Upload::new(self, announced, reservation);
        let run = catch_unwind(AssertUnwindSafe(|| upload.run(parts, hold, progress)));
        if !matches!(run, Ok(Ok(_))) {
            upload.give_up();
        }
        match run.unwrap_or_else(|panic| resume_unwind(panic)) {
            Err(full @ (Error::OutOfMemory { .. } | Error::QuotaExceeded(_) | Error::FileFull { .. }))
                if is_skipped =>
            {
                self.skip(full, &upload.announced, parts, hold)
            }
            Err(full) => {
                self.record_error(&full, upload.announced.id)?;
                Err(full)
            }
            stored => stored,
        }
    }

    /// A stream that does not fit is read to its end, because it may be stored already.
    fn skip(
        &self,
        full: Error,
        announced: &Announced<'_>,
        parts: &mut Parts<'_>,
        hold: &HoldWith<'_>,
    ) -> Result<Allocation> {
        let max_mem = self.memram()?.max_mem;
        parts.skip_to_end(max_mem)?;
        // Of a longer one, only the start was read.
        let id = (parts.part.total <= max_mem).then(|| parts.part.id());
        let whole = match &id {
            Some(id) => self.whole_object(id)?,
            None => None,
        };
        let size = parts.part.total;
        self.write(|tx| match id {
            Some(id) if sweep::find(tx, &id)?.is_some() => {
                let what = announced.content(id, size, whole);
                allocate(tx, &what, hold, &mut Gone)
            }
            _ if matches!(full, Error::FileFull { .. }) => Err(full.again()),
            _ if matches!(full, Error::QuotaExceeded(_)) => {
                let gain = Gain {
                    object: None,
                    object_id: id,
                    size,
                };
                admit(tx, gain, hold)?;
                // Some of the owner's bytes were given back meanwhile.
                Err(full.again())
            }
            _ => Err(refuse(tx, id, size)),
        })
    }
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

impl<'a> Upload<'a> {
    /// An upload without a part so far; `reservation` is the one that it was announced with, if any.
    pub fn new(memory: &MemManager, announced: Announced<'a>, reservation: Option<ReservationRow>) -> Self {
        Self {
            memory: memory.clone(),
            announced,
            row: reservation,
            placing: None,
        }
    }

    fn run(
        &mut self,
        parts: &mut Parts<'_>,
        hold: &HoldWith<'_>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        let total = self.announced.size;
        while !parts.part.at_end {
            self.check_length(&parts.part)?;
            self.store_part(&mut parts.part, hold)?;
            parts.fill()?;
            progress(Phase::Storing, parts.part.total, total.unwrap_or_default());
        }
        let part = &mut parts.part;
        self.check_length(part)?;
        if self.announced.id.is_some_and(|id| id != part.id()) {
            return Err(changed());
        }
        progress(Phase::Syncing, 0, 0);
        self.finish(part, hold)
    }

    /// Whether a part is stored.
    pub fn has_begun(&self) -> bool {
        self.placing.is_some()
    }

    /// Fails if the source is longer or shorter than it was.
    fn check_length(&self, part: &Part) -> Result<()> {
        match self.announced.size {
            Some(size) if part.total > size || (part.at_end && part.total < size) => Err(changed()),
            _ => Ok(()),
        }
    }

    /// Stores what is in the buffer, but never the last byte of the content.
    pub fn store_part(&mut self, part: &mut Part, hold: &HoldWith<'_>) -> Result<()> {
        self.check_reserved(part.total)?;
        let taken = part.taken();
        let (row, placing) = self.memory.write_part(self.needed(part), |tx| {
            part.take_back(taken);
            // Not for a reservation, whose content may be stored already.
            if self.row.as_ref().is_none_or(|row| row.key.is_none()) {
                admit(tx, self.gain(part.total), hold)?;
            }
            let mut row = self.begin(tx, part.rest().len() as u64)?;
            let mut placing = self.placing(tx, &row);
            tx.whole(|tx| {
                let most = part.rest().len() as i64 - 1;
                self.place(tx, &mut row, &mut placing, part, most)
            })?;
            Ok((row, placing))
        })?;
        self.row = Some(row);
        self.placing = Some(placing);
        Ok(())
    }

    /// What needs room: of a stream, only what is read.
    fn needed(&self, part: &Part) -> u64 {
        self.announced.size.unwrap_or(part.rest().len() as u64)
    }

    /// The content that the hold is taken on, of which `total` bytes are read.
    fn gain(&self, total: u64) -> Gain<'static> {
        Gain {
            object: None,
            object_id: self.announced.id,
            size: self.announced.size.unwrap_or(total),
        }
    }

    /// Refuses more content than its reservation has bytes.
    fn check_reserved(&self, needed: u64) -> Result<()> {
        self.row
            .as_ref()
            .map_or(Ok(()), |row| reserved::check_size(row, needed))
    }

    /// The current row, which the first part makes. Fails if others have ended it.
    fn begin(&self, tx: &mut WriteTx<'_>, buffered: u64) -> Result<ReservationRow> {
        let Some(row) = &self.row else {
            return self.announced.make(tx, buffered, self.memory.inner.lease);
        };
        // Of a stream, only what is read needs room.
        if row.stored_object_id.is_some() && self.announced.size.is_none() && row.key.is_none() {
            self.renew(tx, row)?;
            need_room(tx, self.announced.id, buffered)?;
        }
        let mut row = reserved::open(tx, row.id)?;
        let placed = self
            .placing
            .map_or((None, 0), |placing| (Some(placing.object), placing.placed));
        if (row.stored_object_id, row.written) != placed {
            let key = row.key.unwrap_or_default();
            return Err(ReservationError::Superseded { key }.into());
        }
        if row.stored_object_id.is_none() {
            tx.check_room_in_file(self.announced.size.unwrap_or(buffered), buffered)?;
            self.announced.set_ids_aside(tx, &mut row)?;
        }
        Ok(row)
    }

    /// Renews a lease that is over because the source was slow, or the machine asleep, if nobody has ended the
    /// upload: otherwise the upload would end itself when it makes room.
    fn renew(&self, tx: &mut WriteTx<'_>, row: &ReservationRow) -> Result<()> {
        if row.expires_at > tx.at() {
            return Ok(());
        }
        let before = reserved::open(tx, row.id)?;
        let after = ReservationRow {
            expires_at: tx.at() + self.memory.inner.lease,
            ..before.clone()
        };
        let before = Some(&before);
        tx.apply(Change::ReservationSet { before, after })
    }

    fn placing(&self, tx: &WriteTx<'_>, row: &ReservationRow) -> Placing {
        let new = || {
            let object = row.stored_object_id.unwrap_or(StoredObjectId(0));
            let size = self.announced.size_of_class();
            Placing::new(object, tx.geometry().class_for(size), size)
        };
        self.placing.unwrap_or_else(new)
    }

    /// Places up to `most` bytes of `part` as one part.
    fn place(
        &self,
        tx: &mut WriteTx<'_>,
        row: &mut ReservationRow,
        placing: &mut Placing,
        part: &mut Part,
        most: i64,
    ) -> Result<()> {
        tx.apply(Change::PartBegun { reservation: row.id })?;
        placing.place(tx, part, most)?;
        if placing.seq > row.entry_ids {
            return Err(ReservationError::TooManyPieces {
                pieces: unsigned(placing.seq),
                ids: unsigned(row.entry_ids),
            }
            .into());
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
    pub fn finish(&mut self, part: &mut Part, hold: &HoldWith<'_>) -> Result<Allocation> {
        let (id, size) = (part.id(), part.total);
        self.check_reserved(size)?;
        let memory = &self.memory;
        let whole = memory.whole_object(&id)?;
        let taken = part.taken();
        memory.write_last(self.needed(part), |tx| {
            part.take_back(taken);
            names::validate_hold(tx, hold)?;
            let row = self.begin(tx, part.rest().len() as u64)?;
            // What the parts have left behind is given back after this unit: before it, that could end this
            // upload, too, if its lease is over.
            if tx.has_due()? {
                tx.leave_pieces();
            }
            if let Some(object) = sweep::find(tx, &id)? {
                let what = self.announced.content(id, size, whole);
                return tx.whole(|tx| {
                    let mut source = Again::new(memory, row.stored_object_id, part.rest());
                    let stored = dedup(tx, &what, &object, hold, &mut source)?;
                    self.resolve(tx, &row, id)?;
                    Ok(stored)
                });
            }
            admit(tx, self.gain(size), hold)?;
            tx.whole(|tx| self.post(tx, row, part, id, hold))
        })
    }

    fn post(
        &self,
        tx: &mut WriteTx<'_>,
        mut row: ReservationRow,
        part: &mut Part,
        id: ObjectId,
        hold: &HoldWith<'_>,
    ) -> Result<Allocation> {
        let mut placing = self.placing(tx, &row);
        let rest = part.rest().len() as i64;
        placing.remaining = rest;
        self.place(tx, &mut row, &mut placing, part, rest)?;
        let content = self.announced.content(id, part.total, None);
        let object = content.object(tx, placing.object, hold)?;
        let kept = Kept::from(&object);
        let reservation = row.id;
        if row.key.is_none() {
            tx.apply(Change::ReservationRemoved { reservation: &row })?;
        } else {
            // The pieces are the object's now. Nothing is promised for them after this change.
            let taken = ReservationRow {
                written: 0,
                stored_object_id: None,
                entry_ids: 0,
                ..row.clone()
            };
            reserved::posted(tx, &row, taken, id)?;
        }
        tx.apply(Change::ObjectPosted { object, reservation })?;
        let freed = names::take_hold(tx, hold, kept)?;
        tx.give_ids_back()?;
        Ok(Allocation {
            id,
            size: part.total,
            pieces: unsigned(placing.seq),
            dedup: false,
            repaired: 0,
            freed,
        })
    }

    /// The content was stored already, so the pieces are given back.
    fn resolve(&self, tx: &mut WriteTx<'_>, row: &ReservationRow, id: ObjectId) -> Result<()> {
        tx.leave_pieces();
        if row.key.is_none() {
            return reserved::resolve(tx, row, ReservationState::Voided).map(drop);
        }
        reserved::posted(tx, row, row.clone(), id)
    }

    /// After an error, gives back what was stored. If that fails too, a later write does it, or others after the
    /// lease.
    pub fn give_up(&self) {
        if let Some(row) = self.row.as_ref().filter(|row| row.stored_object_id.is_some()) {
            self.memory.abandon(row.id, row.stored_object_id);
        }
    }
}

fn changed() -> Error {
    Error::Io {
        what: "the content changed while it was read".into(),
        source: std::io::ErrorKind::InvalidData.into(),
    }
}
