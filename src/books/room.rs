//! What has room in one space, as far as it is known: placement decides over it.

use std::collections::BTreeMap;

use crate::models::{Arena, ArenaId, Block, BlockId, Pool, PoolId};

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
    pub(super) fn first_with(&self, fits: impl Fn(&V) -> bool) -> Option<&V> {
        self.rows.values().find(|row| fits(row))
    }

    /// A row has room (`Some`) or has none any more (`None`). A row beyond what is
    /// known is left for [`Known::extend`] to find.
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
