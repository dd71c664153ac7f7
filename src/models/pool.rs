//! `pools`: blocks of one size class only.

use diesel::prelude::*;

use super::{Arena, ArenaId, MemRamId, striped_id, unsigned};
use crate::models::schema::pools;

striped_id! {
    /// Key of a pool.
    PoolId
}

/// Holds blocks of one size class only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = pools)]
#[non_exhaustive]
pub struct Pool {
    /// Key.
    pub id: PoolId,
    /// The space.
    pub memram_id: MemRamId,
    /// The arena it was carved from.
    pub arena_id: ArenaId,
    /// Bytes of a block of its class.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub block_size: u64,
    /// Bytes of the pool.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub max_mem: u64,
    /// Bytes of content in its blocks.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub mem: u64,
    /// Bytes of its blocks.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub reserved: u64,
}

impl Pool {
    /// Bytes that nothing is carved from yet.
    pub fn uncarved(&self) -> u64 {
        self.max_mem.saturating_sub(self.reserved)
    }
}

impl Pool {
    /// A newly carved pool, without blocks.
    pub(crate) fn carved(id: PoolId, arena: &Arena, block_size: i64, max_mem: i64) -> Self {
        Self {
            id,
            memram_id: arena.memram_id,
            arena_id: arena.id,
            block_size: unsigned(block_size),
            max_mem: unsigned(max_mem),
            mem: 0,
            reserved: 0,
        }
    }
}
