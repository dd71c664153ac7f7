//! Creates, renames and removes spaces.

use super::part::{Part, Sql};
use super::statement::{Head, Write};
use crate::books::evicting::EvictionSetting;
use crate::books::rows::{NewSpace, SpaceChange};
use crate::models::Policy;
use crate::store::values;

/// What is left of the space in a table.
macro_rules! left_in {
    ($table:literal) => {
        &Sql(
            concat!($table, "_gone AS (DELETE FROM ", $table, " t USING space, "),
            "(at) WHERE t.memram_id = space.id)",
        )
    };
}

/// The statement that inserts the row of a space, and its rows in the tables of totals.
pub(super) fn make(space: &NewSpace) -> Write<'_> {
    let row = Part::new(&SPACE, [values::space(space)]);
    let parts = [
        Part::without_first(&CLASSES, values::classes(space)),
        Part::without_first(&KINDS, values::kinds(space.id)),
        Part::without_first(&SEQUENCES, values::sequences(space.id)),
    ];
    Write {
        space: [space.id.0, 0],
        head: row.map_or(Head::Unchanged, Head::New),
        parts: parts.into_iter().flatten().collect(),
        entries_gone: None,
    }
}

/// The parts that change the row of the space. When it is removed, only rows that are removed with it still refer
/// to it.
pub(super) fn changes(change: &SpaceChange) -> Vec<Part<'_>> {
    match change {
        SpaceChange::Renamed { name, .. } => Part::new(&RENAME, [[name.as_str().into()]]).into_iter().collect(),
        SpaceChange::Evicts(eviction) => {
            let text = match eviction.policy {
                _ if eviction.is_same_policy => &EVICT,
                Some(policy) if policy.is_by_use() => &EVICT_BY_USE,
                _ => &EVICT_OTHERWISE,
            };
            let row = [eviction.policy.map(Policy::as_str).into(), eviction.min_age.into()];
            Part::new(text, [row]).into_iter().chain(places(eviction)).collect()
        }
        SpaceChange::Dropping(row) => {
            let at = |text| Part::new(text, [[row.dropped_at.as_micros().into()]]);
            let parts = [
                Part::new(&DROPPED, [values::dropped(row)]),
                at(left_in!("quotas")),
                at(&DROP),
            ];
            parts.into_iter().flatten().collect()
        }
        SpaceChange::Gone(at) => [
            &EVENTS_GONE,
            left_in!("recency"),
            left_in!("sequences"),
            left_in!("other_kinds"),
            left_in!("size_classes"),
            &SPACE_GONE,
            &GONE,
        ]
        .into_iter()
        .filter_map(|text| Part::new(text, [[at.as_micros().into()]]))
        .collect(),
    }
}

/// Gives each object of the space its place in the order of eviction, or takes all places away, as a new policy
/// needs it.
fn places<'a>(eviction: &EvictionSetting) -> Vec<Part<'a>> {
    let texts: &[&'static Sql] = match eviction.policy {
        _ if eviction.is_same_policy => &[],
        Some(policy) if policy.is_by_use() => &[&FORGET, &UNMARK, &PLACE],
        _ => &[left_in!("recency")],
    };
    let part = |&text| Part::new(text, [[0_i64.into()]]);
    texts.iter().filter_map(part).collect()
}

const RENAME: Sql = Sql(
    "renamed AS (UPDATE memram t SET name = x.name FROM space, ",
    "(name) WHERE t.id = space.id)",
);
const EVICT: Sql = Sql(
    "evicting AS (UPDATE memram t SET evict = x.policy, evict_min_age = x.min_age FROM space, ",
    "(policy, min_age) WHERE t.id = space.id)",
);
const EVICT_OTHERWISE: Sql = Sql(
    "evicting AS (UPDATE memram t SET evict = x.policy, evict_min_age = x.min_age, evict_hand = 0, evict_main = 0, \
        evict_gone = 0 FROM space, ",
    "(policy, min_age) WHERE t.id = space.id)",
);
const EVICT_BY_USE: Sql = Sql(
    "evicting AS (UPDATE memram t SET evict = x.policy, evict_min_age = x.min_age, evict_hand = 0, evict_gone = 0, \
        evict_main = (SELECT CAST(coalesce(sum(o.size), 0) AS bigint) FROM stored_objects o WHERE o.memram_id = t.id) \
        FROM space, ",
    "(policy, min_age) WHERE t.id = space.id)",
);
const FORGET: Sql = Sql(
    "forgotten AS (DELETE FROM recency t USING space, ",
    "(none) WHERE t.memram_id = space.id AND t.queue = 'gone')",
);
const UNMARK: Sql = Sql(
    "unmarked AS (UPDATE recency t SET queue = 'main', marks = 0 FROM space, ",
    "(none) WHERE t.memram_id = space.id AND t.queue <> 'gone')",
);
const PLACE: Sql = Sql(
    "places AS (INSERT INTO recency (stored_object_id, memram_id, queue, position, marks, size) \
        SELECT o.id, o.memram_id, 'main', o.id & 1099511627775, 0, o.size FROM stored_objects o, space, ",
    "(none) WHERE o.memram_id = space.id AND o.size > 0 \
        AND NOT EXISTS (SELECT FROM recency r WHERE r.stored_object_id = o.id))",
);
const DROPPED: Sql = Sql(
    "dropped AS (INSERT INTO dropped_spaces (id, name, max_mem, mem, objects, names, reservations, history_bytes, \
            created_at, dropped_at, actor, reason) SELECT x.* FROM space, ",
    "(id, name, max_mem, mem, objects, names, reservations, history_bytes, created_at, dropped_at, actor, reason))",
);
const DROP: Sql = Sql(
    "dropping AS (UPDATE memram t SET dropped_at = x.at, quotas = 0 FROM space, ",
    "(at) WHERE t.id = space.id)",
);
/// By their keys, because no index has all events of a space.
const EVENTS_GONE: Sql = Sql(
    "events_gone AS (DELETE FROM events t USING space, ",
    "(at) WHERE t.id > ((space.id - 1) << 40) AND t.id <= (((space.id - 1) << 40) | 1099511627775))",
);
const SPACE_GONE: Sql = Sql(
    "space_gone AS (DELETE FROM memram t USING space, ",
    "(at) WHERE t.id = space.id)",
);
const GONE: Sql = Sql(
    "gone AS (UPDATE dropped_spaces t SET gone_at = x.at FROM space, ",
    "(at) WHERE t.id = space.id)",
);
const SPACE: Sql = Sql(
    "space AS (INSERT INTO memram (id, name, max_mem, arena_size, per_block, created_at, history, history_keep, \
            history_max_bytes, evict, evict_min_age) SELECT x.* FROM ",
    "(id, name, max_mem, arena_size, per_block, created_at, history, history_keep, history_max_bytes, evict, \
        evict_min_age) \
        RETURNING id, version)",
);
const CLASSES: Sql = Sql(
    "classes AS (INSERT INTO size_classes (memram_id, block_size, pool_size) \
        SELECT space.id, x.block_size, x.pool_size FROM space, ",
    "(block_size, pool_size))",
);
const KINDS: Sql = Sql(
    "kinds AS (INSERT INTO other_kinds (memram_id, kind) SELECT space.id, x.kind FROM space, ",
    "(kind))",
);
const SEQUENCES: Sql = Sql(
    "sequences AS (INSERT INTO sequences (memram_id, name, last_id) SELECT space.id, x.name, x.last_id FROM space, ",
    "(name, last_id))",
);
