//! The parts for new rows, and for those that change directly.

use super::part::{Part, Sql};
use crate::books::batch::Batch;
use crate::books::rows::{MovedPiece, NameChange, Rows};
use crate::models::{LedgerId, MemRamId};
use crate::store::statement::Value;
use crate::store::values;

/// With `moved`, the old rows of names that move have already been removed.
pub(super) fn parts<'b>(space: MemRamId, batch: &'b Batch<'_>, moved: bool) -> impl Iterator<Item = Part<'b>> {
    let rows = batch.rows();
    let objects = rows.objects.rows().iter().map(|object| {
        let [row @ .., _endless] = values::object(object);
        row
    });
    let holds = rows.holds.iter().map(|(object, lifetime)| {
        let [row @ .., _endless] = values::holds(*object, lifetime);
        row
    });
    let tags = rows.tags.iter();
    let tags = tags.filter_map(|(key, value)| Some(values::tag(space, key, value.as_deref()?)));
    let quotas = rows.quotas.values().flatten();
    let ranks = rows.ranks.iter();
    let ranks = ranks.filter_map(|(object, rank)| Some(values::rank(space, *object, rank.as_ref()?)));
    let reservations = rows.reservations.values().flatten();
    let [moved_pieces, joined_pieces] = moved_pieces(rows);
    [
        Part::without_first(&RESERVATIONS, reservations.map(values::reservation)),
        Part::without_first(&ARENAS, rows.arenas.iter().map(values::arena)),
        Part::without_first(&POOLS, rows.pools.iter().map(values::pool)),
        Part::without_first(&BLOCKS, rows.blocks.iter().map(values::block)),
        Part::without_first(&OBJECTS, objects),
        Part::without_first(&ENTRIES, rows.entries.iter().map(values::entry)),
        Part::new(
            &PIECES,
            rows.pieces.iter().map(|&(id, data)| [id.0.into(), data.into()]),
        ),
        moved_pieces,
        joined_pieces,
        Part::new(&HOLDS, holds),
        names(&MOVED_NAMES, space, rows, |change| change.was_bound && !moved),
        names(&NAMES, space, rows, |change| !change.was_bound || moved),
        Part::without_first(&TAGS, tags),
        Part::without_first(&QUOTAS, quotas.map(|quota| values::quota(space, quota))),
        Part::without_first(&RANKS, ranks),
    ]
    .into_iter()
    .flatten()
}

/// Pieces that move as they are, and those that other pieces are joined to.
fn moved_pieces<'b>(rows: &'b Rows<'_>) -> [Option<Part<'b>>; 2] {
    let place = |id: &LedgerId, to: &MovedPiece| [id.0, to.arena_id.0, to.pool_id.0, to.block_id.0].map(Value::from);
    let moved = rows.moved.iter().filter(|(_, to)| to.joined.is_none());
    let joined = rows.moved.iter().filter_map(|(id, to)| {
        let (data, [id, arena, pool, block]) = (to.joined.as_deref()?, place(id, to));
        Some([id, arena, pool, block, (data.len() as i64).into(), data.into()])
    });
    [
        Part::new(&MOVED, moved.map(|(id, to)| place(id, to))),
        Part::new(&JOINED, joined),
    ]
}

/// The names that are bound now, among those whose changes meet the condition `are`.
fn names<'b>(
    text: &'static Sql,
    space: MemRamId,
    rows: &'b Rows<'_>,
    are: impl Fn(&NameChange) -> bool,
) -> Option<Part<'b>> {
    let changes = rows.names.iter().filter(|(_, change)| are(change));
    let bound = changes.filter_map(|(name, change)| Some(values::name(space, name, change.now?)));
    Part::without_first(text, bound)
}

const ARENAS: Sql = Sql(
    "new_arenas AS (INSERT INTO arenas (id, memram_id, max_mem, mem, reserved) \
        SELECT x.id, space.id, x.max_mem, x.mem, x.reserved FROM space, ",
    "(id, max_mem, mem, reserved))",
);
const POOLS: Sql = Sql(
    "new_pools AS (INSERT INTO pools (id, memram_id, arena_id, block_size, max_mem, mem, reserved) \
        SELECT x.id, space.id, x.arena_id, x.block_size, x.max_mem, x.mem, x.reserved FROM space, ",
    "(id, arena_id, block_size, max_mem, mem, reserved))",
);
const BLOCKS: Sql = Sql(
    "new_blocks AS (INSERT INTO blocks (id, memram_id, arena_id, pool_id, block_size, max_mem, mem, is_free) \
        SELECT x.id, space.id, x.arena_id, x.pool_id, x.block_size, x.max_mem, x.mem, x.is_free FROM space, ",
    "(id, arena_id, pool_id, block_size, max_mem, mem, is_free))",
);
const OBJECTS: Sql = Sql(
    "new_objects AS (INSERT INTO stored_objects (id, memram_id, object_id, kind, type_name, size, held, created_at, \
            held_until, expires_at, pinned, held_refresh) \
        SELECT x.id, space.id, x.object_id, x.kind, x.type_name, x.size, x.held, x.created_at, x.held_until, \
            x.expires_at, x.pinned, x.held_refresh FROM space, ",
    "(id, object_id, kind, type_name, size, held, created_at, held_until, expires_at, pinned, held_refresh))",
);
const ENTRIES: Sql = Sql(
    "new_entries AS (INSERT INTO ledger (id, stored_object_id, seq, arena_id, pool_id, block_id, allocated_mem, \
            start, is_last, data) \
        SELECT x.object + x.seq, x.object, x.seq, x.arena_id, x.pool_id, x.block_id, x.allocated_mem, \
            x.start, x.is_last, x.data FROM space, ",
    "(object, seq, arena_id, pool_id, block_id, allocated_mem, start, is_last, data))",
);
const PIECES: Sql = Sql(
    "pieces AS (UPDATE ledger t SET data = x.data FROM space, ",
    "(id, data) WHERE t.id = x.id)",
);
const MOVED: Sql = Sql(
    "moved AS (UPDATE ledger t SET arena_id = x.arena_id, pool_id = x.pool_id, block_id = x.block_id FROM space, ",
    "(id, arena_id, pool_id, block_id) WHERE t.id = x.id)",
);
/// The other pieces of these objects are removed.
const JOINED: Sql = Sql(
    "joined AS (UPDATE ledger t SET arena_id = x.arena_id, pool_id = x.pool_id, block_id = x.block_id, \
        allocated_mem = x.allocated_mem, is_last = true, data = x.data FROM space, ",
    "(id, arena_id, pool_id, block_id, allocated_mem, data) WHERE t.id = x.id)",
);
const HOLDS: Sql = Sql(
    "holds AS (UPDATE stored_objects t SET held = x.held, held_until = x.held_until, expires_at = x.expires_at, \
        pinned = x.pinned, held_refresh = x.held_refresh FROM space, ",
    "(id, held, held_until, expires_at, pinned, held_refresh) WHERE t.id = x.id)",
);
const MOVED_NAMES: Sql = Sql(
    "moved_names AS (UPDATE names t SET stored_object_id = x.object, bound_at = x.bound_at, expires_at = x.expires_at, \
        refresh = x.refresh FROM space, ",
    "(name, object, bound_at, expires_at, refresh) WHERE t.memram_id = space.id AND t.name = x.name)",
);
const NAMES: Sql = Sql(
    "new_names AS (INSERT INTO names (memram_id, name, stored_object_id, bound_at, expires_at, refresh) \
        SELECT space.id, x.name, x.object, x.bound_at, x.expires_at, x.refresh FROM space, ",
    "(name, object, bound_at, expires_at, refresh))",
);
const TAGS: Sql = Sql(
    "new_tags AS (INSERT INTO tags (memram_id, stored_object_id, name, key, value) \
        SELECT space.id, x.object, x.name, x.key, x.value FROM space, ",
    "(object, name, key, value) ON CONFLICT (stored_object_id, name, key) DO UPDATE SET value = excluded.value)",
);
const QUOTAS: Sql = Sql(
    "new_quotas AS (INSERT INTO quotas (memram_id, key, value, hard_bytes, soft_bytes, hard_objects, soft_objects, used_bytes, \
            used_objects) SELECT space.id, x.* FROM space, ",
    "(key, value, hard_bytes, soft_bytes, hard_objects, soft_objects, used_bytes, used_objects) \
        ON CONFLICT (memram_id, key, value) DO UPDATE SET hard_bytes = excluded.hard_bytes, \
        soft_bytes = excluded.soft_bytes, hard_objects = excluded.hard_objects, soft_objects = excluded.soft_objects, \
        used_bytes = excluded.used_bytes, used_objects = excluded.used_objects)",
);
const RANKS: Sql = Sql(
    "ranks AS (INSERT INTO recency (stored_object_id, memram_id, queue, position, marks, size, object_id) \
        SELECT x.object, space.id, x.queue, x.position, x.marks, x.size, x.object_id FROM space, ",
    "(object, queue, position, marks, size, object_id) ON CONFLICT (stored_object_id) DO UPDATE \
        SET queue = excluded.queue, position = excluded.position, marks = excluded.marks, object_id = excluded.object_id)",
);
const RESERVATIONS: Sql = Sql(
    "reservations AS (INSERT INTO reservations (id, memram_id, key, state, bytes, written, object_id, \
            stored_object_id, entry_ids, first_arena_id, first_pool_id, first_block_id, created_at, expires_at, \
            resolved_at) \
        SELECT x.id, space.id, x.key, x.state, x.bytes, x.written, x.object_id, x.stored_object_id, x.entry_ids, \
            x.first_arena_id, x.first_pool_id, x.first_block_id, x.created_at, x.expires_at, x.resolved_at FROM space, ",
    "(id, key, state, bytes, written, object_id, stored_object_id, entry_ids, first_arena_id, first_pool_id, \
            first_block_id, created_at, expires_at, resolved_at) \
        ON CONFLICT (id) DO UPDATE SET state = excluded.state, bytes = excluded.bytes, written = excluded.written, \
            object_id = excluded.object_id, stored_object_id = excluded.stored_object_id, \
            entry_ids = excluded.entry_ids, first_arena_id = excluded.first_arena_id, \
            first_pool_id = excluded.first_pool_id, first_block_id = excluded.first_block_id, \
            expires_at = excluded.expires_at, resolved_at = excluded.resolved_at)",
);
