//! Where bytes go: pure decisions over what has room.
//!
//! [`next_step`] says what to do next for the bytes that are still to be placed; the
//! caller does it, tells [`Room`], and asks again. The same operations on a new file
//! always give the same layout.

use std::collections::BTreeMap;

use crate::geometry::Geometry;
use crate::models::{Arena, ArenaId, Block, BlockId, Pool, PoolId};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Put so many bytes into this block.
    Fill { block: Block, bytes: i64 },
    /// Carve a block of so many bytes from this pool.
    CarveBlock { pool: Pool, bytes: i64 },
    /// Carve a pool of so many bytes for this class from this arena.
    CarvePool { arena: Arena, class: usize, bytes: i64 },
    /// Carve an arena of so many bytes from the space.
    CarveArena { bytes: i64 },
    /// Rows of this kind are known only in part: read on, then ask again.
    Load(Level),
}

/// A kind of row that can have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Blocks of a class.
    Blocks(usize),
    /// Pools of a class.
    Pools(usize),
    /// Arenas.
    Arenas,
}

/// The next step for `remaining` bytes of an object that belongs to `class`, or `None`
/// when nothing at all has room. O(log n) in the rows that have room.
///
/// 1. fill blocks of the class, lowest id first;
/// 2. carve blocks from pools of the class;
/// 3. carve a whole pool from an arena, 4. carve a whole arena;
/// 5. when only remainders are left: a short pool, a short arena, then the room of
///    other classes, larger blocks first, because they make fewer pieces.
pub(crate) fn next_step(room: &Room, geometry: &Geometry, class: usize, remaining: i64) -> Option<Step> {
    let arena_size = geometry.arena_size() as i64;
    let pool_size = geometry.classes().get(class)?.pool_size as i64;
    if let Some(step) = within_class(room, class, remaining) {
        return Some(step);
    }
    if let Some(arena) = room
        .arenas
        .first_with(|arena| arena.max_mem - arena.reserved >= pool_size)
    {
        return Some(carve_pool(arena, class, pool_size));
    }
    if !room.arenas.complete {
        return Some(Step::Load(Level::Arenas));
    }
    let arena_bytes = arena_size.min(room.unreserved);
    if arena_bytes >= pool_size {
        return Some(Step::CarveArena { bytes: arena_bytes });
    }
    if let Some(arena) = room.arenas.first_with(|_| true) {
        return Some(carve_pool(arena, class, pool_size));
    }
    if arena_bytes > 0 {
        return Some(Step::CarveArena { bytes: arena_bytes });
    }
    let others = (0..geometry.classes().len()).rev().filter(|&other| other != class);
    others
        .into_iter()
        .find_map(|other| within_class(room, other, remaining))
}

fn within_class(room: &Room, class: usize, remaining: i64) -> Option<Step> {
    let blocks = room.blocks.get(class)?;
    if let Some(block) = blocks.first_with(|_| true) {
        return Some(Step::Fill {
            block: *block,
            bytes: block.room().min(remaining),
        });
    }
    if !blocks.complete {
        return Some(Step::Load(Level::Blocks(class)));
    }
    let pools = room.pools.get(class)?;
    if let Some(pool) = pools.first_with(|_| true) {
        return Some(Step::CarveBlock {
            pool: pool.clone(),
            bytes: pool.block_size.min(pool.max_mem - pool.reserved),
        });
    }
    (!pools.complete).then_some(Step::Load(Level::Pools(class)))
}

fn carve_pool(arena: &Arena, class: usize, pool_size: i64) -> Step {
    Step::CarvePool {
        arena: arena.clone(),
        class,
        bytes: pool_size.min(arena.max_mem - arena.reserved),
    }
}

/// What has room in one space, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    /// Bytes of the space that no arena reserves.
    pub unreserved: i64,
    pub arenas: Known<ArenaId, Arena>,
    /// By class.
    pub pools: Vec<Known<PoolId, Pool>>,
    /// By class.
    pub blocks: Vec<Known<BlockId, Block>>,
}

impl Room {
    /// Nothing is known yet of a space with `classes` size classes.
    pub fn unknown(classes: usize, unreserved: i64) -> Self {
        Self {
            unreserved,
            arenas: Known::default(),
            pools: vec![Known::default(); classes],
            blocks: vec![Known::default(); classes],
        }
    }

    /// A block's room has changed, or it is new.
    pub fn note_block(&mut self, class: usize, block: Block) {
        if let Some(known) = self.blocks.get_mut(class) {
            known.note(block.id, (block.room() > 0).then_some(block));
        }
    }

    /// A pool's room has changed, or it is new.
    pub fn note_pool(&mut self, class: usize, pool: Pool) {
        if let Some(known) = self.pools.get_mut(class) {
            known.note(pool.id, (pool.reserved < pool.max_mem).then_some(pool));
        }
    }

    /// An arena's room has changed, or it is new.
    pub fn note_arena(&mut self, arena: Arena) {
        self.arenas
            .note(arena.id, (arena.reserved < arena.max_mem).then_some(arena));
    }
}

/// The rows with room up to some id; beyond it, rows may have room that nobody has
/// looked at yet.
#[derive(Debug, Clone)]
pub(crate) struct Known<K, V> {
    rows: BTreeMap<K, V>,
    /// Everything up to this id is known.
    pub through: Option<K>,
    /// There is nothing beyond.
    pub complete: bool,
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            through: None,
            complete: false,
        }
    }
}

impl<K: Ord + Copy, V> Known<K, V> {
    /// The row with the lowest id for which `fits` holds.
    fn first_with(&self, fits: impl Fn(&V) -> bool) -> Option<&V> {
        self.rows.values().find(|row| fits(row))
    }

    /// A row has room (`Some`) or has none any more (`None`). A row beyond what is
    /// known is left for [`Known::extend`] to find.
    fn note(&mut self, id: K, row: Option<V>) {
        match row {
            Some(row) if self.complete || self.through.is_some_and(|through| id <= through) => {
                self.rows.insert(id, row);
            }
            _ => {
                self.rows.remove(&id);
            }
        }
    }

    /// Adds the next rows in id order; fewer than `asked` means that was all.
    pub fn extend(&mut self, rows: impl ExactSizeIterator<Item = (K, V)>, asked: usize) {
        self.complete = rows.len() < asked;
        for (id, row) in rows {
            self.through = Some(id);
            self.rows.insert(id, row);
        }
    }

    /// Whether the row is known to have room.
    pub fn get(&self, id: K) -> Option<&V> {
        self.rows.get(&id)
    }
}

#[cfg(test)]
mod tests;
