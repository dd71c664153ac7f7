//! The parts for new rows, and for those that change directly.

use super::part::{Part, Sql};
use crate::books::batch::Batch;
use crate::books::rows::{NameChange, Rows};
use crate::models::{QuotaLimits, Timestamp, signed};

/// With `moved`, the old rows of names that move are removed already.
pub(super) fn parts<'b>(batch: &'b Batch<'_>, moved: bool) -> impl Iterator<Item = Part<'b>> {
    let rows = batch.rows();
    [
        reservations(rows),
        Part::new(&ARENAS, &rows.arenas, |rows| {
            vec![
                rows.int(|arena| arena.id.0),
                rows.int(|arena| signed(arena.max_mem)),
                rows.int(|arena| signed(arena.mem)),
                rows.int(|arena| signed(arena.reserved)),
            ]
        }),
        Part::new(&POOLS, &rows.pools, |rows| {
            vec![
                rows.int(|pool| pool.id.0),
                rows.int(|pool| pool.arena_id.0),
                rows.int(|pool| signed(pool.block_size)),
                rows.int(|pool| signed(pool.max_mem)),
                rows.int(|pool| signed(pool.mem)),
                rows.int(|pool| signed(pool.reserved)),
            ]
        }),
        Part::new(&BLOCKS, &rows.blocks, |rows| {
            vec![
                rows.int(|block| block.id.0),
                rows.int(|block| block.arena_id.0),
                rows.int(|block| block.pool_id.0),
                rows.int(|block| signed(block.block_size)),
                rows.int(|block| signed(block.max_mem)),
                rows.int(|block| signed(block.mem)),
                rows.bool(|block| block.is_free),
            ]
        }),
        Part::new(&OBJECTS, rows.objects.rows(), |rows| {
            vec![
                rows.int(|object| object.id.0),
                rows.id(|object| Some(&object.object_id)),
                rows.text(|object| object.kind.as_str()),
                rows.text_if_any(|object| object.type_name.as_deref()),
                rows.int(|object| signed(object.size)),
                rows.bool(|object| object.held),
                rows.int(|object| object.created_at.as_micros()),
                rows.int_if_any(|object| object.held_until.map(Timestamp::as_micros)),
                rows.int_if_any(|object| object.expires_at.map(Timestamp::as_micros)),
                rows.bool(|object| object.pinned),
                rows.int_if_any(|object| object.held_refresh.map(signed)),
            ]
        }),
        entries(rows),
        Part::new(&PIECES, &rows.pieces, |rows| {
            vec![rows.int(|(id, _)| id.0), rows.blob(|(_, data)| Some(data))]
        }),
        Part::new(
            &MOVED,
            rows.moved.iter().filter(|(_, moved)| moved.joined.is_none()),
            |rows| {
                vec![
                    rows.int(|(id, _)| id.0),
                    rows.int(|(_, moved)| moved.arena_id.0),
                    rows.int(|(_, moved)| moved.pool_id.0),
                    rows.int(|(_, moved)| moved.block_id.0),
                ]
            },
        ),
        Part::new(
            &JOINED,
            rows.moved.iter().filter(|(_, moved)| moved.joined.is_some()),
            |rows| {
                vec![
                    rows.int(|(id, _)| id.0),
                    rows.int(|(_, moved)| moved.arena_id.0),
                    rows.int(|(_, moved)| moved.pool_id.0),
                    rows.int(|(_, moved)| moved.block_id.0),
                    rows.int(|(_, moved)| moved.joined.as_ref().map_or(0, |data| data.len() as i64)),
                    rows.blob(|(_, moved)| moved.joined.as_deref()),
                ]
            },
        ),
        Part::new(&HOLDS, &rows.holds, |rows| {
            vec![
                rows.int(|(id, _)| id.0),
                rows.bool(|(_, lifetime)| lifetime.held),
                rows.int_if_any(|(_, lifetime)| lifetime.held_until.map(Timestamp::as_micros)),
                rows.int_if_any(|(_, lifetime)| lifetime.expires_at.map(Timestamp::as_micros)),
                rows.bool(|(_, lifetime)| lifetime.pinned),
                rows.int_if_any(|(_, lifetime)| lifetime.held_refresh.map(signed)),
            ]
        }),
        names(&MOVED_NAMES, rows, |change| change.was_bound && !moved),
        names(&NAMES, rows, |change| !change.was_bound || moved),
        tags(rows),
        quotas(rows),
        ranks(rows),
    ]
    .into_iter()
    .flatten()
}

fn entries<'b>(rows: &'b Rows<'_>) -> Option<Part<'b>> {
    Part::new(&ENTRIES, &rows.entries, |rows| {
        vec![
            rows.int(|entry| entry.stored_object_id.0),
            rows.int(|entry| entry.seq),
            rows.int(|entry| entry.arena_id.0),
            rows.int(|entry| entry.pool_id.0),
            rows.int(|entry| entry.block_id.0),
            rows.int(|entry| entry.allocated_mem),
            rows.int(|entry| entry.start),
            rows.bool(|entry| entry.is_last),
            rows.blob(|entry| Some(&entry.data)),
        ]
    })
}

/// The names that are bound now, of those that `are`.
fn names<'b>(text: &'static Sql, rows: &'b Rows<'_>, are: impl Fn(&NameChange) -> bool) -> Option<Part<'b>> {
    let changes = rows.names.iter().filter(|(_, change)| are(change));
    let bound = changes.filter_map(|(name, change)| Some((name.as_str(), change.now?)));
    Part::new(text, bound, |rows| {
        vec![
            rows.text(|(name, _)| name),
            rows.int(|(_, binding)| binding.object.0),
            rows.int(|(_, binding)| binding.at.as_micros()),
            rows.int_if_any(|(_, binding)| binding.expires_at.map(Timestamp::as_micros)),
            rows.int_if_any(|(_, binding)| binding.refresh.map(signed)),
        ]
    })
}

fn tags<'b>(rows: &'b Rows<'_>) -> Option<Part<'b>> {
    let tags = rows
        .tags
        .iter()
        .filter_map(|(key, value)| Some((key, value.as_deref()?)));
    Part::new(&TAGS, tags, |rows| {
        vec![
            rows.int(|(key, _)| key.object.0),
            rows.text(|(key, _)| &key.name),
            rows.text(|(key, _)| &key.key),
            rows.text(|(_, value)| value),
        ]
    })
}

fn quotas<'b>(rows: &'b Rows<'_>) -> Option<Part<'b>> {
    let quotas = rows.quotas.values().flatten();
    Part::new(&QUOTAS, quotas, |rows| {
        let limit = |of: fn(&QuotaLimits) -> Option<u64>| rows.int_if_any(|quota| of(&quota.limits).map(signed));
        vec![
            rows.text(|quota| &quota.key),
            rows.text(|quota| &quota.value),
            limit(|limits| limits.hard_bytes),
            limit(|limits| limits.soft_bytes),
            limit(|limits| limits.hard_objects),
            limit(|limits| limits.soft_objects),
            rows.int(|quota| signed(quota.used_bytes)),
            rows.int(|quota| signed(quota.used_objects)),
        ]
    })
}

fn ranks<'b>(rows: &'b Rows<'_>) -> Option<Part<'b>> {
    let ranks = rows
        .ranks
        .iter()
        .filter_map(|(object, rank)| Some((object, rank.as_ref()?)));
    Part::new(&RANKS, ranks, |rows| {
        vec![
            rows.int(|(object, _)| object.0),
            rows.text(|(_, rank)| rank.queue.as_str()),
            rows.int(|(_, rank)| rank.position),
            rows.int(|(_, rank)| i64::from(rank.marks)),
            rows.int(|(_, rank)| rank.size),
            rows.id(|(_, rank)| rank.gone.as_ref()),
        ]
    })
}

fn reservations<'b>(rows: &'b Rows<'_>) -> Option<Part<'b>> {
    Part::new(&RESERVATIONS, rows.reservations.values().flatten(), |rows| {
        vec![
            rows.int(|row| row.id.0),
            rows.text_if_any(|row| row.key.as_deref()),
            rows.text(|row| row.state.as_str()),
            rows.int(|row| row.bytes),
            rows.int(|row| row.written),
            rows.id(|row| row.object_id.as_ref()),
            rows.int_if_any(|row| row.stored_object_id.map(|id| id.0)),
            rows.int(|row| row.entry_ids),
            rows.int(|row| row.first_arena_id.0),
            rows.int(|row| row.first_pool_id.0),
            rows.int(|row| row.first_block_id.0),
            rows.int(|row| row.created_at.as_micros()),
            rows.int(|row| row.expires_at.as_micros()),
            rows.int_if_any(|row| row.resolved_at.map(Timestamp::as_micros)),
        ]
    })
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
