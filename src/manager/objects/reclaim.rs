//! Gives back what belongs to no object: the pieces of an upload that was given up, or of a large
//! object that was freed. What has expired comes after that: see [`sweep`].
//!
//! This takes bounded steps, each of which leaves the books balanced. The call that left the pieces
//! does all the steps, in transactions of their own, and if its process dies, every later write does
//! one.

use std::collections::{BTreeMap, BTreeSet};

use super::reserved::{open, resolve};
use super::sweep;
use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::models::{
    ArenaId, Block, BlockId, PlacedEntry, PoolId, ReservationId, ReservationRow, ReservationState, StoredObjectId,
    signed, unsigned,
};
use crate::store::{ReadTx, WriteTx, queries};

/// Bytes, and pieces, given back in one step. A step of either size takes a few milliseconds.
pub(in crate::manager) const STEP_BYTES: i64 = 16 << 20;
pub(in crate::manager) const STEP_PIECES: i64 = 1024;

impl MemManager {
    /// Gives back everything that reservations have, in transactions of their own.
    pub(in crate::manager) fn reclaim_all(&self) -> Result<()> {
        while self.write_apart(|tx| Ok(tx.has_due()? && step(tx)?))? {}
        Ok(())
    }

    /// Gives back what is due until `bytes` are available, in transactions of their own.
    pub(in crate::manager) fn make_room(&self, bytes: u64) -> Result<()> {
        while self.write_apart(|tx| Ok(bytes > unsigned(tx.capacity()?.1) && next(tx)?))? {}
        Ok(())
    }

    /// Gives the pieces of an open upload back; `only` those of this object, if given. An upload without
    /// a key ends; a reservation stays open.
    pub(in crate::manager) fn give_up(&self, id: ReservationId, only: Option<StoredObjectId>) -> Result<()> {
        let more = self.write_apart(|tx| {
            let Ok(row) = open(tx, id) else {
                return Ok(false);
            };
            if only.is_some() && row.stored_object_id != only {
                return Ok(false);
            }
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

/// Ends one reservation whose time is over, or gives back some pieces or something that has expired, if there
/// is something to do. Returns whether there was, so that there may be more. O(log n + step).
pub(in crate::manager) fn next(tx: &mut WriteTx<'_>) -> Result<bool> {
    Ok(tx.has_due()? && (step(tx)? || sweep::step(tx)?))
}

/// Does everything that is due.
pub(in crate::manager) fn all_due(tx: &mut WriteTx<'_>) -> Result<()> {
    while next(tx)? {}
    Ok(())
}

/// Returns whether it could do something. In a damaged file it may be unable to.
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

/// Gives back some of a reservation's last pieces, with the blocks, pools and arenas that were carved
/// for them. Returns its row afterwards, or `None` if its pieces are not where its row says.
pub(in crate::manager) fn give_back(tx: &mut WriteTx<'_>, row: &ReservationRow) -> Result<Option<ReservationRow>> {
    let most = STEP_PIECES.min(tx.most_pieces());
    let last = tx.read(|tx| queries::reservations::last_pieces(tx, row, most))?;
    let mut bytes = 0;
    let mut entries: Vec<PlacedEntry> = Vec::new();
    let mut seq = 0;
    for (position, entry) in last {
        let is_next = entries.is_empty() || position == seq - 1;
        if !is_next || (bytes > 0 && bytes + entry.allocated_mem > STEP_BYTES) {
            break;
        }
        bytes += entry.allocated_mem;
        seq = position;
        entries.push(entry);
    }
    let emptied = Emptied::of(&entries);
    if entries.is_empty() || bytes > row.written || !emptied.is_possible {
        return Ok(None);
    }
    entries.reverse();
    tx.apply(Change::PiecesReclaimed {
        reservation: row,
        seq,
        entries: &entries,
    })?;
    remove_carved(tx, row, emptied.blocks)?;
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

/// A reservation whose pieces were all given back.
pub(in crate::manager) fn without_pieces(tx: &mut WriteTx<'_>, mut row: ReservationRow) -> Result<ReservationRow> {
    while row.written > 0 {
        let id = row.id;
        row = give_back(tx, &row)?.ok_or_else(|| Error::Damaged {
            what: format!("pieces of reservation {} are missing", id.n()),
        })?;
    }
    Ok(row)
}

/// The blocks that become empty without some pieces.
struct Emptied {
    blocks: Vec<Block>,
    /// Whether each block has at least as many bytes as these pieces in it. In a damaged file it may have
    /// fewer, and then every write would fail.
    is_possible: bool,
}

/// Whether the blocks of these pieces have at least as many bytes as the pieces.
pub(super) fn is_possible(entries: &[PlacedEntry]) -> bool {
    Emptied::of(entries).is_possible
}

impl Emptied {
    fn of(entries: &[PlacedEntry]) -> Self {
        let mut left = BTreeMap::new();
        for entry in entries {
            let (_, mem) = left.entry(entry.block_id).or_insert((entry, entry.block_mem));
            *mem -= entry.allocated_mem;
        }
        let is_possible = left.values().all(|(_, mem)| *mem >= 0);
        let empty = left.into_values().filter(|(_, mem)| *mem == 0);
        Self {
            blocks: empty.map(|(entry, _)| entry.block(0)).collect(),
            is_possible,
        }
    }
}

/// Removes those of these empty blocks that were carved since the upload began, and what else was
/// carved for it and is empty then.
fn remove_carved(tx: &mut WriteTx<'_>, row: &ReservationRow, blocks: Vec<Block>) -> Result<()> {
    let space = tx.space();
    let (mut pools, mut arenas) = (BTreeSet::new(), BTreeSet::new());
    for block in blocks.into_iter().filter(|block| block.id >= row.first_block_id) {
        pools.insert(block.pool_id);
        tx.apply(Change::BlockRemoved(block))?;
    }
    pools.retain(|&pool| pool >= row.first_pool_id);
    for pool in rows_of(tx, pools, |tx, id| queries::levels::pool(tx, space, id))? {
        if pool.reserved == 0 {
            arenas.insert(pool.arena_id);
            tx.apply(Change::PoolRemoved(pool))?;
        }
    }
    arenas.retain(|&arena| arena >= row.first_arena_id);
    for arena in rows_of(tx, arenas, |tx, id| queries::levels::arena(tx, space, id))? {
        if arena.reserved == 0 {
            tx.apply(Change::ArenaRemoved(arena))?;
        }
    }
    Ok(())
}

/// All these rows in one read, because each read first writes what is gathered.
fn rows_of<I, R>(
    tx: &mut WriteTx<'_>,
    ids: BTreeSet<I>,
    read: impl Fn(&mut ReadTx<'_>, I) -> Result<Option<R>>,
) -> Result<Vec<R>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.read(|tx| ids.into_iter().map(|id| read(tx, id)).collect::<Result<Vec<_>>>())?;
    Ok(rows.into_iter().flatten().collect())
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
        // Empty blocks are removed by a collection, not by a free.
        first_arena_id: ArenaId(i64::MAX),
        first_pool_id: PoolId(i64::MAX),
        first_block_id: BlockId(i64::MAX),
        created_at: now,
        expires_at: now,
        resolved_at: Some(now),
    })
}
