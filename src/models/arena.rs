//! `arenas`: a stretch of the space, holding pools.

use diesel::prelude::*;

use super::{MemRamId, striped_id, unsigned};
use crate::models::schema::arenas;

striped_id! {
    /// Key of an arena.
    ArenaId
}

/// A stretch of the space, holding pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = arenas)]
#[non_exhaustive]
pub struct Arena {
    /// Key.
    pub id: ArenaId,
    /// The space.
    pub memram_id: MemRamId,
    /// Bytes of the arena.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub max_mem: u64,
    /// Bytes of content in its blocks.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub mem: u64,
    /// Bytes of its pools.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub reserved: u64,
}

impl Arena {
    /// Bytes that nothing is carved from yet.
    pub fn uncarved(&self) -> u64 {
        self.max_mem.saturating_sub(self.reserved)
    }
}

impl Arena {
    /// A newly carved arena, without pools.
    pub(crate) fn carved(id: ArenaId, memram_id: MemRamId, max_mem: i64) -> Self {
        Self {
            id,
            memram_id,
            max_mem: unsigned(max_mem),
            mem: 0,
            reserved: 0,
        }
    }
}
