//! Maintains the totals of pools, arenas, size classes and the space.

use std::collections::HashMap;

use crate::books::change::Change;
use crate::books::effects::Effects;
use crate::error::Error;
use crate::models::{Arena, ArenaId, Block, BlockId, PlacedEntry, Pool, PoolId, ReservationRow, signed};

pub(super) fn run(change: &Change<'_>, effects: &mut Effects) -> Result<(), Error> {
    match change {
        Change::ArenaAdded(arena) => carve_arena(effects, arena, 1),
        Change::ArenaRemoved(arena) => carve_arena(effects, arena, -1),
        Change::PoolAdded(pool) => carve_pool(effects, pool, 1),
        Change::PoolRemoved(pool) => carve_pool(effects, pool, -1),
        Change::BlockAdded(block) => carve_block(effects, block, 1),
        Change::BlockRemoved(block) => carve_block(effects, block, -1),
        Change::EntryAdded { entry, block } => {
            move_piece(effects, &PieceMove::into(block, signed(block.mem), entry.allocated_mem));
        }
        Change::EntriesRemoved { entries, .. } | Change::PiecesReclaimed { entries, .. } => {
            take_out(effects, entries);
        }
        Change::PiecesMoved { entries, block, .. } => {
            let left = take_out(effects, entries);
            let before = left.get(&block.id).copied().unwrap_or(signed(block.mem));
            let bytes: i64 = entries.iter().map(|entry| entry.allocated_mem).sum();
            move_piece(effects, &PieceMove::into(block, before, bytes));
        }
        Change::Resized { by } => effects.space.max_mem += by,
        Change::ReservationSet { before, after } => {
            effects.space.promised += after.promised() - before.map_or(0, ReservationRow::promised);
        }
        Change::ReservationRemoved { reservation } => effects.space.promised -= reservation.promised(),
        Change::ObjectStored(_)
        | Change::ObjectPosted { .. }
        | Change::ObjectVacated { .. }
        | Change::PartBegun { .. }
        | Change::ObjectRemoved { .. }
        | Change::DedupHit { .. }
        | Change::Held { .. }
        | Change::PieceRepaired { .. }
        | Change::PlanApplied { .. }
        | Change::Evicted { .. }
        | Change::Ranked { .. }
        | Change::HandMoved { .. }
        | Change::Released { .. }
        | Change::Expired { .. }
        | Change::NameLasts { .. }
        | Change::Tagged { .. }
        | Change::Untagged(_)
        | Change::QuotaSet { .. }
        | Change::QuotaRemoved(_)
        | Change::QuotaUsed { .. }
        | Change::NameBound { .. }
        | Change::Refused(_)
        | Change::HistorySet { .. }
        | Change::SpaceMade(_)
        | Change::SpaceChanged(_)
        | Change::BooksOpened
        | Change::CeilingSet { .. }
        | Change::Fixed(_)
        | Change::HistoryTrimmed { .. }
        | Change::NameUnbound { .. } => {}
    }
    Ok(())
}

/// A piece added to or removed from a block.
struct PieceMove {
    arena: ArenaId,
    pool: PoolId,
    block_size: i64,
    block_max_mem: i64,
    /// Bytes in the block before and after.
    before: i64,
    after: i64,
}

impl PieceMove {
    fn into(block: &Block, before: i64, bytes: i64) -> Self {
        Self {
            arena: block.arena_id,
            pool: block.pool_id,
            block_size: signed(block.block_size),
            block_max_mem: signed(block.max_mem),
            before,
            after: before + bytes,
        }
    }
}

/// Pieces leave their blocks. Returns the bytes left in these.
///
/// The free-flags trigger ran first, so each block's effect is the final state, after all pieces were
/// removed. Going through the pieces in order gives each step.
fn take_out(effects: &mut Effects, entries: &[PlacedEntry]) -> HashMap<BlockId, i64> {
    let mut left = HashMap::new();
    for entry in entries {
        let before = left.entry(entry.block_id).or_insert(entry.block_mem);
        let piece = PieceMove {
            arena: entry.arena_id,
            pool: entry.pool_id,
            block_size: entry.block_size,
            block_max_mem: entry.block_max_mem,
            before: *before,
            after: *before - entry.allocated_mem,
        };
        *before = piece.after;
        move_piece(effects, &piece);
    }
    left
}

fn carve_arena(effects: &mut Effects, arena: &Arena, rows: i64) {
    effects.space.reserved += rows * signed(arena.max_mem);
    effects.space.arenas += rows;
}

fn carve_pool(effects: &mut Effects, pool: &Pool, rows: i64) {
    let bytes = rows * signed(pool.max_mem);
    effects.arena(pool.arena_id).reserved += bytes;
    let class = effects.class(signed(pool.block_size));
    class.pooled += bytes;
    class.pools += rows;
}

fn carve_block(effects: &mut Effects, block: &Block, rows: i64) {
    let bytes = rows * signed(block.max_mem);
    effects.pool(block.pool_id).reserved += bytes;
    let class = effects.class(signed(block.block_size));
    class.reserved += bytes;
    class.blocks += rows;
    // A block is empty when it is carved and when it is removed.
    class.empty_blocks += rows;
}

fn move_piece(effects: &mut Effects, piece: &PieceMove) {
    let bytes = piece.after - piece.before;
    effects.pool(piece.pool).mem += bytes;
    effects.arena(piece.arena).mem += bytes;
    effects.space.mem += bytes;
    effects.space.peak = effects.space.peak.max(effects.space.mem);
    let class = effects.class(piece.block_size);
    class.mem += bytes;
    class.entries += bytes.signum();
    class.full_blocks += i64::from(piece.after == piece.block_max_mem) - i64::from(piece.before == piece.block_max_mem);
    class.empty_blocks += i64::from(piece.after == 0) - i64::from(piece.before == 0);
}
