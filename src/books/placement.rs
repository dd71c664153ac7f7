//! Placement: pure decisions about where bytes go.
//!
//! [`next_step`] decides what to do next for the bytes that remain to be placed; the caller does
//! it, updates [`Room`], and asks again. The same operations on a new file always give the same
//! layout.

use super::room::Room;
use crate::geometry::Geometry;
use crate::models::{Arena, Block, Pool, signed};

/// A step of placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Put `bytes` bytes into this block.
    Fill { block: Block, bytes: i64 },
    /// Carve a block of `bytes` bytes from this pool.
    CarveBlock { pool: Pool, bytes: i64 },
    /// Carve a pool of `bytes` bytes for this class from this arena.
    CarvePool {
        arena: Arena,
        class: usize,
        block_size: i64,
        bytes: i64,
    },
    /// Carve an arena of `bytes` bytes from the space.
    CarveArena { bytes: i64 },
    /// Rows at this level are known only in part: read more, then ask again.
    Load(RoomLevel),
}

/// A level and class that can have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoomLevel {
    /// Blocks of a class.
    Blocks(usize),
    /// Pools of a class.
    Pools(usize),
    /// Arenas.
    Arenas,
}

/// The next step for `remaining` bytes of an object of class `class`, or `None` if there is no room
/// at all. O(log n) with n rows that have room.
///
/// 1. fill blocks of the class, lowest id first;
/// 2. carve blocks from pools of the class;
/// 3. carve a whole pool from an arena, 4. carve a whole arena;
/// 5. if only remainders are left: a short pool, a short arena, then room in other classes, larger
///    blocks first, because they make fewer pieces.
pub(crate) fn next_step(room: &Room, geometry: &Geometry, class: usize, remaining: i64) -> Option<Step> {
    let arena_size = geometry.arena_size() as i64;
    let of_class = geometry.classes().get(class)?;
    let (block_size, pool_size) = (of_class.block_size as i64, of_class.pool_size as i64);
    let carve_pool = |arena: &Arena| Step::CarvePool {
        arena: *arena,
        class,
        block_size,
        bytes: pool_size.min(signed(arena.uncarved())),
    };
    if let Some(step) = within_class(room, class, remaining) {
        return Some(step);
    }
    if let Some(arena) = room.arenas.first_with(|arena| signed(arena.uncarved()) >= pool_size) {
        return Some(carve_pool(arena));
    }
    if !room.arenas.complete {
        return Some(Step::Load(RoomLevel::Arenas));
    }
    let arena_bytes = arena_size.min(room.unreserved);
    if arena_bytes >= pool_size {
        return Some(Step::CarveArena { bytes: arena_bytes });
    }
    if let Some(arena) = room.arenas.first_with(|_| true) {
        return Some(carve_pool(arena));
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
            bytes: signed(block.room()).min(remaining),
        });
    }
    if !blocks.complete {
        return Some(Step::Load(RoomLevel::Blocks(class)));
    }
    let pools = room.pools.get(class)?;
    if let Some(pool) = pools.first_with(|_| true) {
        return Some(Step::CarveBlock {
            pool: *pool,
            bytes: signed(pool.block_size.min(pool.uncarved())),
        });
    }
    (!pools.complete).then_some(Step::Load(RoomLevel::Pools(class)))
}

#[cfg(test)]
mod tests;
