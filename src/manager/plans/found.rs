//! Whether what a slice depends on is still as it was.

use std::collections::{HashMap, HashSet};

use super::chains::InPlan;
use super::work_plan::{InPool, MoveTo, PlanEvict, PlanFree, PlanMove, PlanSlice};
use crate::error::Result;
use crate::manager::objects::eviction_order::Order;
use crate::models::{
    Arena, ArenaId, Block, BlockId, LedgerId, MemRamId, Pool, PoolId, Sequence, StoredObjectId, signed,
};
use crate::store::queries::compaction::{self, OwnedEntry};
use crate::store::queries::eviction::Evictable;
use crate::store::{ReadTx, queries};

/// What was found of a slice.
pub(super) enum Found {
    /// It can be carried out, unless there is no room.
    Ready(Box<Rows>),
    /// It was carried out before.
    Done,
    /// Something is neither as it was before nor as it would be afterwards.
    Changed(String),
}

/// The rows that a slice works on. Those of other spaces are left out.
pub(super) struct Rows {
    pub entries: HashMap<LedgerId, OwnedEntry>,
    pub arenas: HashMap<ArenaId, Arena>,
    pub pools: HashMap<PoolId, Pool>,
    pub blocks: HashMap<BlockId, Block>,
}

/// The state of a part of a slice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Before,
    After,
}

impl Rows {
    /// O(slice · log n).
    pub fn read(tx: &mut ReadTx<'_>, space: MemRamId, slice: &PlanSlice) -> Result<Self> {
        let mut entries = HashSet::new();
        let mut blocks: HashSet<_> = slice.blocks.iter().copied().collect();
        for moved in &slice.moves {
            entries.extend(moved.keys());
            blocks.extend(moved.from.iter().map(|piece| piece.block_id));
            if let MoveTo::Block(block) = moved.to {
                blocks.insert(block);
            }
        }
        let mut pools: HashSet<_> = slice.pools.iter().copied().collect();
        for block in &slice.new_blocks {
            if let InPool::Pool(pool) = block.of {
                pools.insert(pool);
            }
        }
        let new_pools = slice.new_pools.iter().map(|pool| pool.arena_id);
        let arenas: HashSet<_> = slice.arenas.iter().copied().chain(new_pools).collect();
        let mut rows = Self {
            entries: compaction::entries(tx, &Vec::from_iter(entries))?,
            arenas: compaction::arenas(tx, &Vec::from_iter(arenas))?,
            pools: compaction::pools(tx, &Vec::from_iter(pools))?,
            blocks: compaction::blocks(tx, &Vec::from_iter(blocks))?,
        };
        rows.entries.retain(|_, entry| entry.placed.memram_id == space);
        rows.arenas.retain(|_, arena| arena.memram_id == space);
        rows.pools.retain(|_, pool| pool.memram_id == space);
        rows.blocks.retain(|_, block| block.memram_id == space);
        Ok(rows)
    }
}

impl Found {
    /// Compares a slice with the space; `in_plan` is where it is in a plan that was written down. O(slice · log n).
    pub fn of(
        tx: &mut ReadTx<'_>,
        space: MemRamId,
        slice: &PlanSlice,
        evict: Option<&PlanEvict>,
        in_plan: Option<&InPlan<'_>>,
    ) -> Result<Self> {
        let rows = Rows::read(tx, space, slice)?;
        let which = match evict {
            Some(evict) => Some(evictable(tx, space, evict)?),
            None => None,
        };
        let mut states = Vec::new();
        for free in &slice.frees {
            match free.state(tx, space, which)? {
                Ok(state) => states.push(state),
                Err(why) => return Ok(Self::Changed(why)),
            }
        }
        for moved in &slice.moves {
            let state = match in_plan {
                Some(in_plan) if in_plan.waits(moved) => Some(State::Before),
                _ => moved.state(&rows),
            };
            match state.or_else(|| in_plan?.moved_on(moved)) {
                Some(state) => states.push(state),
                None => {
                    return Ok(Self::Changed(format!(
                        "the pieces of object {} are elsewhere",
                        moved.object_id
                    )));
                }
            }
        }
        let blocks = slice.blocks.iter().map(|id| (id.0, rows.blocks.contains_key(id)));
        states.extend(removed(tx, space, Sequence::Blocks, blocks.collect())?);
        let pools = slice.pools.iter().map(|id| (id.0, rows.pools.contains_key(id)));
        states.extend(removed(tx, space, Sequence::Pools, pools.collect())?);
        let arenas = slice.arenas.iter().map(|id| (id.0, rows.arenas.contains_key(id)));
        states.extend(removed(tx, space, Sequence::Arenas, arenas.collect())?);
        if states.iter().all(|state| *state == State::After) {
            return Ok(Self::Done);
        }
        if states.iter().all(|state| *state == State::Before) {
            return Ok(Self::Ready(Box::new(rows)));
        }
        Ok(Self::Changed("a part of it is done already, by others".into()))
    }
}

/// The states of the rows of a level that a slice removes: their ids, and whether they are there. If an id was never
/// used, a slice that comes first makes that row.
fn removed(tx: &mut ReadTx<'_>, space: MemRamId, level: Sequence, rows: Vec<(i64, bool)>) -> Result<Vec<State>> {
    if rows.iter().all(|(_, is_there)| *is_there) {
        return Ok(vec![State::Before; rows.len()]);
    }
    let last = queries::ids::last_id(tx, space, level)?;
    let state = |(id, is_there)| match is_there || id > last {
        true => State::Before,
        false => State::After,
    };
    Ok(rows.into_iter().map(state).collect())
}

impl PlanFree {
    /// `which` are the objects that may be evicted; `None` if the plan does not evict.
    fn state(&self, tx: &mut ReadTx<'_>, space: MemRamId, which: Option<Evictable>) -> Result<Result<State, String>> {
        let id = &self.object_id;
        let Some(object) = queries::objects::find(tx, space, id)? else {
            return Ok(Ok(State::After));
        };
        if object.id != self.stored_object_id || object.size != self.size {
            return Ok(Err(format!("object {id} was stored again")));
        }
        if which.is_some_and(|which| !which.has(&object)) {
            let why = if object.pinned { "pinned" } else { "too young" };
            return Ok(Err(format!("object {id} is {why}, so it is not evicted")));
        }
        let names = living_names(tx, object.id)?;
        let is_same = object.held == self.held && names == self.names;
        Ok(is_same
            .then_some(State::Before)
            .ok_or_else(|| format!("object {id} is held otherwise")))
    }
}

/// Which objects a plan may evict now.
fn evictable(tx: &mut ReadTx<'_>, space: MemRamId, evict: &PlanEvict) -> Result<Evictable> {
    let memram = queries::spaces::get(tx, space)?;
    Ok(Order::by(evict.policy, &memram, tx.now()).which())
}

/// The names of an object that have not expired, sorted.
pub(super) fn living_names(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Vec<String>> {
    let (mut names, now) = (queries::names::exact(tx, object)?, tx.now());
    names.retain(|name| !name.is_over(now));
    let mut names: Vec<_> = names.into_iter().map(|kept| kept.name).collect();
    names.sort_unstable();
    Ok(names)
}

impl PlanMove {
    /// The keys of its pieces.
    pub(super) fn keys(&self) -> impl Iterator<Item = LedgerId> {
        let (object, first) = (self.stored_object_id, self.seq);
        (0..self.from.len() as i64).map(move |n| LedgerId::of(object, first.saturating_add(n)))
    }

    /// Whether its pieces are where they were, or where they would be.
    fn state(&self, rows: &Rows) -> Option<State> {
        if self.is_before(rows) {
            Some(State::Before)
        } else {
            self.is_after(rows).then_some(State::After)
        }
    }

    pub(super) fn is_before(&self, rows: &Rows) -> bool {
        // Pieces can only become one if they are all the pieces of an object.
        let joins_others = |entry: &OwnedEntry| self.from.len() > 1 && entry.size != self.bytes();
        self.keys().zip(&self.from).all(|(key, piece)| {
            let entry = rows.entries.get(&key).filter(|entry| self.owns(entry));
            entry.is_some_and(|entry| {
                let found = (entry.placed.block_id, entry.placed.allocated_mem);
                found == (piece.block_id, piece.bytes) && !joins_others(entry)
            })
        })
    }

    fn is_after(&self, rows: &Rows) -> bool {
        let mut pieces = self.keys().map(|key| rows.entries.get(&key));
        let first = pieces.next().flatten().filter(|entry| self.owns(entry));
        let is_there = first.is_some_and(|entry| {
            let block = entry.placed.block_id;
            let is_target = match self.to {
                MoveTo::Block(to) => block == to,
                // The ids of new blocks are not known.
                MoveTo::NewBlock(_) => self.from.iter().all(|piece| piece.block_id != block),
            };
            is_target && entry.placed.allocated_mem == self.bytes()
        });
        is_there && pieces.all(|other| other.is_none())
    }

    fn owns(&self, entry: &OwnedEntry) -> bool {
        entry.object == self.stored_object_id && entry.object_id == self.object_id
    }
}

impl Rows {
    /// Bytes that still fit in a block.
    pub fn room(&self, block: BlockId) -> i64 {
        self.blocks.get(&block).map_or(0, |block| signed(block.room()))
    }
}
