//! What is known about an object before it is stored in parts, and what its first part needs.

use std::time::Duration;

use super::content::Content;
use super::parts::LEAST_PART;
use super::room::need_room;
use crate::books::change::Change;
use crate::error::Result;
use crate::manager::unsigned;
use crate::models::{ReservationRow, StoredObjectId};
use crate::store::{WriteTx, queries};
use crate::value::{Encoded, Kind, ObjectId};

/// Ids set aside for pieces beyond those that an object can have when its upload begins: others
/// may free small objects, whose room it then fills.
const MORE_PIECES: u64 = 4096;
/// For a stream of unknown length, ids for the pieces of this many bytes are set aside.
const LONGEST_STREAM: u64 = 16 << 30;

/// What is known about content before it is read.
pub(in crate::manager) struct Announced<'a> {
    pub kind: Kind,
    pub type_name: Option<&'a str>,
    /// Its size in bytes, unless it is a stream.
    pub size: Option<u64>,
    /// Its id, if it was read before.
    pub id: Option<ObjectId>,
}

impl<'a> Announced<'a> {
    /// Content in memory.
    pub fn encoded(encoded: &'a Encoded<'_>, id: ObjectId) -> Self {
        Self {
            kind: encoded.kind,
            type_name: encoded.type_name.as_deref(),
            size: Some(encoded.content.len() as u64),
            id: Some(id),
        }
    }

    pub fn bytes(size: Option<u64>, id: Option<ObjectId>) -> Self {
        Self {
            kind: Kind::Bytes,
            type_name: None,
            size,
            id,
        }
    }

    pub fn content(&self, id: ObjectId, size: u64, whole: Option<StoredObjectId>) -> Content<'_> {
        Content {
            id,
            kind: self.kind,
            type_name: self.type_name,
            size,
            whole,
        }
    }

    /// The row of an upload that begins, when `buffered` bytes of it are read.
    pub fn make(&self, tx: &mut WriteTx<'_>, buffered: u64, lease: Duration) -> Result<ReservationRow> {
        let bytes = self.size.unwrap_or(buffered);
        need_room(tx, self.id, bytes)?;
        tx.check_room_in_file(bytes, buffered)?;
        let now = tx.at();
        let id = tx.next_reservation_id()?;
        let mut row = ReservationRow::begun(id, tx.space(), None, bytes, [now, now + lease]);
        self.set_ids_aside(tx, &mut row)?;
        tx.apply(Change::ReservationSet {
            before: None,
            after: row.clone(),
        })?;
        Ok(row)
    }

    /// Sets ids aside, so that those of the pieces follow each other even if others store objects meanwhile.
    pub fn set_ids_aside(&self, tx: &mut WriteTx<'_>, row: &mut ReservationRow) -> Result<()> {
        let space = tx.space();
        let size = match self.size {
            Some(size) => size,
            // The content of a reservation has at most this many bytes.
            None if row.key.is_some() => unsigned(row.bytes),
            None => (tx.memram()?.attainable() + unsigned(row.bytes)).min(LONGEST_STREAM),
        };
        let class = tx.geometry().class_for(self.size_of_class());
        let classes = tx.geometry().classes();
        // A part ends where a block does, or within a larger block.
        let block_size = classes
            .get(class)
            .map_or(1, |class| class.block_size.min(LEAST_PART as u64));
        let pieces = tx.read(|tx| queries::reservations::most_pieces(tx, space, block_size, size))?;
        let entries = usize::try_from(pieces + MORE_PIECES).unwrap_or(usize::MAX);
        row.entry_ids = entries as i64;
        row.stored_object_id = Some(tx.next_object_id(entries)?);
        (row.first_arena_id, row.first_pool_id, row.first_block_id) = tx.next_carved()?;
        Ok(())
    }

    /// A stream of unknown length is placed like the largest objects.
    pub fn size_of_class(&self) -> u64 {
        self.size.unwrap_or(u64::MAX)
    }
}
