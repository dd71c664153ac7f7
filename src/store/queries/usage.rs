//! The view `usage`: every level and size class.

use diesel::prelude::*;

use crate::error::Result;
use crate::models::{MemRamId, Shown, text_enum};
use crate::store::queries::spaces;
use crate::store::read::ReadTx;

diesel::table! {
    usage (space, level, block_size) {
        space -> Text,
        level -> Text,
        block_size -> Nullable<BigInt>,
        rows -> BigInt,
        max_mem -> BigInt,
        reserved -> BigInt,
        mem -> BigInt,
        promised -> Nullable<BigInt>,
        available -> Nullable<BigInt>,
    }
}

text_enum! {
    /// A level of a space.
    Level {
        /// The space itself.
        Space = "space",
        /// Its arenas.
        Arenas = "arenas",
        /// Their pools.
        Pools = "pools",
        /// Their blocks.
        Blocks = "blocks",
    }
}

/// A row of the view `usage`: capacity and use of a level.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = usage)]
#[non_exhaustive]
pub struct LevelUsage {
    /// The name of the space.
    #[diesel(deserialize_as = Shown)]
    pub space: String,
    /// The level.
    pub level: Level,
    /// The block size of pools and blocks.
    #[diesel(deserialize_as = crate::models::amount::AmountIfAny)]
    pub block_size: Option<u64>,
    /// How many there are.
    #[diesel(deserialize_as = crate::models::amount::Capacity)]
    pub rows: u64,
    /// Bytes of all of them together.
    #[diesel(deserialize_as = crate::models::amount::Capacity)]
    pub max_mem: u64,
    /// Of these, the bytes that the level below takes.
    #[diesel(deserialize_as = crate::models::amount::Capacity)]
    pub reserved: u64,
    /// Bytes of content.
    #[diesel(deserialize_as = crate::models::amount::Capacity)]
    pub mem: u64,
    /// Of the space, the bytes that are promised to reservations.
    #[diesel(deserialize_as = crate::models::amount::CapacityIfAny)]
    pub promised: Option<u64>,
    /// Of the space, the free bytes that are promised to nobody.
    #[diesel(deserialize_as = crate::models::amount::CapacityIfAny)]
    pub available: Option<u64>,
}

/// The levels and classes of a space. O(classes).
pub fn levels(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<LevelUsage>> {
    let space = spaces::get(tx, space)?.name;
    Ok(usage::table
        .filter(usage::space.eq(space))
        .select(LevelUsage::as_select())
        .load(tx.conn()?)?)
}
