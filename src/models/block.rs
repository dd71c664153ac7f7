//! `blocks`: the unit of placement.

use diesel::prelude::*;

use super::{ArenaId, MemRamId, Pool, PoolId, striped_id, unsigned};
use crate::models::schema::blocks;

striped_id! {
    /// Key of a block.
    BlockId
}

/// The unit of placement: a bag of `max_mem` bytes that objects may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = blocks)]
#[non_exhaustive]
pub struct Block {
    /// Key.
    pub id: BlockId,
    /// The space.
    pub memram_id: MemRamId,
    /// The arena of its pool.
    pub arena_id: ArenaId,
    /// The pool it was carved from.
    pub pool_id: PoolId,
    /// Bytes of a block of its class.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub block_size: u64,
    /// Bytes of the block; the last block of a short pool is shorter than its class.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub max_mem: u64,
    /// Bytes used.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub mem: u64,
    /// Whether it has room: `mem < max_mem`.
    pub is_free: bool,
}

impl Block {
    /// A newly carved, empty block.
    pub(crate) fn carved(id: BlockId, pool: &Pool, max_mem: i64) -> Self {
        Self {
            id,
            memram_id: pool.memram_id,
            arena_id: pool.arena_id,
            pool_id: pool.id,
            block_size: pool.block_size,
            max_mem: unsigned(max_mem),
            mem: 0,
            is_free: true,
        }
    }

    /// Bytes that still fit.
    pub fn room(&self) -> u64 {
        self.max_mem.saturating_sub(self.mem)
    }
}
