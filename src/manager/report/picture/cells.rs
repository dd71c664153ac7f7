//! The levels of a space as cells of equal size.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::manager::UsagePoint;
use crate::manager::report::layout::Undone;
use crate::models::{ArenaId, BlockId, PoolId, unsigned};

/// The arenas of a space as cells, at several moments. The arenas follow each other in the order of their keys, and so
/// do the pools in each and the blocks in each of these; what is not carved from a level comes after what is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BlockMap {
    /// Bytes that a cell stands for. The last cell of an arena may stand for fewer.
    pub cell_bytes: u64,
    /// Arenas in a cell, if it has several; otherwise 1, and each arena begins with a new cell.
    pub arenas_per_cell: u64,
    /// The space at some moments, the last of which is that of the report.
    pub frames: Vec<MapFrame>,
}

/// The space at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MapFrame {
    /// Its buckets then, which the cells add up to, except for what is unreserved.
    pub usage: UsagePoint,
    /// Number of arenas.
    pub arenas: u64,
    /// Number of pools.
    pub pools: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// The cells.
    pub cells: Vec<MapCell>,
}

/// A part of the bytes that arenas reserve: one block or a part of it, or several. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MapCell {
    /// The first arena in it.
    pub arena: ArenaId,
    /// The first pool in it.
    pub pool: Option<PoolId>,
    /// The first block in it.
    pub block: Option<BlockId>,
    /// Blocks of which it has a part.
    pub blocks: u64,
    /// The block size that most bytes of these have.
    pub block_size: Option<u64>,
    /// Bytes of content. In a block, content comes before room.
    pub mem: u64,
    /// Bytes free in blocks.
    pub room_in_blocks: u64,
    /// Bytes of pools that are not carved into blocks.
    pub uncarved_in_pools: u64,
    /// Bytes of arenas that are not carved into pools.
    pub uncarved_in_arenas: u64,
}

/// How levels are divided into cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub cell_bytes: u64,
    pub arenas_per_cell: u64,
    /// Bounds the cells: the rows of a damaged file may claim any number of bytes.
    limit: usize,
}

impl Grid {
    /// Cells of at least `least` bytes, for about `most` cells. `arenas` is the largest number of arenas, of
    /// `arena_size` bytes.
    pub fn new(arenas: u64, arena_size: u64, least: u64, most: usize) -> Self {
        let (arenas, arena_size) = (arenas.max(1), arena_size.max(1));
        let limit = most.clamp(1, 1 << 20);
        let most = limit as u64;
        let mut cell_bytes = least.clamp(1, arena_size);
        while cell_bytes < arena_size && arenas.saturating_mul(arena_size.div_ceil(cell_bytes)) > most {
            cell_bytes = cell_bytes.saturating_mul(2).min(arena_size);
        }
        let arenas_per_cell = arenas.div_ceil(most);
        Self {
            cell_bytes: cell_bytes.saturating_mul(arenas_per_cell),
            arenas_per_cell,
            // Shorter arenas round up.
            limit: 4 * limit,
        }
    }

    /// About how many cells this number of arenas has.
    pub fn cells(&self, arenas: u64, arena_size: u64) -> u64 {
        match self.arenas_per_cell {
            1 => arenas.saturating_mul(arena_size.div_ceil(self.cell_bytes)),
            several => arenas.div_ceil(several),
        }
    }

    /// The levels as they are. O(levels).
    pub fn frame(&self, now: &Undone) -> Vec<MapCell> {
        let mut drawing = Drawing::new(*self, now);
        drawing.pools(now);
        drawing.blocks(now);
        drawing.cells
    }
}

/// A stretch of bytes of an arena, filled from its beginning.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// The first cell of the arena.
    cell: usize,
    /// Bytes from there to the next byte to fill.
    at: u64,
}

struct Drawing {
    grid: Grid,
    cells: Vec<MapCell>,
    arenas: BTreeMap<ArenaId, Stretch>,
    pools: BTreeMap<PoolId, Stretch>,
}

impl Drawing {
    fn new(grid: Grid, now: &Undone) -> Self {
        let mut drawing = Self {
            grid,
            cells: Vec::new(),
            arenas: BTreeMap::new(),
            pools: BTreeMap::new(),
        };
        for (index, (&id, arena)) in (0u64..).zip(&now.arenas) {
            let shares = index % grid.arenas_per_cell != 0;
            let cell = drawing.cells.len() - usize::from(shares && !drawing.cells.is_empty());
            let many = if shares {
                0
            } else {
                arena.max_mem.div_ceil(grid.cell_bytes).max(1)
            };
            let room = grid.limit.saturating_sub(drawing.cells.len());
            let many = usize::try_from(many).unwrap_or(usize::MAX).min(room);
            drawing.cells.extend(std::iter::repeat_n(MapCell::of(id), many));
            drawing.arenas.insert(id, Stretch { cell, at: 0 });
            drawing.each(Stretch { cell, at: 0 }, arena.max_mem, |cell, bytes| {
                cell.uncarved_in_arenas = cell.uncarved_in_arenas.saturating_add(bytes)
            });
        }
        drawing
    }

    fn pools(&mut self, now: &Undone) {
        for (&id, pool) in &now.pools {
            let Some(arena) = self.arenas.get_mut(&pool.arena_id) else {
                continue;
            };
            let start = *arena;
            arena.at = arena.at.saturating_add(pool.max_mem);
            self.pools.insert(id, start);
            self.each(start, pool.max_mem, |cell, bytes| {
                cell.pool.get_or_insert(id);
                cell.uncarved_in_pools = cell.uncarved_in_pools.saturating_add(bytes);
                cell.uncarved_in_arenas = cell.uncarved_in_arenas.saturating_sub(bytes);
            });
        }
    }

    fn blocks(&mut self, now: &Undone) {
        // The class with the most bytes in a cell decides its block size.
        let mut most: Vec<BTreeMap<u64, u64>> = vec![BTreeMap::new(); self.cells.len()];
        for (&id, block) in &now.blocks {
            let Some(pool) = self.pools.get_mut(&block.pool_id) else {
                continue;
            };
            let start = *pool;
            pool.at = pool.at.saturating_add(block.max_mem);
            let mut used = block.mem;
            self.each_with(&mut most, start, block.max_mem, |cell, of_class, bytes| {
                cell.block.get_or_insert(id);
                cell.blocks += 1;
                let mem = used.min(bytes);
                used -= mem;
                cell.mem = cell.mem.saturating_add(mem);
                cell.room_in_blocks = cell.room_in_blocks.saturating_add(bytes - mem);
                cell.uncarved_in_pools = cell.uncarved_in_pools.saturating_sub(bytes);
                *of_class.entry(block.block_size).or_default() += bytes;
            });
        }
        for (cell, of_class) in self.cells.iter_mut().zip(&most) {
            let largest = of_class.iter().max_by_key(|(_, bytes)| **bytes);
            cell.block_size = largest.map(|(&size, _)| size);
        }
    }

    /// Passes each cell of a stretch, with the bytes of the stretch in it.
    fn each(&mut self, start: Stretch, bytes: u64, mut take: impl FnMut(&mut MapCell, u64)) {
        let mut nothing = vec![(); self.cells.len()];
        self.each_with(&mut nothing, start, bytes, |cell, (), bytes| take(cell, bytes));
    }

    fn each_with<T>(
        &mut self,
        with: &mut [T],
        start: Stretch,
        bytes: u64,
        mut take: impl FnMut(&mut MapCell, &mut T, u64),
    ) {
        let whole_arenas = self.grid.arenas_per_cell > 1;
        let (mut at, mut left) = (start.at, bytes);
        while left > 0 {
            let index = if whole_arenas { 0 } else { at / self.grid.cell_bytes };
            let index = start.cell + usize::try_from(index).unwrap_or(usize::MAX / 2);
            let (Some(cell), Some(with)) = (self.cells.get_mut(index), with.get_mut(index)) else {
                return;
            };
            let rest = self.grid.cell_bytes - at % self.grid.cell_bytes;
            let part = if whole_arenas { left } else { left.min(rest) };
            take(cell, with, part);
            (at, left) = (at.saturating_add(part), left - part);
        }
    }
}

impl MapCell {
    fn of(arena: ArenaId) -> Self {
        Self {
            arena,
            pool: None,
            block: None,
            blocks: 0,
            block_size: None,
            mem: 0,
            room_in_blocks: 0,
            uncarved_in_pools: 0,
            uncarved_in_arenas: 0,
        }
    }

    /// Bytes that it stands for.
    pub fn bytes(&self) -> u64 {
        let parts = [
            self.mem,
            self.room_in_blocks,
            self.uncarved_in_pools,
            self.uncarved_in_arenas,
        ];
        sum(parts.into_iter())
    }
}

/// The buckets of the levels as they are. The event and the time are those of `like`, and so is the peak if it
/// is higher. O(levels).
pub(super) fn usage(now: &Undone, like: UsagePoint) -> UsagePoint {
    let mem = sum(now.blocks.values().map(|block| block.mem));
    let in_blocks = sum(now.blocks.values().map(|block| block.max_mem));
    let in_pools = sum(now.pools.values().map(|pool| pool.max_mem));
    let in_arenas = sum(now.arenas.values().map(|arena| arena.max_mem));
    let capacity = unsigned(now.max_mem);
    UsagePoint {
        mem,
        peak_mem: like.peak_mem.max(mem),
        room_in_blocks: in_blocks.saturating_sub(mem),
        uncarved_in_pools: in_pools.saturating_sub(in_blocks),
        uncarved_in_arenas: in_arenas.saturating_sub(in_pools),
        unreserved: capacity.saturating_sub(in_arenas),
        capacity,
        ..like
    }
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}
