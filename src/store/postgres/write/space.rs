//! A new space.

use super::part::{Part, Sql};
use super::statement::{Head, Write};
use crate::books::rows::NewSpace;
use crate::models::{Sequence, Stripe};
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

const SPACE: Sql = Sql(
    "space AS (INSERT INTO memram (id, name, max_mem, arena_size, per_block, created_at, history, history_keep, \
            history_max_bytes) SELECT x.* FROM ",
    "(id, name, max_mem, arena_size, per_block, created_at, history, history_keep, history_max_bytes) \
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
