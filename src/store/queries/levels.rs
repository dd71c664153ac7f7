//! Arenas, pools and blocks.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::error::Result;
use crate::models::schema::{arenas, blocks, pools};
use crate::models::{Arena, ArenaId, Block, BlockId, MemRamId, Pool, PoolId};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// The arenas of a space.
pub fn arenas(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<Arena>> {
    let query = arenas::table.filter(arenas::memram_id.eq(space)).order(arenas::id);
    Ok(query.select(Arena::as_select()).load(tx.conn()?)?)
}

/// One arena of a space.
pub fn arena(tx: &mut ReadTx<'_>, space: MemRamId, id: ArenaId) -> Result<Option<Arena>> {
    let query = arenas::table.find(id).filter(arenas::memram_id.eq(space));
    Ok(query.select(Arena::as_select()).get_result(tx.conn()?).optional()?)
}

/// The pools of an arena.
pub fn pools(tx: &mut ReadTx<'_>, arena: ArenaId) -> Result<Vec<Pool>> {
    let query = pools::table.filter(pools::arena_id.eq(arena)).order(pools::id);
    Ok(query.select(Pool::as_select()).load(tx.conn()?)?)
}

/// The pools of all arenas of a space. O(rows).
pub fn all_pools(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<Pool>> {
    let query = pools::table.filter(pools::memram_id.eq(space)).order(pools::id);
    Ok(query.select(Pool::as_select()).load(tx.conn()?)?)
}

/// One pool of a space.
pub fn pool(tx: &mut ReadTx<'_>, space: MemRamId, id: PoolId) -> Result<Option<Pool>> {
    let query = pools::table.find(id).filter(pools::memram_id.eq(space));
    Ok(query.select(Pool::as_select()).get_result(tx.conn()?).optional()?)
}

/// The blocks of a pool.
pub fn blocks(tx: &mut ReadTx<'_>, pool: PoolId) -> Result<Vec<Block>> {
    let query = blocks::table.filter(blocks::pool_id.eq(pool)).order(blocks::id);
    Ok(query.select(Block::as_select()).load(tx.conn()?)?)
}

/// The blocks of all pools of a space. O(rows).
pub fn all_blocks(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<Block>> {
    let query = blocks::table.filter(blocks::memram_id.eq(space)).order(blocks::id);
    Ok(query.select(Block::as_select()).load(tx.conn()?)?)
}

/// One block of a space.
pub fn block(tx: &mut ReadTx<'_>, space: MemRamId, id: BlockId) -> Result<Option<Block>> {
    let query = blocks::table.find(id).filter(blocks::memram_id.eq(space));
    Ok(query.select(Block::as_select()).get_result(tx.conn()?).optional()?)
}

/// Empty blocks, by a partial index. O(found).
pub fn empty_blocks(tx: &mut ReadTx<'_>, space: MemRamId, limit: i64) -> Result<Vec<Block>> {
    let query = blocks::table
        .filter(blocks::memram_id.eq(space))
        .filter(Statement::<IsEmpty, 0>::new([]))
        .order(blocks::id)
        .limit(limit);
    Ok(on_engine!(tx, |conn| query.select(Block::as_select()).load(conn))?)
}

sql! {
    /// Written as in the partial index, so that it is used.
    IsEmpty: Bool = "mem = 0", postgres "is_empty";
}

/// Pools without blocks, by a partial index.
pub fn empty_pools(tx: &mut ReadTx<'_>, space: MemRamId, limit: i64) -> Result<Vec<Pool>> {
    let is_empty = diesel::dsl::sql::<Bool>("reserved = 0");
    let query = pools::table
        .filter(pools::memram_id.eq(space))
        .filter(is_empty)
        .order(pools::id);
    Ok(query.limit(limit).select(Pool::as_select()).load(tx.conn()?)?)
}

/// Arenas without pools, by a partial index.
pub fn empty_arenas(tx: &mut ReadTx<'_>, space: MemRamId, limit: i64) -> Result<Vec<Arena>> {
    let is_empty = diesel::dsl::sql::<Bool>("reserved = 0");
    let query = arenas::table
        .filter(arenas::memram_id.eq(space))
        .filter(is_empty)
        .order(arenas::id);
    Ok(query.limit(limit).select(Arena::as_select()).load(tx.conn()?)?)
}
