//! Writes a batch: the only code that writes rows.
//!
//! First come removals, then new rows, parents before children, then the effects, and last the
//! events.

mod events;
mod insert;
mod pieces;
mod quotas;
mod recency;
mod space;
mod tags;

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use self::insert::{Target, delete, insert, target};
use super::exec::Run;
use crate::books::batch::Batch;
use crate::books::effects::{ClassDelta, Effects, SpaceDelta};
use crate::books::rows::{NameChange, Rows};
use crate::models::{MemRamId, ReservationId, ReservationRow, Sequence};
use crate::store::conn::Conn;
use crate::store::repair;
use crate::store::statement::{Statement, Value, sql};
use crate::store::values;

/// Writes a batch of one space, in the open transaction.
pub(in crate::store) fn write(conn: &mut Conn, space: MemRamId, batch: &Batch<'_>) -> QueryResult<()> {
    if let Some(fix) = batch.fix() {
        repair::execute(conn, fix)?;
    }
    let conn = conn.sqlite()?;
    write_rows(conn, space, batch.rows())?;
    write_effects(conn, space, batch.effects())?;
    events::append(conn, space, batch.events())?;
    events::change(conn, space, batch.history())?;
    if let Some(max_file) = batch.ceiling() {
        Statement::<SetCeiling, 1>::run(conn, [max_file.into()])?;
    }
    raise_sequences(conn, space, batch.last_ids())
}

fn write_rows(conn: &mut SqliteConnection, space: MemRamId, rows: &Rows<'_>) -> QueryResult<()> {
    if let Some(space) = &rows.space {
        space::make(conn, space)?;
    }
    write_reservations(conn, &rows.reservations)?;
    for &(object, seq, count) in &rows.pieces_gone {
        pieces::remove(conn, object, seq, count)?;
    }
    pieces::remove_objects(conn, &rows.objects_gone)?;
    delete::<FromBlocks>(conn, rows.blocks_gone.iter().map(|id| id.0))?;
    delete::<FromPools>(conn, rows.pools_gone.iter().map(|id| id.0))?;
    delete::<FromArenas>(conn, rows.arenas_gone.iter().map(|id| id.0))?;
    insert::<IntoArenas, 5>(conn, rows.arenas.iter().map(values::arena))?;
    insert::<IntoPools, 7>(conn, rows.pools.iter().map(values::pool))?;
    insert::<IntoBlocks, 8>(conn, rows.blocks.iter().map(values::block))?;
    insert::<IntoObjects, 13>(conn, rows.objects.rows().iter().map(values::object))?;
    insert::<IntoLedger, 10>(conn, rows.entries.iter().map(values::entry))?;
    for &(id, data) in &rows.pieces {
        Statement::<SetData, 2>::run(conn, [data.into(), id.0.into()])?;
    }
    for (id, moved) in &rows.moved {
        pieces::move_to(conn, *id, moved)?;
    }
    for (object, lifetime) in &rows.holds {
        let [object, held, held_until, expires_at, pinned, refresh, endless] = values::holds(*object, lifetime);
        let values = [held, held_until, expires_at, pinned, refresh, endless, object];
        Statement::<SetHolds, 7>::run(conn, values)?;
    }
    write_names(conn, space, &rows.names)?;
    tags::write(conn, space, &rows.tags)?;
    quotas::set(conn, space, &rows.quotas)?;
    recency::write(conn, space, &rows.ranks)?;
    match &rows.space_change {
        Some(change) => space::change(conn, space, change),
        None => Ok(()),
    }
}

fn write_names(conn: &mut SqliteConnection, space: MemRamId, names: &BTreeMap<String, NameChange>) -> QueryResult<()> {
    for (name, change) in names.iter().filter(|(_, change)| change.was_bound) {
        if let Some(now) = change.now {
            let [space, name, object, at, expires_at, refresh] = values::name(space, name, now);
            Statement::<MoveName, 6>::run(conn, [object, at, expires_at, refresh, space, name])?;
        } else {
            Statement::<RemoveName, 2>::run(conn, [space.0.into(), name.as_str().into()])?;
        }
    }
    let bound = names.iter().filter(|(_, change)| !change.was_bound);
    let bound = bound.filter_map(|(name, change)| Some(values::name(space, name, change.now?)));
    insert::<IntoNames, 6>(conn, bound)
}

/// They come first, because an object may be removed before its pieces if a reservation has them.
fn write_reservations(
    conn: &mut SqliteConnection,
    reservations: &BTreeMap<ReservationId, Option<ReservationRow>>,
) -> QueryResult<()> {
    for (id, row) in reservations {
        match row {
            None => Statement::<RemoveReservation, 1>::run(conn, [id.0.into()])?,
            Some(row) => Statement::<SetReservation, 15>::run(conn, values::reservation(row))?,
        };
    }
    Ok(())
}

target! {
    IntoArenas = "INSERT OR FAIL INTO arenas (memram_id, id, max_mem, mem, reserved)", alike in [0, 2];
    IntoPools = "INSERT OR FAIL INTO pools (memram_id, id, arena_id, block_size, max_mem, mem, reserved)",
        alike in [0, 3, 4];
    IntoBlocks = "INSERT OR FAIL INTO blocks (memram_id, id, arena_id, pool_id, block_size, max_mem, mem, is_free)",
        alike in [0, 4, 5];
    IntoObjects = "INSERT OR FAIL INTO stored_objects (memram_id, id, object_id, kind, type_name, size, held, created_at, held_until, \
        expires_at, pinned, held_refresh, endless)",
        alike in [0, 3, 4, 6, 7, 8, 9, 10, 11, 12];
    IntoLedger = "INSERT OR FAIL INTO ledger (id, stored_object_id, seq, arena_id, pool_id, block_id, allocated_mem, start, is_last, data)",
        alike in [2, 7];
    IntoNames = "INSERT OR FAIL INTO names (memram_id, name, stored_object_id, bound_at, expires_at, refresh)",
        alike in [0, 3, 4, 5];
}

sql! {
    SetCeiling = "UPDATE heap SET max_file = ?";
    FromBlocks = "DELETE FROM blocks WHERE id IN";
    FromPools = "DELETE FROM pools WHERE id IN";
    FromArenas = "DELETE FROM arenas WHERE id IN";
    RemoveName = "DELETE FROM names WHERE memram_id = ? AND name = ?";
    MoveName = "UPDATE OR FAIL names SET stored_object_id = ?, bound_at = ?, expires_at = ?, refresh = ? WHERE memram_id = ? AND name = ?";
    SetHolds = "UPDATE OR FAIL stored_objects SET held = ?, held_until = ?, expires_at = ?, pinned = ?, held_refresh = ?, endless = ? \
        WHERE id = ?";
    SetData = "UPDATE OR FAIL ledger SET data = ? WHERE id = ?";
    RemoveReservation = "DELETE FROM reservations WHERE id = ?";
    SetReservation = "INSERT INTO reservations (memram_id, id, key, state, bytes, written, object_id, stored_object_id, \
            entry_ids, first_arena_id, first_pool_id, first_block_id, created_at, expires_at, resolved_at) \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
        ON CONFLICT (id) DO UPDATE SET state = excluded.state, bytes = excluded.bytes, written = excluded.written, \
            object_id = excluded.object_id, stored_object_id = excluded.stored_object_id, \
            entry_ids = excluded.entry_ids, first_arena_id = excluded.first_arena_id, \
            first_pool_id = excluded.first_pool_id, first_block_id = excluded.first_block_id, \
            expires_at = excluded.expires_at, resolved_at = excluded.resolved_at";
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
        frees = frees + ?, history_bytes = max(history_bytes + ?, 0) WHERE id = ?";
    AddToSpace = "UPDATE OR FAIL memram SET peak_mem = max(peak_mem, mem + ?), max_mem = max_mem + ?, mem = mem + ?, \
        promised = promised + ?, reserved = reserved + ?, arenas = arenas + ?, allocations = allocations + ?, frees = frees + ?, \
        dedup_hits = dedup_hits + ?, dedup_saved = dedup_saved + ?, \
        history_bytes = max(history_bytes + ?, 0), tags = max(tags + ?, 0), quotas = max(quotas + ?, 0), evictions = evictions + ?, \
        evicted_mem = evicted_mem + ?, evict_hand = evict_hand + ?, evict_main = max(evict_main + ?, 0), \
        evict_gone = max(evict_gone + ?, 0) WHERE id = ?";
    RaiseSequence = "UPDATE OR FAIL sequences SET last_id = ? WHERE memram_id = ? AND name = ? AND last_id < ?";
}

/// Writes the effects with one UPDATE per row. Columns that seldom change are set only when they do:
/// each costs a little, and an indexed one as much as the row, because SQLite rewrites the index.
fn write_effects(conn: &mut SqliteConnection, space: MemRamId, effects: &Effects) -> QueryResult<()> {
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
    quotas::count(conn, space, &effects.quotas)?;
    write_space(conn, space, effects.space)
}

fn write_class(conn: &mut SqliteConnection, space: MemRamId, block_size: i64, by: ClassDelta) -> QueryResult<()> {
    let filled = ClassDelta {
        mem: by.mem,
        entries: by.entries,
        ..ClassDelta::default()
    };
    if by == filled {
        let values = [by.mem, by.entries, space.0, block_size];
        return Statement::<FillClass, 4>::run(conn, values.map(Value::from)).map(drop);
    }
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
    Statement::<AddToClass, 10>::run(conn, values.map(Value::from)).map(drop)
}

fn write_space(conn: &mut SqliteConnection, space: MemRamId, by: SpaceDelta) -> QueryResult<()> {
    if by == SpaceDelta::default() {
        return Ok(());
    }
    let filled = SpaceDelta {
        peak: by.peak,
        mem: by.mem,
        allocations: by.allocations,
        frees: by.frees,
        history_bytes: by.history_bytes,
        ..SpaceDelta::default()
    };
    if by == filled {
        let values = [by.peak, by.mem, by.allocations, by.frees, by.history_bytes, space.0];
        return Statement::<FillSpace, 6>::run(conn, values.map(Value::from)).map(drop);
    }
    let values = [
        by.peak,
        by.max_mem,
        by.mem,
        by.promised,
        by.reserved,
        by.arenas,
        by.allocations,
        by.frees,
        by.dedup_hits,
        by.dedup_saved,
        by.history_bytes,
        by.tags,
        by.quotas,
        by.evictions,
        by.evicted_mem,
        by.hand,
        by.main,
        by.gone,
        space.0,
    ];
    Statement::<AddToSpace, 19>::run(conn, values.map(Value::from)).map(drop)
}

/// Records the highest ids ever assigned, so that they are never reused.
fn raise_sequences(conn: &mut SqliteConnection, space: MemRamId, last_ids: &[(Sequence, i64)]) -> QueryResult<()> {
    for &(sequence, last_id) in last_ids {
        let values = [last_id.into(), space.0.into(), sequence.name().into(), last_id.into()];
        Statement::<RaiseSequence, 4>::run(conn, values)?;
    }
    Ok(())
}
