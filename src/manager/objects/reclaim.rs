//! Gives back what belongs to no object: the pieces of an upload that was given up, or of a large
//! object that was freed.
//!
//! It goes in bounded steps, each of which leaves the books balanced: the one that left the pieces
//! does them all, in transactions of their own, and if its process dies, every later write does
//! one.

use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::models::{
    ArenaId, BlockId, PlacedEntry, PoolId, ReservationId, ReservationRow, ReservationState, StoredObjectId, signed,
};
use crate::store::{WriteTx, queries};

/// Bytes, and pieces, given back in one step. A step of either size takes some milliseconds.
const STEP_BYTES: i64 = 16 << 20;
const STEP_PIECES: i64 = 1024;

impl MemManager {
    /// Gives back everything that is due, in transactions of their own.
    pub(in crate::manager) fn reclaim_all(&self) -> Result<()> {
        while self.write_apart(|tx| Ok(tx.has_reservations_due()? && step(tx)?))? {}
        Ok(())
    }

    /// Gives the pieces of an open upload back. One without a key ends; a reservation stays open.
    pub(in crate::manager) fn give_up(&self, id: ReservationId) -> Result<()> {
        let more = self.write_apart(|tx| {
            let Ok(row) = open(tx, id) else {
                return Ok(false);
            };
            if row.key.is_none() {
                resolve(tx, &row, ReservationState::Voided)?;
                return Ok(true);
            }
            Ok(row.written > 0 && give_back(tx, &row)?.is_some_and(|row| row.written > 0))
        })?;
        if more { self.give_up_rest(id) } else { Ok(()) }
    }

    fn give_up_rest(&self, id: ReservationId) -> Result<()> {
        loop {
            let more = self.write_apart(|tx| match open(tx, id) {
                Ok(row) if row.written > 0 => Ok(give_back(tx, &row)?.is_some()),
                _ => Ok(false),
            })?;
            if !more {
                return self.reclaim_all();
            }
        }
    }
}

/// Ends one reservation whose time is over, or gives back some pieces, if there is something to do.
/// O(log n + step).
pub(in crate::manager) fn step_if_due(tx: &mut WriteTx<'_>) -> Result<()> {
    if tx.has_reservations_due()? {
        step(tx)?;
    }
    Ok(())
}

/// Does everything that is due. For an allocation that would otherwise be refused.
pub(in crate::manager) fn all_due(tx: &mut WriteTx<'_>) -> Result<()> {
    while tx.has_reservations_due()? && step(tx)? {}
    Ok(())
}

/// Returns whether it could do something. In a damaged file it may not.
fn step(tx: &mut WriteTx<'_>) -> Result<bool> {
    let (space, now) = (tx.space(), tx.at());
    let Some(mut row) = tx.read_rows(|tx| queries::reservations::due(tx, space, now))? else {
        return Ok(false);
    };
    tx.whole(|tx| {
        if row.state == ReservationState::Open {
            row = resolve(tx, &row, ReservationState::Lapsed)?;
        }
        Ok(row.written == 0 || give_back(tx, &row)?.is_some())
    })
}

/// Ends an open reservation. One without a key or pieces is forgotten.
pub(in crate::manager) fn resolve(
    tx: &mut WriteTx<'_>,
    row: &ReservationRow,
    state: ReservationState,
) -> Result<ReservationRow> {
    let after = ReservationRow {
        state,
        resolved_at: Some(tx.at()),
        ..row.clone()
    };
    tx.apply(Change::ReservationSet {
        before: Some(row),
        after: after.clone(),
    })?;
    if after.key.is_none() && after.written == 0 {
        tx.apply(Change::ReservationRemoved { reservation: &after })?;
    }
    Ok(after)
}

/// Gives back some of a reservation's last pieces, with the blocks, pools and arenas that were carved
/// for them. Returns its row afterwards, or `None` if its pieces are not where its row says.
pub(in crate::manager) fn give_back(tx: &mut WriteTx<'_>, row: &ReservationRow) -> Result<Option<ReservationRow>> {
    let most = STEP_PIECES.min(tx.most_pieces());
    let last = tx.read(|tx| queries::reservations::last_pieces(tx, row, most))?;
    let mut bytes = 0;
    let mut entries = Vec::new();
    let mut seq = 0;
    for (position, entry) in last {
        if bytes > 0 && bytes + entry.allocated_mem > STEP_BYTES {
            break;
        }
        bytes += entry.allocated_mem;
        seq = position;
        entries.push(entry);
    }
    if entries.is_empty() || bytes > row.written {
        return Ok(None);
    }
    entries.reverse();
    tx.apply(Change::PiecesReclaimed {
        reservation: row,
        seq,
        entries: &entries,
    })?;
    remove_carved(tx, row, &entries)?;
    let written = row.written - bytes;
    let after = ReservationRow {
        written,
        stored_object_id: row.stored_object_id.filter(|_| written > 0),
        entry_ids: seq,
        ..row.clone()
    };
    if written == 0 && after.key.is_none() && after.state != ReservationState::Open {
        tx.apply(Change::ReservationRemoved { reservation: row })?;
    } else {
        tx.apply(Change::ReservationSet {
            before: Some(row),
            after: after.clone(),
        })?;
    }
    Ok(Some(after))
}

/// Removes the rows that were carved since the upload began and hold nothing now.
fn remove_carved(tx: &mut WriteTx<'_>, row: &ReservationRow, entries: &[PlacedEntry]) -> Result<()> {
    let space = tx.space();
    let mut ids: Vec<_> = entries.iter().map(|entry| entry.block_id).collect();
    ids.retain(|&block| block >= row.first_block_id);
    ids.dedup();
    for id in ids {
        let block = tx.read(|tx| queries::levels::block(tx, space, id))?;
        if let Some(block) = block.filter(|block| block.mem == 0) {
            tx.apply(Change::BlockRemoved(block))?;
        }
    }
    let mut ids: Vec<_> = entries.iter().map(|entry| entry.pool_id).collect();
    ids.retain(|&pool| pool >= row.first_pool_id);
    ids.dedup();
    for id in ids {
        let pool = tx.read(|tx| queries::levels::pool(tx, space, id))?;
        if let Some(pool) = pool.filter(|pool| pool.reserved == 0) {
            tx.apply(Change::PoolRemoved(pool))?;
        }
    }
    let mut ids: Vec<_> = entries.iter().map(|entry| entry.arena_id).collect();
    ids.retain(|&arena| arena >= row.first_arena_id);
    ids.dedup();
    for id in ids {
        let arena = tx.read(|tx| queries::levels::arena(tx, space, id))?;
        if let Some(arena) = arena.filter(|arena| arena.reserved == 0) {
            tx.apply(Change::ArenaRemoved(arena))?;
        }
    }
    Ok(())
}

/// The row for the pieces of a large object that is freed: see [`Change::ObjectVacated`].
pub(in crate::manager) fn leftover(tx: &mut WriteTx<'_>, object: StoredObjectId, size: u64) -> Result<ReservationRow> {
    let entries = tx.count_entries(object)?;
    let now = tx.at();
    Ok(ReservationRow {
        id: tx.next_reservation_id()?,
        memram_id: tx.space(),
        key: None,
        state: ReservationState::Freed,
        bytes: signed(size),
        written: signed(size),
        object_id: None,
        stored_object_id: Some(object),
        entry_ids: entries,
        // A collection removes empty blocks, not a free.
        first_arena_id: ArenaId(i64::MAX),
        first_pool_id: PoolId(i64::MAX),
        first_block_id: BlockId(i64::MAX),
        created_at: now,
        expires_at: now,
        resolved_at: Some(now),
    })
}

/// The open reservation with this id.
pub(in crate::manager) fn open(tx: &mut WriteTx<'_>, id: ReservationId) -> Result<ReservationRow> {
    let space = tx.space();
    let row = tx.read_rows(|tx| queries::reservations::get(tx, space, id))?;
    row.filter(|row| row.state == ReservationState::Open)
        .ok_or(Error::UploadLapsed { id })
}
