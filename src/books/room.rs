//! The rows with room in one space, as far as they are known. Placement works on this.

use std::collections::BTreeMap;

use super::change::Change;
use super::effects::Effects;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::{Arena, ArenaId, Block, BlockId, PlacedEntry, Pool, PoolId, signed, unsigned};

/// The rows with room in one space, as far as they are known.
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
    /// Nothing is known yet about a space with `classes` size classes.
    pub fn unknown(classes: usize, unreserved: i64) -> Self {
        Self {
            unreserved,
            arenas: Known::default(),
            pools: vec![Known::default(); classes],
            blocks: vec![Known::default(); classes],
        }
    }

    /// Applies a change, given the effects that the triggers have computed.
    pub(super) fn follow(&mut self, change: &Change<'_>, geometry: &Geometry, effects: &Effects) -> Result<()> {
        let class_of = |block_size: u64| geometry.class_of_block_size(block_size);
        match change {
            Change::ArenaAdded(arena) => self.add_arena(*arena),
            Change::PoolAdded(pool) => self.add_pool(class_of(pool.block_size)?, *pool),
            Change::BlockAdded(block) => self.add_block(class_of(block.block_size)?, *block),
            Change::EntryAdded { entry, block } => {
                self.fill(class_of(block.block_size)?, *block, entry.allocated_mem);
            }
            Change::EntriesRemoved { entries, .. } | Change::PiecesReclaimed { entries, .. } => {
                self.empty(entries, geometry, effects)?;
            }
            Change::PiecesMoved { entries, block, .. } => {
                self.empty(entries, geometry, effects)?;
                let bytes = entries.iter().map(|entry| entry.allocated_mem).sum();
                let filled = effects
                    .blocks
                    .get(&block.id)
                    .map_or(signed(block.mem), |after| after.mem - bytes);
                let mem = unsigned(filled);
                self.fill(class_of(block.block_size)?, Block { mem, ..*block }, bytes);
            }
            Change::ArenaRemoved(arena) => {
                self.unreserved = self.unreserved.saturating_add(signed(arena.max_mem));
                self.forget();
            }
            Change::PoolRemoved(_) | Change::BlockRemoved(_) => self.forget(),
            Change::Resized { by } => self.unreserved += by,
            Change::ObjectStored(_)
            | Change::ObjectPosted { .. }
            | Change::ObjectVacated { .. }
            | Change::PartBegun { .. }
            | Change::ReservationSet { .. }
            | Change::ReservationRemoved { .. }
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

    /// Pieces leave their blocks.
    fn empty(&mut self, entries: &[PlacedEntry], geometry: &Geometry, effects: &Effects) -> Result<()> {
        for entry in entries {
            let left = effects.blocks.get(&entry.block_id).map_or(0, |after| after.mem);
            let class = geometry.class_of_block_size(unsigned(entry.block_size))?;
            self.note_block(class, entry.block(left));
        }
        Ok(())
    }

    /// An arena is carved from the space.
    pub fn add_arena(&mut self, arena: Arena) {
        self.unreserved -= signed(arena.max_mem);
        self.note_arena(arena);
    }

    /// A pool of a class is carved from its arena.
    pub fn add_pool(&mut self, class: usize, pool: Pool) {
        if let Some(mut arena) = self.arenas.get(pool.arena_id).copied() {
            arena.reserved += pool.max_mem;
            self.note_arena(arena);
        }
        self.note_pool(class, pool);
    }

    /// A block of a class is carved from its pool.
    pub fn add_block(&mut self, class: usize, block: Block) {
        let pools = self.pools.get(class);
        if let Some(mut pool) = pools.and_then(|pools| pools.get(block.pool_id)).copied() {
            pool.reserved += block.max_mem;
            self.note_pool(class, pool);
        }
        self.note_block(class, block);
    }

    /// Bytes are put into a block of a class.
    pub fn fill(&mut self, class: usize, mut block: Block, bytes: i64) {
        block.mem = block.mem.saturating_add_signed(bytes);
        block.is_free = block.mem < block.max_mem;
        self.note_block(class, block);
    }

    /// Rows were removed, so look up the rows with room again.
    fn forget(&mut self) {
        *self = Self::unknown(self.blocks.len(), self.unreserved);
    }

    /// Records a new block or a change of a block's room.
    pub fn note_block(&mut self, class: usize, block: Block) {
        if let Some(known) = self.blocks.get_mut(class) {
            known.note(block.id, (block.room() > 0).then_some(block));
        }
    }

    /// Records a new pool or a change of a pool's room.
    pub fn note_pool(&mut self, class: usize, pool: Pool) {
        if let Some(known) = self.pools.get_mut(class) {
            known.note(pool.id, (pool.reserved < pool.max_mem).then_some(pool));
        }
    }

    /// Records a new arena or a change of an arena's room.
    pub fn note_arena(&mut self, arena: Arena) {
        self.arenas
            .note(arena.id, (arena.reserved < arena.max_mem).then_some(arena));
    }
}

/// The rows with room up to some id. Beyond it there may be more that were not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Known<K, V> {
    rows: BTreeMap<K, V>,
    /// Everything up to this id is known.
    pub through: Option<K>,
    /// Whether there are no rows beyond.
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
    /// The row with the lowest id that satisfies `fits`.
    pub(super) fn first_with(&self, fits: impl Fn(&V) -> bool) -> Option<&V> {
        self.rows.values().find(|row| fits(row))
    }

    /// Records that a row has room (`Some`) or no longer has any (`None`). A row beyond the known
    /// range is left for [`Known::extend`].
    pub(super) fn note(&mut self, id: K, row: Option<V>) {
        match row {
            Some(row) if self.complete || self.through.is_some_and(|through| id <= through) => {
                self.rows.insert(id, row);
            }
            _ => {
                self.rows.remove(&id);
            }
        }
    }

    /// Adds the next rows in id order; fewer than `asked` means that there are no more.
    pub fn extend(&mut self, rows: impl ExactSizeIterator<Item = (K, V)>, asked: usize) {
        self.complete = rows.len() < asked;
        for (id, row) in rows {
            self.through = Some(id);
            self.rows.insert(id, row);
        }
    }

    /// The rows that are known to have room, by their ids.
    pub fn rows(&self) -> impl Iterator<Item = &V> {
        self.rows.values()
    }

    /// Whether the row is known to have room.
    pub fn get(&self, id: K) -> Option<&V> {
        self.rows.get(&id)
    }
}
