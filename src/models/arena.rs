//! `arenas`: a stretch of the space, holding pools.

use diesel::prelude::*;

use super::{MemRamId, striped_id};
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
    pub max_mem: i64,
    /// Bytes of content in its blocks.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub mem: i64,
    /// Bytes of its pools.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub reserved: i64,
}

impl Arena {
    /// An arena as it is carved from a space: without pools.
    pub(crate) fn carved(id: ArenaId, memram_id: MemRamId, max_mem: i64) -> Self {
        Self {
            id,
            memram_id,
            max_mem,
            mem: 0,
            reserved: 0,
        }
    }
}
