//! Rows with room: each query continues in a partial index where the last one ended, in O(log n +
//! page).

use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::books::placement::RoomLevel;
use crate::books::room::Room;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::schema::{arenas, blocks, pools};
use crate::models::{Arena, ArenaId, Block, BlockId, MemRamId, Pool, PoolId};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// Rows per query.
pub const PAGE: usize = 256;

/// Reads the next page of rows with room at one level into `room`.
pub fn load(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    geometry: &Geometry,
    room: &mut Room,
    level: RoomLevel,
) -> Result<()> {
    let unknown_class = || Error::Damaged {
        what: "a size class that the space does not have".into(),
    };
    let block_size = |class: usize| {
        let class = geometry.classes().get(class).ok_or_else(unknown_class)?;
        Ok::<_, Error>(class.block_size as i64)
    };
    match level {
        RoomLevel::Arenas => {
            let rows = arenas(tx, space, room.arenas.through)?;
            room.arenas.extend(rows.into_iter().map(|row| (row.id, row)), PAGE);
        }
        RoomLevel::Pools(class) => {
            let known = room.pools.get_mut(class).ok_or_else(unknown_class)?;
            let rows = pools(tx, space, block_size(class)?, known.through)?;
            known.extend(rows.into_iter().map(|row| (row.id, row)), PAGE);
        }
        RoomLevel::Blocks(class) => {
            let known = room.blocks.get_mut(class).ok_or_else(unknown_class)?;
            let rows = blocks(tx, space, block_size(class)?, known.through)?;
            known.extend(rows.into_iter().map(|row| (row.id, row)), PAGE);
        }
    }
    Ok(())
}

/// Arenas with bytes not carved into pools, after `through`.
pub fn arenas(tx: &mut ReadTx<'_>, space: MemRamId, through: Option<ArenaId>) -> Result<Vec<Arena>> {
    Ok(arenas::table
        .filter(arenas::memram_id.eq(space))
        .filter(arenas::reserved.lt(arenas::max_mem))
        .filter(arenas::id.gt(through.unwrap_or(ArenaId(0))))
        .order(arenas::id)
        .limit(PAGE as i64)
        .select(Arena::as_select())
        .load(tx.conn()?)?)
}

/// Pools of a class with bytes not carved into blocks, after `through`.
pub fn pools(tx: &mut ReadTx<'_>, space: MemRamId, block_size: i64, through: Option<PoolId>) -> Result<Vec<Pool>> {
    Ok(pools::table
        .filter(pools::memram_id.eq(space))
        .filter(pools::block_size.eq(block_size))
        .filter(pools::reserved.lt(pools::max_mem))
        .filter(pools::id.gt(through.unwrap_or(PoolId(0))))
        .order(pools::id)
        .limit(PAGE as i64)
        .select(Pool::as_select())
        .load(tx.conn()?)?)
}

/// Blocks of a class with room, after `through`.
pub fn blocks(tx: &mut ReadTx<'_>, space: MemRamId, block_size: i64, through: Option<BlockId>) -> Result<Vec<Block>> {
    let query = blocks::table
        .filter(blocks::memram_id.eq(space))
        .filter(blocks::block_size.eq(block_size))
        .filter(Statement::<IsFree, 0>::new([]))
        .filter(blocks::id.gt(through.unwrap_or(BlockId(0))))
        .order(blocks::id)
        .limit(PAGE as i64);
    Ok(on_engine!(tx, |conn| query.select(Block::as_select()).load(conn))?)
}

sql! {
    /// Written as in the partial index, so that it is used.
    IsFree: Bool = "is_free = 1", postgres "is_free";
}
