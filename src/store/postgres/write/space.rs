//! Creates, renames and removes spaces.

use super::part::{Column, Part, Rows, Sql};
use super::statement::{Head, Write};
use crate::books::evicting::EvictionSetting;
use crate::books::rows::{NewSpace, SpaceChange};
use crate::models::{DroppedSpace, Policy, Sequence, Stripe, Timestamp, signed};
use crate::value::Kind;

/// The statement that inserts its row, and its rows in the tables of totals.
pub(super) fn make(space: &NewSpace) -> Write<'_> {
    let row = Part::new(&SPACE, [space], |rows| {
        vec![
            rows.int(|space| space.id.0),
            rows.text(|space| space.name.as_str()),
            rows.int(|space| space.max_mem),
            rows.int(|space| space.geometry.arena_size() as i64),
            rows.int(|space| space.geometry.per_block() as i64),
            rows.int(|space| space.created_at.as_micros()),
            rows.text(|space| space.history.mode.as_str()),
            rows.int_if_any(|space| space.history.keep),
            rows.int_if_any(|space| space.history.max_bytes),
            rows.text_if_any(|space| space.eviction.policy.map(Policy::as_str)),
            rows.int(|space| space.eviction.min_age),
        ]
    });
    let kinds = Kind::ALL.into_iter().filter(|&kind| kind != Kind::Bytes);
    let before = Stripe::of(space.id).before();
    let parts = [
        Part::new(&CLASSES, space.geometry.classes(), |rows| {
            vec![
                rows.int(|class| class.block_size as i64),
                rows.int(|class| class.pool_size as i64),
            ]
        }),
        Part::new(&KINDS, kinds, |rows| vec![rows.text(Kind::as_str)]),
        Part::new(&SEQUENCES, Sequence::ALL, |rows| {
            vec![rows.text(Sequence::name), rows.int(|_| before)]
        }),
    ];
    Write {
        space: [space.id.0, 0],
        head: row.map_or(Head::Unchanged, Head::New),
        parts: parts.into_iter().flatten().collect(),
        entries_gone: None,
    }
}

/// The parts for what becomes of the row of the space. When it goes, nothing refers to it but the rows that go with
/// it.
pub(super) fn changes(change: &SpaceChange) -> Vec<Part<'_>> {
    match change {
        SpaceChange::Renamed { name, .. } => Part::new(&RENAME, [name], |rows| vec![rows.text(|name| name.as_str())])
            .into_iter()
            .collect(),
        SpaceChange::Evicts(eviction) => {
            let text = match eviction.policy {
                _ if eviction.is_same_policy => &EVICT,
                Some(policy) if policy.is_by_use() => &EVICT_BY_USE,
                _ => &EVICT_OTHERWISE,
            };
            let evict = Part::new(text, [eviction], |rows| {
                vec![
                    rows.text_if_any(|eviction| eviction.policy.map(Policy::as_str)),
                    rows.int(|eviction| eviction.min_age),
                ]
            });
            evict.into_iter().chain(places(eviction)).collect()
        }
        SpaceChange::Dropping(row) => {
            let dropped = Part::new(&DROPPED, [row], dropped_row);
            let at = |text| Part::new(text, [row], |rows| vec![rows.int(|row| row.dropped_at.as_micros())]);
            [dropped, at(&QUOTAS_GONE), at(&DROP)].into_iter().flatten().collect()
        }
        SpaceChange::Gone(at) => [
            &EVENTS_GONE,
            &RECENCY_GONE,
            &SEQUENCES_GONE,
            &KINDS_GONE,
            &CLASSES_GONE,
            &SPACE_GONE,
            &GONE,
        ]
        .into_iter()
        .filter_map(|text| Part::new(text, [*at], |rows| vec![rows.int(Timestamp::as_micros)]))
        .collect(),
    }
}

/// Gives each object of the space its place in the order of eviction, or takes all places away, as a new policy
/// needs it.
fn places<'a>(eviction: &EvictionSetting) -> Vec<Part<'a>> {
    let texts: &[&Sql] = match eviction.policy {
        _ if eviction.is_same_policy => &[],
        Some(policy) if policy.is_by_use() => &[&FORGET, &UNMARK, &PLACE],
        _ => &[&RECENCY_GONE],
    };
    let part = |&text| Part::new(text, [0], |rows| vec![rows.int(|none| none)]);
    texts.iter().filter_map(part).collect()
}

fn dropped_row<'a>(rows: Rows<&'a DroppedSpace>) -> Vec<Column<'a>> {
    vec![
        rows.int(|row| row.id.0),
        rows.text(|row| row.name.as_str()),
        rows.int(|row| signed(row.max_mem)),
        rows.int(|row| signed(row.mem)),
        rows.int(|row| signed(row.objects)),
        rows.int(|row| signed(row.names)),
        rows.int(|row| signed(row.reservations)),
        rows.int(|row| signed(row.history_bytes)),
        rows.int(|row| row.created_at.as_micros()),
        rows.int(|row| row.dropped_at.as_micros()),
        rows.text_if_any(|row| row.actor.as_deref()),
        rows.text_if_any(|row| row.reason.as_deref()),
    ]
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
const QUOTAS_GONE: Sql = Sql(
    "quotas_gone AS (DELETE FROM quotas t USING space, ",
    "(at) WHERE t.memram_id = space.id)",
);
/// By their keys, because no index has all events of a space.
const EVENTS_GONE: Sql = Sql(
    "events_gone AS (DELETE FROM events t USING space, ",
    "(at) WHERE t.id > ((space.id - 1) << 40) AND t.id <= (((space.id - 1) << 40) | 1099511627775))",
);
const RECENCY_GONE: Sql = Sql(
    "recency_gone AS (DELETE FROM recency t USING space, ",
    "(at) WHERE t.memram_id = space.id)",
);
const SEQUENCES_GONE: Sql = Sql(
    "sequences_gone AS (DELETE FROM sequences t USING space, ",
    "(at) WHERE t.memram_id = space.id)",
);
const KINDS_GONE: Sql = Sql(
    "kinds_gone AS (DELETE FROM other_kinds t USING space, ",
    "(at) WHERE t.memram_id = space.id)",
);
const CLASSES_GONE: Sql = Sql(
    "classes_gone AS (DELETE FROM size_classes t USING space, ",
    "(at) WHERE t.memram_id = space.id)",
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
