//! Writing what a unit of work has gathered, table by table.
#![allow(clippy::disallowed_methods, reason = "one of the two files that write rows")]

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::conn::Conn;
use super::exec::{Sql, Statement};
use super::schema::{arenas, blocks, ledger, pools};
use super::unit::Unit;
use crate::models::{MemRamId, NewEntry};

/// Writes the new rows, parents first, each with the effects it already has.
pub(super) fn insert_rows(conn: &mut Conn, unit: &mut Unit) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    for mut arena in unit.arenas.drain(..) {
        if let Some(delta) = unit.effects.arenas.remove(&arena.id) {
            arena.mem = delta.mem;
            arena.reserved = delta.reserved;
        }
        diesel::insert_into(arenas::table).values(arena).execute(conn)?;
    }
    for mut pool in unit.pools.drain(..) {
        if let Some(delta) = unit.effects.pools.remove(&pool.id) {
            pool.mem = delta.mem;
            pool.reserved = delta.reserved;
        }
        diesel::insert_into(pools::table).values(pool).execute(conn)?;
    }
    for mut block in unit.blocks.drain(..) {
        if let Some(after) = unit.effects.blocks.remove(&block.id) {
            block.mem = after.mem;
            block.is_free = after.is_free;
        }
        diesel::insert_into(blocks::table).values(block).execute(conn)?;
    }
    for entry in unit.entries.drain(..) {
        insert_entry(conn, &entry)?;
    }
    unit.bytes = 0;
    Ok(())
}

/// Writes one ledger entry, its bytes straight from where they are.
pub(super) fn insert_entry(conn: &mut SqliteConnection, entry: &NewEntry<'_>) -> QueryResult<()> {
    use ledger::columns as c;
    let values = (
        c::id.eq(entry.id),
        c::stored_object_id.eq(entry.stored_object_id),
        c::seq.eq(entry.seq),
        c::arena_id.eq(entry.arena_id),
        c::pool_id.eq(entry.pool_id),
        c::block_id.eq(entry.block_id),
        c::allocated_mem.eq(entry.allocated_mem),
        c::data.eq(&*entry.data),
    );
    diesel::insert_into(ledger::table).values(values).execute(conn)?;
    Ok(())
}

macro_rules! sql {
    ($($name:ident = $text:expr;)*) => {
        $(struct $name;
        impl Sql for $name {
            const TEXT: &'static str = $text;
        })*
    };
}

sql! {
    SetBlock = "UPDATE blocks SET mem = ?, is_free = ? WHERE id = ?";
    AddToPool = "UPDATE pools SET mem = mem + ?, reserved = reserved + ? WHERE id = ?";
    AddToArena = "UPDATE arenas SET mem = mem + ?, reserved = reserved + ? WHERE id = ?";
    AddToClass = "UPDATE size_classes SET mem = mem + ?, reserved = reserved + ?, pooled = pooled + ?, \
        pools = pools + ?, blocks = blocks + ?, full_blocks = full_blocks + ?, empty_blocks = empty_blocks + ?, \
        entries = entries + ? WHERE memram_id = ? AND block_size = ?";
    AddToKind = "UPDATE kinds SET objects = objects + ?, mem = mem + ? WHERE memram_id = ? AND kind = ?";
    AddToSpace = "UPDATE memram SET peak_mem = max(peak_mem, mem + ?), max_mem = max_mem + ?, mem = mem + ?, \
        reserved = reserved + ?, arenas = arenas + ?, allocations = allocations + ?, frees = frees + ?, \
        dedup_hits = dedup_hits + ?, dedup_saved = dedup_saved + ? WHERE id = ?";
    RaiseSequence = "UPDATE sequences SET last_id = ? WHERE name = ? AND last_id < ?";
}

/// Writes the effects: one UPDATE per touched row.
pub(super) fn write_effects(conn: &mut Conn, space: MemRamId, unit: &mut Unit) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    let effects = std::mem::take(&mut unit.effects);
    for (id, after) in effects.blocks {
        Statement::<SetBlock, 3>::run(conn, [after.mem.into(), after.is_free.into(), id.0.into()])?;
    }
    for (id, by) in effects.pools {
        Statement::<AddToPool, 3>::run(conn, [by.mem.into(), by.reserved.into(), id.0.into()])?;
    }
    for (id, by) in effects.arenas {
        Statement::<AddToArena, 3>::run(conn, [by.mem.into(), by.reserved.into(), id.0.into()])?;
    }
    for (block_size, by) in effects.classes {
        let values = [
            by.mem,
            by.reserved,
            by.pooled,
            by.pools,
            by.blocks,
            by.full_blocks,
            by.empty_blocks,
            by.entries,
            space.0,
            block_size,
        ];
        Statement::<AddToClass, 10>::run(conn, values.map(Into::into))?;
    }
    for (kind, by) in &effects.kinds {
        Statement::<AddToKind, 4>::run(
            conn,
            [by.objects.into(), by.mem.into(), space.0.into(), kind.as_str().into()],
        )?;
    }
    let by = effects.space;
    if by != Default::default() {
        let values = [
            by.peak,
            by.max_mem,
            by.mem,
            by.reserved,
            by.arenas,
            by.allocations,
            by.frees,
            by.dedup_hits,
            by.dedup_saved,
            space.0,
        ];
        Statement::<AddToSpace, 10>::run(conn, values.map(Into::into))?;
    }
    Ok(())
}

/// Keeps the highest ids ever given out, so that they never come back.
pub(super) fn raise_sequences(conn: &mut Conn, last_ids: &[(&'static str, i64)]) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    for &(table, last_id) in last_ids {
        Statement::<RaiseSequence, 3>::run(conn, [last_id.into(), table.into(), last_id.into()])?;
    }
    Ok(())
}
