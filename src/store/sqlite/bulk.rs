//! Writing what a unit of work has gathered, table by table.
#![allow(clippy::disallowed_methods, reason = "one of the files that write rows")]

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::exec::{Sql, Statement, Value};
use super::insert::{Into, delete, insert};
use crate::books::batch::Unit;
use crate::books::effects::{ClassDelta, Effects, SpaceDelta};
use crate::models::schema::{arenas, pools};
use crate::models::{MemRamId, NewBlock, NewEntry, StoredObject, StoredObjectId};
use crate::store::conn::Conn;

/// Removes the objects that go, and writes the new rows, parents first, each with the
/// effects it already has.
pub(in crate::store) fn write_rows(conn: &mut Conn, unit: &mut Unit) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    remove_objects(conn, &std::mem::take(&mut unit.removed))?;
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
    for block in &mut unit.blocks {
        if let Some(after) = unit.effects.blocks.remove(&block.id) {
            block.mem = after.mem;
            block.is_free = after.is_free;
        }
    }
    let blocks: Vec<_> = unit.blocks.iter().map(block_row).collect();
    insert::<IntoBlocks, 8>(conn, &blocks)?;
    unit.blocks.clear();
    let objects: Vec<_> = unit.objects.rows().iter().map(object_row).collect();
    insert::<IntoObjects, 8>(conn, &objects)?;
    unit.objects.clear();
    let entries: Vec<_> = unit.entries.iter().map(entry_row).collect();
    insert::<IntoLedger, 9>(conn, &entries)?;
    unit.entries.clear();
    unit.bytes = 0;
    Ok(())
}

/// Writes one ledger entry, its bytes straight from where they are.
pub(in crate::store) fn insert_entry(conn: &mut SqliteConnection, entry: &NewEntry<'_>) -> QueryResult<()> {
    insert::<IntoLedger, 9>(conn, &[entry_row(entry)])
}

fn block_row(block: &NewBlock) -> [Value<'_>; 8] {
    [
        block.id.0.into(),
        block.memram_id.0.into(),
        block.arena_id.0.into(),
        block.pool_id.0.into(),
        block.block_size.into(),
        block.max_mem.into(),
        block.mem.into(),
        block.is_free.into(),
    ]
}

fn entry_row<'a>(entry: &'a NewEntry<'_>) -> [Value<'a>; 9] {
    [
        entry.id().0.into(),
        entry.stored_object_id.0.into(),
        entry.seq.into(),
        entry.arena_id.0.into(),
        entry.pool_id.0.into(),
        entry.block_id.0.into(),
        entry.allocated_mem.into(),
        entry.rest.into(),
        (&*entry.data).into(),
    ]
}

fn object_row(object: &StoredObject) -> [Value<'_>; 8] {
    [
        object.id.0.into(),
        object.memram_id.0.into(),
        object.object_id.as_str().into(),
        object.kind.as_str().into(),
        object.type_name.as_deref().into(),
        object.size.into(),
        object.held.into(),
        object.created_at.as_micros().into(),
    ]
}

/// Removes objects and their entries in the order of their keys, which is that of the
/// rows in the file.
fn remove_objects(conn: &mut SqliteConnection, removed: &BTreeMap<StoredObjectId, i64>) -> QueryResult<()> {
    // Not by the object alone: with its keys, no index is needed to find an entry.
    let of_one: Vec<_> = removed
        .iter()
        .filter(|&(_, &entries)| entries == 1)
        .map(|(object, _)| object.0)
        .collect();
    delete::<FromLedger>(conn, &of_one)?;
    for (object, entries) in removed.iter().filter(|&(_, &entries)| entries != 1) {
        let key = object.0;
        let values = [key.into(), key.saturating_add(*entries).into(), key.into()];
        let gone = Statement::<RemoveEntries, 3>::run(conn, values)?;
        if i64::try_from(gone) != Ok(*entries) {
            let what = format!("the pieces of object {key} do not have the keys that follow its own");
            return Err(diesel::result::Error::DeserializationError(what.into()));
        }
    }
    let all: Vec<_> = removed.keys().map(|object| object.0).collect();
    delete::<FromObjects>(conn, &all)
}

macro_rules! into {
    ($($name:ident = $text:expr, alike in $alike:expr;)*) => {
        $(struct $name;
        impl Into for $name {
            const TEXT: &'static str = $text;
            const ALIKE: &'static [usize] = &$alike;
        })*
    };
}
pub(in crate::store) use into;

into! {
    IntoBlocks = "INSERT OR FAIL INTO blocks (id, memram_id, arena_id, pool_id, block_size, max_mem, mem, is_free)",
        alike in [1, 4, 5];
    IntoObjects = "INSERT OR FAIL INTO stored_objects (id, memram_id, object_id, kind, type_name, size, held, created_at)",
        alike in [1, 3, 4, 6, 7];
    IntoLedger = "INSERT OR FAIL INTO ledger (id, stored_object_id, seq, arena_id, pool_id, block_id, allocated_mem, rest, data)",
        alike in [2, 7];
}

macro_rules! sql {
    ($($name:ident = $text:expr;)*) => {
        $(struct $name;
        impl Sql for $name {
            const TEXT: &'static str = $text;
        })*
    };
}
pub(in crate::store) use sql;

sql! {
    FromLedger = "DELETE FROM ledger WHERE stored_object_id = id AND id IN";
    FromObjects = "DELETE FROM stored_objects WHERE id IN";
    RemoveEntries = "DELETE FROM ledger WHERE id >= ? AND id < ? AND stored_object_id = ?";
    SetBlock = "UPDATE OR FAIL blocks SET mem = ?, is_free = ? WHERE id = ?";
    FillBlock = "UPDATE OR FAIL blocks SET mem = ? WHERE id = ?";
    FillPool = "UPDATE OR FAIL pools SET mem = mem + ? WHERE id = ?";
    FillArena = "UPDATE OR FAIL arenas SET mem = mem + ? WHERE id = ?";
    AddToPool = "UPDATE OR FAIL pools SET mem = mem + ?, reserved = reserved + ? WHERE id = ?";
    AddToArena = "UPDATE OR FAIL arenas SET mem = mem + ?, reserved = reserved + ? WHERE id = ?";
    FillClass = "UPDATE OR FAIL size_classes SET mem = mem + ?, entries = entries + ? WHERE memram_id = ? AND block_size = ?";
    AddToClass = "UPDATE OR FAIL size_classes SET mem = mem + ?, reserved = reserved + ?, pooled = pooled + ?, \
        pools = pools + ?, blocks = blocks + ?, full_blocks = full_blocks + ?, empty_blocks = empty_blocks + ?, \
        entries = entries + ? WHERE memram_id = ? AND block_size = ?";
    AddToKind = "UPDATE OR FAIL other_kinds SET objects = objects + ?, mem = mem + ? WHERE memram_id = ? AND kind = ?";
    FillSpace = "UPDATE OR FAIL memram SET peak_mem = max(peak_mem, mem + ?), mem = mem + ?, allocations = allocations + ?, \
        frees = frees + ? WHERE id = ?";
    AddToSpace = "UPDATE OR FAIL memram SET peak_mem = max(peak_mem, mem + ?), max_mem = max_mem + ?, mem = mem + ?, \
        reserved = reserved + ?, arenas = arenas + ?, allocations = allocations + ?, frees = frees + ?, \
        dedup_hits = dedup_hits + ?, dedup_saved = dedup_saved + ? WHERE id = ?";
    RaiseSequence = "UPDATE OR FAIL sequences SET last_id = ? WHERE name = ? AND last_id < ?";
}

/// Writes the effects: one UPDATE per touched row. Columns that seldom change are only
/// named when they do: each costs a little, and one that an index depends on, as much as
/// the row, because SQLite writes the index anew.
pub(in crate::store) fn write_effects(conn: &mut Conn, space: MemRamId, effects: &Effects) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    for (id, after) in &effects.blocks {
        if after.is_free == after.was_free {
            Statement::<FillBlock, 2>::run(conn, [after.mem.into(), id.0.into()])?;
        } else {
            Statement::<SetBlock, 3>::run(conn, [after.mem.into(), after.is_free.into(), id.0.into()])?;
        }
    }
    for (id, by) in &effects.pools {
        if by.reserved == 0 {
            Statement::<FillPool, 2>::run(conn, [by.mem.into(), id.0.into()])?;
        } else {
            Statement::<AddToPool, 3>::run(conn, [by.mem.into(), by.reserved.into(), id.0.into()])?;
        }
    }
    for (id, by) in &effects.arenas {
        if by.reserved == 0 {
            Statement::<FillArena, 2>::run(conn, [by.mem.into(), id.0.into()])?;
        } else {
            Statement::<AddToArena, 3>::run(conn, [by.mem.into(), by.reserved.into(), id.0.into()])?;
        }
    }
    for (block_size, by) in &effects.classes {
        write_class(conn, space, *block_size, *by)?;
    }
    for (kind, by) in &effects.kinds {
        Statement::<AddToKind, 4>::run(
            conn,
            [by.objects.into(), by.mem.into(), space.0.into(), kind.as_str().into()],
        )?;
    }
    write_space(conn, space, effects.space)
}

fn write_class(conn: &mut SqliteConnection, space: MemRamId, block_size: i64, by: ClassDelta) -> QueryResult<()> {
    let ClassDelta { mem, entries, .. } = by;
    let filled = ClassDelta {
        mem,
        entries,
        ..ClassDelta::default()
    };
    if by == filled {
        let values = [mem, entries, space.0, block_size];
        return Statement::<FillClass, 4>::run(conn, values.map(Value::from)).map(drop);
    }
    let values = [
        mem,
        by.reserved,
        by.pooled,
        by.pools,
        by.blocks,
        by.full_blocks,
        by.empty_blocks,
        entries,
        space.0,
        block_size,
    ];
    Statement::<AddToClass, 10>::run(conn, values.map(Value::from)).map(drop)
}

fn write_space(conn: &mut SqliteConnection, space: MemRamId, by: SpaceDelta) -> QueryResult<()> {
    if by == SpaceDelta::default() {
        return Ok(());
    }
    let SpaceDelta {
        peak,
        mem,
        allocations,
        frees,
        ..
    } = by;
    let filled = SpaceDelta {
        peak,
        mem,
        allocations,
        frees,
        ..SpaceDelta::default()
    };
    if by == filled {
        let values = [peak, mem, allocations, frees, space.0];
        return Statement::<FillSpace, 5>::run(conn, values.map(Value::from)).map(drop);
    }
    let values = [
        peak,
        by.max_mem,
        mem,
        by.reserved,
        by.arenas,
        allocations,
        frees,
        by.dedup_hits,
        by.dedup_saved,
        space.0,
    ];
    Statement::<AddToSpace, 10>::run(conn, values.map(Value::from)).map(drop)
}

/// Keeps the highest ids ever given out, so that they never come back.
pub(in crate::store) fn raise_sequences(conn: &mut Conn, last_ids: &[(&'static str, i64)]) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    for &(table, last_id) in last_ids {
        Statement::<RaiseSequence, 3>::run(conn, [last_id.into(), table.into(), last_id.into()])?;
    }
    Ok(())
}
