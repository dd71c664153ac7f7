//! Writing what a unit of work has gathered, table by table.
#![allow(clippy::disallowed_methods, reason = "one of the two files that write rows")]

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::conn::Conn;
use super::exec::{Sql, Statement, Value};
use super::insert::{Into, insert};
use super::schema::{arenas, memram, pools};
use super::unit::Unit;
use crate::models::{MemRamId, NewBlock, NewEntry, NewStoredObject};
use crate::triggers::{Draft, Effects};

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
    for block in &mut unit.blocks {
        if let Some(after) = unit.effects.blocks.remove(&block.id) {
            block.mem = after.mem;
            block.is_free = after.is_free;
        }
    }
    let blocks: Vec<_> = unit.blocks.iter().map(block_row).collect();
    insert::<IntoBlocks, 8>(conn, &blocks)?;
    unit.blocks.clear();
    let entries: Vec<_> = unit.entries.iter().map(entry_row).collect();
    insert::<IntoLedger, 8>(conn, &entries)?;
    unit.entries.clear();
    unit.bytes = 0;
    Ok(())
}

/// Writes one ledger entry, its bytes straight from where they are.
pub(super) fn insert_entry(conn: &mut SqliteConnection, entry: &NewEntry<'_>) -> QueryResult<()> {
    insert::<IntoLedger, 8>(conn, &[entry_row(entry)])
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

fn entry_row<'a>(entry: &'a NewEntry<'_>) -> [Value<'a>; 8] {
    [
        entry.id.0.into(),
        entry.stored_object_id.0.into(),
        entry.seq.into(),
        entry.arena_id.0.into(),
        entry.pool_id.0.into(),
        entry.block_id.0.into(),
        entry.allocated_mem.into(),
        (&*entry.data).into(),
    ]
}

/// Writes an object, unless its id is taken: returns whether it was written.
pub(super) fn insert_object(conn: &mut Conn, object: &NewStoredObject<'_>) -> QueryResult<bool> {
    let Conn::Sqlite(conn) = conn;
    let row = [
        object.id.0.into(),
        object.memram_id.0.into(),
        object.object_id.into(),
        object.kind.into(),
        object.type_name.into(),
        object.size.into(),
        object.held.into(),
        object.created_at.into(),
    ];
    Ok(Statement::<InsertObject, 8>::run(conn, row)? == 1)
}

macro_rules! into {
    ($($name:ident = $text:expr;)*) => {
        $(struct $name;
        impl Into for $name {
            const TEXT: &'static str = $text;
        })*
    };
}

into! {
    IntoBlocks = "INSERT INTO blocks (id, memram_id, arena_id, pool_id, block_size, max_mem, mem, is_free)";
    IntoLedger = "INSERT INTO ledger (id, stored_object_id, seq, arena_id, pool_id, block_id, allocated_mem, data)";
    IntoEvents = "INSERT INTO events (id, memram_id, at, kind, actor, reason, object, name, bytes, mem, payload, \
        room_in_blocks, uncarved_in_pools, uncarved_in_arenas, unreserved, capacity, changes)";
    IntoPlainEvents = "INSERT INTO events (id, memram_id, at, kind, actor, reason, object, bytes, mem, payload, \
        room_in_blocks, changes)";
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
    InsertObject = "INSERT INTO stored_objects (id, memram_id, object_id, kind, type_name, size, held, created_at) \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (memram_id, object_id) DO NOTHING";
    SetBlock = "UPDATE blocks SET mem = ?, is_free = ? WHERE id = ?";
    FillBlock = "UPDATE blocks SET mem = ? WHERE id = ?";
    FillPool = "UPDATE pools SET mem = mem + ? WHERE id = ?";
    FillArena = "UPDATE arenas SET mem = mem + ? WHERE id = ?";
    AddToPool = "UPDATE pools SET mem = mem + ?, reserved = reserved + ? WHERE id = ?";
    AddToArena = "UPDATE arenas SET mem = mem + ?, reserved = reserved + ? WHERE id = ?";
    AddToClass = "UPDATE size_classes SET mem = mem + ?, reserved = reserved + ?, pooled = pooled + ?, \
        pools = pools + ?, blocks = blocks + ?, full_blocks = full_blocks + ?, empty_blocks = empty_blocks + ?, \
        entries = entries + ? WHERE memram_id = ? AND block_size = ?";
    AddToKind = "UPDATE kinds SET objects = objects + ?, mem = mem + ? WHERE memram_id = ? AND kind = ?";
    AddToSpace = "UPDATE memram SET peak_mem = max(peak_mem, mem + ?), max_mem = max_mem + ?, mem = mem + ?, \
        reserved = reserved + ?, arenas = arenas + ?, allocations = allocations + ?, frees = frees + ?, \
        dedup_hits = dedup_hits + ?, dedup_saved = dedup_saved + ? WHERE id = ?";
    OpenBooks = "INSERT INTO events (id, memram_id, at, kind, bytes, mem, payload, room_in_blocks, \
            uncarved_in_pools, uncarved_in_arenas, unreserved, capacity) \
        SELECT ?, m.id, ?, 'opening', m.mem, m.mem, m.mem, coalesce(sum(c.reserved), 0) - m.mem, \
            coalesce(sum(c.pooled - c.reserved), 0), m.reserved - coalesce(sum(c.pooled), 0), \
            m.max_mem - m.reserved, m.max_mem \
        FROM memram m LEFT JOIN size_classes c ON c.memram_id = m.id WHERE m.id = ? GROUP BY m.id";
    SumEvents = "UPDATE events SET kind = 'opening', actor = NULL, reason = NULL, object = NULL, name = NULL, \
            bytes = events.mem, changes = NULL, payload = s.payload, room_in_blocks = s.room_in_blocks, \
            uncarved_in_pools = s.uncarved_in_pools, uncarved_in_arenas = s.uncarved_in_arenas, \
            unreserved = s.unreserved, capacity = s.capacity \
        FROM (SELECT e.memram_id, max(e.id) AS id, sum(e.payload) AS payload, \
                sum(e.room_in_blocks) AS room_in_blocks, sum(e.uncarved_in_pools) AS uncarved_in_pools, \
                sum(e.uncarved_in_arenas) AS uncarved_in_arenas, sum(e.unreserved) AS unreserved, \
                sum(e.capacity) AS capacity \
            FROM events e WHERE e.memram_id = ? AND e.id <= ? AND e.id >= \
                (SELECT max(o.id) FROM events o WHERE o.memram_id = e.memram_id AND o.kind = 'opening' AND o.id <= ?)) s \
        WHERE events.id = s.id";
    DropEvents = "DELETE FROM events WHERE memram_id = ? AND id < ?";
    RaiseSequence = "UPDATE sequences SET last_id = ? WHERE name = ? AND last_id < ?";
}

/// Writes the effects: one UPDATE per touched row. A column that an index depends on is
/// only named where it changes: SQLite writes the index anew for each that is named.
pub(super) fn write_effects(conn: &mut Conn, space: MemRamId, effects: &Effects) -> QueryResult<()> {
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
            *block_size,
        ];
        Statement::<AddToClass, 10>::run(conn, values.map(Value::from))?;
    }
    for (kind, by) in &effects.kinds {
        Statement::<AddToKind, 4>::run(
            conn,
            [by.objects.into(), by.mem.into(), space.0.into(), kind.as_str().into()],
        )?;
    }
    let by = effects.space;
    if by != crate::triggers::SpaceDelta::default() {
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
        Statement::<AddToSpace, 10>::run(conn, values.map(Value::from))?;
    }
    Ok(())
}

/// Appends events. `mem` is what the space held before the effects that come with them.
pub(super) fn insert_events(
    conn: &mut Conn,
    space: MemRamId,
    first: i64,
    mem: i64,
    drafts: &[Draft],
) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    let changes: Vec<_> = drafts.iter().map(|draft| draft.changes.to_json()).collect();
    let rows = (first..)
        .zip(drafts)
        .zip(&changes)
        .map(|((id, draft), changes)| EventRow {
            head: [id.into(), space.0.into(), draft.signature.at.into(), draft.kind.into()],
            draft,
            mem: mem + draft.mem,
            changes: changes.as_deref().into(),
        });
    // Most events carve nothing: their rows are shorter. The order of the rows does not
    // matter, their keys do.
    let (plain, others): (Vec<_>, Vec<_>) = rows.partition(|row| row.draft.is_plain());
    let plain: Vec<_> = plain.into_iter().map(EventRow::plain).collect();
    insert::<IntoPlainEvents, 12>(conn, &plain)?;
    let others: Vec<_> = others.into_iter().map(EventRow::whole).collect();
    insert::<IntoEvents, 17>(conn, &others)
}

struct EventRow<'a> {
    head: [Value<'a>; 4],
    draft: &'a Draft,
    mem: i64,
    changes: Value<'a>,
}

impl<'a> EventRow<'a> {
    fn plain(self) -> [Value<'a>; 12] {
        let Self {
            head,
            draft,
            mem,
            changes,
        } = self;
        let [id, space, at, kind] = head;
        let [actor, reason, object] = who_and_what(draft);
        let [payload, room] = [draft.accounts.payload.into(), draft.accounts.room_in_blocks.into()];
        [
            id,
            space,
            at,
            kind,
            actor,
            reason,
            object,
            draft.bytes.into(),
            mem.into(),
            payload,
            room,
            changes,
        ]
    }

    fn whole(self) -> [Value<'a>; 17] {
        let Self {
            head,
            draft,
            mem,
            changes,
        } = self;
        let [id, space, at, kind] = head;
        let [actor, reason, object] = who_and_what(draft);
        let accounts = &draft.accounts;
        [
            id,
            space,
            at,
            kind,
            actor,
            reason,
            object,
            draft.name.as_deref().into(),
            draft.bytes.into(),
            mem.into(),
            accounts.payload.into(),
            accounts.room_in_blocks.into(),
            accounts.uncarved_in_pools.into(),
            accounts.uncarved_in_arenas.into(),
            accounts.unreserved.into(),
            accounts.capacity.into(),
            changes,
        ]
    }
}

fn who_and_what(draft: &Draft) -> [Value<'_>; 3] {
    let signature = &draft.signature;
    let object = draft.object.as_ref().map(<[u8; 32]>::as_slice);
    [
        signature.actor.as_deref().into(),
        signature.reason.as_deref().into(),
        object.into(),
    ]
}

/// Opens the books: an event that states the whole balance, from which on they count.
pub(super) fn open_books(conn: &mut Conn, space: MemRamId, id: i64, at: i64) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    Statement::<OpenBooks, 3>::run(conn, [id.into(), at.into(), space.0.into()]).map(drop)
}

/// Replaces all events up to `last` by one that opens the books with their sums.
pub(super) fn trim_events(conn: &mut Conn, space: MemRamId, last: i64) -> QueryResult<usize> {
    let Conn::Sqlite(conn) = conn;
    let [space, last] = [space.0, last];
    Statement::<SumEvents, 3>::run(conn, [space.into(), last.into(), last.into()])?;
    Statement::<DropEvents, 2>::run(conn, [space.into(), last.into()])
}

/// Sets whether and how long the events of a space are kept.
pub(super) fn set_history(conn: &mut Conn, space: MemRamId, mode: &str, keep: Option<i64>) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    let row = diesel::update(memram::table.find(space));
    row.set((memram::history.eq(mode), memram::history_keep.eq(keep)))
        .execute(conn)
        .map(drop)
}

/// Keeps the highest ids ever given out, so that they never come back.
pub(super) fn raise_sequences(conn: &mut Conn, last_ids: &[(&'static str, i64)]) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    for &(table, last_id) in last_ids {
        Statement::<RaiseSequence, 3>::run(conn, [last_id.into(), table.into(), last_id.into()])?;
    }
    Ok(())
}
