//! Carries a slice of a plan out, in the transaction of a caller.

use super::chains::InPlan;
use super::found::{Found, Rows};
use super::totals::WorkTotals;
use super::work_plan::{InPool, MoveTo, PlanEvict, PlanFree, PlanMove, PlanSlice};
use crate::books::change::Change;
use crate::books::evicting::Cause;
use crate::error::{Error, PlanError, Result};
use crate::manager::objects::{evict, free, place};
use crate::manager::unsigned;
use crate::models::{Block, BlockId, PlacedEntry, Pool, signed};
use crate::store::queries::compaction;
use crate::store::{WriteTx, queries};
use crate::value::ObjectId;

/// Does all of a slice, or `None` if it is done already; `in_plan` is where it is in a plan that was written down.
///
/// # Errors
/// [`PlanError::Stale`], without the numbers of the slice; the unit of work must then be rolled back.
pub(in crate::manager) fn carry_out(
    tx: &mut WriteTx<'_>,
    space: &str,
    slice: &PlanSlice,
    evict: Option<&PlanEvict>,
    in_plan: Option<&InPlan<'_>>,
) -> Result<Option<WorkTotals>> {
    let of = tx.space();
    let rows = match tx.read(|tx| Found::of(tx, of, slice, evict, in_plan))? {
        Found::Ready(rows) => *rows,
        Found::Done => return Ok(None),
        Found::Changed(why) => return Err(stale(why)),
    };
    let mut done = WorkTotals::default();
    // If this fails, a batch that continues must not commit the part that was done.
    tx.whole(|tx| {
        for PlanFree { object_id, size, .. } in &slice.frees {
            match evict {
                Some(evict) => evict_planned(tx, object_id, evict)?,
                None => drop(free::free(tx, space, object_id, true)?),
            }
            done.freed += 1;
            done.freed_bytes += size;
        }
        let mut moving = Moving { tx, rows };
        let new_blocks = moving.carve(slice)?;
        for moved in &slice.moves {
            moving.carry_out(moved, &new_blocks)?;
            done.moves += 1;
            done.moved_bytes += unsigned(moved.bytes());
            done.joined += u64::from(moved.from.len() > 1);
        }
        remove(tx, slice, &mut done)
    })?;
    Ok(Some(done))
}

/// Evicts an object that a plan names. The marks of other objects and the hand stay as they are, because they
/// may have changed since it was chosen.
fn evict_planned(tx: &mut WriteTx<'_>, id: &ObjectId, plan: &PlanEvict) -> Result<()> {
    let space = tx.space();
    let found = tx.read_written(|tx| queries::objects::find(tx, space, id))?;
    let object = found.ok_or_else(|| stale(format!("object {id} is gone")))?;
    let cause = Cause {
        policy: plan.policy,
        object_id: None,
        needed: signed(plan.room),
        available: signed(tx.memram()?.available()),
    };
    let is_on_trial = tx.is_on_trial(object.id)?;
    if !evict::evict(tx, &object, cause)? {
        return Err(Error::Damaged {
            what: format!("pieces of object {id} are not where they should be, so it cannot be evicted"),
        });
    }
    if is_on_trial {
        tx.remember(object.id, *id, signed(object.size))?;
    }
    Ok(())
}

fn stale(why: impl Into<String>) -> Error {
    let why = why.into();
    PlanError::Stale {
        slice: 0,
        slices: 0,
        done: 0,
        why,
    }
    .into()
}

/// The moves of a slice, with the rows that they concern, as they are after each.
struct Moving<'t, 'w> {
    tx: &'t mut WriteTx<'w>,
    rows: Rows,
}

impl Moving<'_, '_> {
    /// Carves what the slice asks for, and returns the new blocks.
    fn carve(&mut self, slice: &PlanSlice) -> Result<Vec<BlockId>> {
        let mut new_pools = Vec::new();
        for new in &slice.new_pools {
            let class = self.tx.geometry().class_of_block_size(new.block_size);
            let class = class
                .ok()
                .and_then(|class| self.tx.geometry().classes().get(class).copied());
            let arena = self.rows.arenas.get_mut(&new.arena_id);
            let fitting = class
                .zip(arena)
                .filter(|(class, arena)| arena.uncarved() >= class.pool_size);
            let Some((class, arena)) = fitting else {
                return Err(stale(format!("arena {} has no room for a pool", new.arena_id.n())));
            };
            let pool = place::carve_pool(self.tx, arena, signed(new.block_size), signed(class.pool_size))?;
            arena.reserved += class.pool_size;
            new_pools.push(pool.id);
            self.rows.pools.insert(pool.id, pool);
        }
        let mut new_blocks = Vec::new();
        for new in &slice.new_blocks {
            let id = match new.of {
                InPool::Pool(id) => Some(id),
                InPool::NewPool(index) => new_pools.get(index).copied(),
            };
            let pool = id.and_then(|id| self.rows.pools.get_mut(&id));
            let Some(pool) = pool.filter(|pool| pool.uncarved() >= pool.block_size) else {
                return Err(stale("a pool has no room for a block"));
            };
            let block = carve_block(self.tx, pool)?;
            new_blocks.push(block.id);
            self.rows.blocks.insert(block.id, block);
        }
        Ok(new_blocks)
    }

    fn carry_out(&mut self, moved: &PlanMove, new_blocks: &[BlockId]) -> Result<()> {
        if !moved.is_before(&self.rows) {
            return Err(stale(format!("the pieces of object {} are elsewhere", moved.object_id)));
        }
        let to = match moved.to {
            MoveTo::Block(block) => Some(block),
            MoveTo::NewBlock(index) => new_blocks.get(index).copied(),
        };
        let bytes = moved.bytes();
        let to = to.and_then(|block| self.rows.blocks.get(&block).copied());
        let Some(to) = to.filter(|block| self.rows.room(block.id) >= bytes) else {
            return Err(stale(format!(
                "there is no room for {bytes} bytes of object {} any more",
                moved.object_id
            )));
        };
        let entries = self.take_out(moved);
        let joined = match moved.from.len() {
            1 => None,
            _ => Some(self.content(moved)?),
        };
        // One of its pieces may have left this block.
        let block = self.rows.blocks.get(&to.id).copied().unwrap_or(to);
        self.tx.apply(Change::PiecesMoved {
            object: moved.stored_object_id,
            object_id: moved.object_id,
            size: entries.size,
            seq: moved.seq,
            entries: &entries.placed,
            block: to,
            joined: joined.as_deref(),
        })?;
        self.rows.blocks.insert(
            block.id,
            Block {
                mem: block.mem.saturating_add(unsigned(bytes)),
                ..block
            },
        );
        Ok(())
    }

    /// The entries of a move, each with its block. They cannot be found again, so a slice moves each only once.
    fn take_out(&mut self, moved: &PlanMove) -> Leaving {
        let mut leaving = Leaving::default();
        for key in moved.keys() {
            let Some(mut entry) = self.rows.entries.remove(&key) else {
                continue;
            };
            leaving.size = entry.size;
            if let Some(block) = self.rows.blocks.get_mut(&entry.placed.block_id) {
                entry.placed.block_mem = signed(block.mem);
                block.mem = block.mem.saturating_sub(unsigned(entry.placed.allocated_mem));
            }
            leaving.placed.push(entry.placed);
        }
        leaving
    }

    /// All bytes of an object.
    fn content(&mut self, moved: &PlanMove) -> Result<Vec<u8>> {
        let keys: Vec<_> = moved.keys().collect();
        let mut pieces = self.tx.read_written(|tx| compaction::contents(tx, &keys))?;
        let pieces = keys.iter().map(|key| pieces.remove(key).unwrap_or_default());
        let content: Vec<u8> = pieces.flatten().collect();
        if signed(content.len() as u64) != moved.bytes() {
            return Err(Error::Damaged {
                what: format!("pieces of object {} have other sizes than they say", moved.object_id),
            });
        }
        Ok(content)
    }
}

/// The pieces that leave their blocks, and the bytes of their object.
#[derive(Default)]
struct Leaving {
    size: i64,
    placed: Vec<PlacedEntry>,
}

fn carve_block(tx: &mut WriteTx<'_>, pool: &mut Pool) -> Result<Block> {
    let block = place::carve_block(tx, pool, signed(pool.block_size))?;
    pool.reserved += pool.block_size;
    Ok(block)
}

/// Removes the rows that the slice names, which must be empty by now.
fn remove(tx: &mut WriteTx<'_>, slice: &PlanSlice, done: &mut WorkTotals) -> Result<()> {
    // Also writes what is gathered: units that share the transaction look for pieces in the tables.
    let blocks = tx.read(|tx| compaction::blocks(tx, &slice.blocks))?;
    for id in &slice.blocks {
        let block = blocks.get(id).filter(|block| block.mem == 0);
        let block = block.ok_or_else(|| stale(format!("block {} is not empty", id.n())))?;
        tx.apply(Change::BlockRemoved(*block))?;
        done.blocks += 1;
    }
    if !slice.pools.is_empty() {
        let pools = tx.read(|tx| compaction::pools(tx, &slice.pools))?;
        for id in &slice.pools {
            let pool = pools.get(id).filter(|pool| pool.reserved == 0);
            let pool = pool.ok_or_else(|| stale(format!("pool {} is not empty", id.n())))?;
            tx.apply(Change::PoolRemoved(*pool))?;
            done.pools += 1;
        }
    }
    if !slice.arenas.is_empty() {
        let arenas = tx.read(|tx| compaction::arenas(tx, &slice.arenas))?;
        for id in &slice.arenas {
            let arena = arenas.get(id).filter(|arena| arena.reserved == 0);
            let arena = arena.ok_or_else(|| stale(format!("arena {} is not empty", id.n())))?;
            tx.apply(Change::ArenaRemoved(*arena))?;
            done.arenas += 1;
            done.bytes += arena.max_mem;
        }
    }
    Ok(())
}

/// The rows that are empty at one level, the lowest that has any, at most `limit`; `None` if there are none.
pub(super) fn empty_rows(tx: &mut WriteTx<'_>, limit: i64) -> Result<Option<PlanSlice>> {
    let space = tx.space();
    tx.read(|tx| {
        let blocks = queries::levels::empty_blocks(tx, space, limit)?;
        let mut slice = PlanSlice {
            blocks: blocks.iter().map(|block| block.id).collect(),
            ..PlanSlice::default()
        };
        if slice.blocks.is_empty() {
            let pools = queries::levels::empty_pools(tx, space, limit)?;
            slice.pools = pools.iter().map(|pool| pool.id).collect();
        }
        if slice.blocks.is_empty() && slice.pools.is_empty() {
            let arenas = queries::levels::empty_arenas(tx, space, limit)?;
            slice.arenas = arenas.iter().map(|arena| arena.id).collect();
        }
        Ok((slice != PlanSlice::default()).then_some(slice))
    })
}
