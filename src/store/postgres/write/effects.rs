//! The parts for what follows from the changes: states of blocks, and totals.
//!
//! Each sets all columns that may change, because a column that keeps its value costs nothing: the
//! new version of a row contains it in any case, and an index only counts if a value differs.

use super::part::{Part, Sql};
use crate::books::batch::Batch;
use crate::books::effects::KindDelta;

pub(super) fn parts<'b>(batch: &'b Batch<'_>) -> impl Iterator<Item = Part<'b>> {
    let effects = batch.effects();
    [
        Part::new(&BLOCKS, &effects.blocks, |rows| {
            vec![
                rows.int(|(id, _)| id.0),
                rows.int(|(_, after)| after.mem),
                rows.bool(|(_, after)| after.is_free),
            ]
        }),
        Part::new(&POOLS, &effects.pools, |rows| {
            vec![
                rows.int(|(id, _)| id.0),
                rows.int(|(_, by)| by.mem),
                rows.int(|(_, by)| by.reserved),
            ]
        }),
        Part::new(&ARENAS, &effects.arenas, |rows| {
            vec![
                rows.int(|(id, _)| id.0),
                rows.int(|(_, by)| by.mem),
                rows.int(|(_, by)| by.reserved),
            ]
        }),
        Part::new(&CLASSES, &effects.classes, |rows| {
            vec![
                rows.int(|(&block_size, _)| block_size),
                rows.int(|(_, by)| by.mem),
                rows.int(|(_, by)| by.reserved),
                rows.int(|(_, by)| by.pooled),
                rows.int(|(_, by)| by.pools),
                rows.int(|(_, by)| by.blocks),
                rows.int(|(_, by)| by.full_blocks),
                rows.int(|(_, by)| by.empty_blocks),
                rows.int(|(_, by)| by.entries),
            ]
        }),
        Part::new(&KINDS, &effects.kinds, |rows| {
            vec![
                rows.text(|(kind, _)| kind.as_str()),
                rows.int(|(_, by)| by.objects),
                rows.int(|(_, by)| by.mem),
            ]
        }),
        Part::new(
            &QUOTAS,
            effects.quotas.iter().filter(|(_, by)| **by != KindDelta::default()),
            |rows| {
                vec![
                    rows.text(|(owner, _)| &owner.key),
                    rows.text(|(owner, _)| &owner.value),
                    rows.int(|(_, by)| by.mem),
                    rows.int(|(_, by)| by.objects),
                ]
            },
        ),
        // So that ids of rows that are removed are never reused.
        Part::new(&SEQUENCES, batch.last_ids(), |rows| {
            vec![
                rows.text(|(sequence, _)| sequence.name()),
                rows.int(|&(_, last_id)| last_id),
            ]
        }),
    ]
    .into_iter()
    .flatten()
}

const BLOCKS: Sql = Sql(
    "blocks AS (UPDATE blocks t SET mem = x.mem, is_free = x.is_free FROM space, ",
    "(id, mem, is_free) WHERE t.id = x.id)",
);
const POOLS: Sql = Sql(
    "pools AS (UPDATE pools t SET mem = t.mem + x.mem, reserved = t.reserved + x.reserved FROM space, ",
    "(id, mem, reserved) WHERE t.id = x.id)",
);
const ARENAS: Sql = Sql(
    "arenas AS (UPDATE arenas t SET mem = t.mem + x.mem, reserved = t.reserved + x.reserved FROM space, ",
    "(id, mem, reserved) WHERE t.id = x.id)",
);
const CLASSES: Sql = Sql(
    "classes AS (UPDATE size_classes t SET mem = t.mem + x.mem, reserved = t.reserved + x.reserved, \
        pooled = t.pooled + x.pooled, pools = t.pools + x.pools, blocks = t.blocks + x.blocks, \
        full_blocks = t.full_blocks + x.full_blocks, empty_blocks = t.empty_blocks + x.empty_blocks, \
        entries = t.entries + x.entries FROM space, ",
    "(block_size, mem, reserved, pooled, pools, blocks, full_blocks, empty_blocks, entries) \
        WHERE t.memram_id = space.id AND t.block_size = x.block_size)",
);
const KINDS: Sql = Sql(
    "kinds AS (UPDATE other_kinds t SET objects = t.objects + x.objects, mem = t.mem + x.mem FROM space, ",
    "(kind, objects, mem) WHERE t.memram_id = space.id AND t.kind = x.kind)",
);
const QUOTAS: Sql = Sql(
    "quotas AS (UPDATE quotas t SET used_bytes = greatest(0, t.used_bytes + x.bytes), \
        used_objects = greatest(0, t.used_objects + x.objects) FROM space, ",
    "(key, value, bytes, objects) WHERE t.memram_id = space.id AND t.key = x.key AND t.value = x.value)",
);
const SEQUENCES: Sql = Sql(
    "sequences AS (UPDATE sequences t SET last_id = x.last_id FROM space, ",
    "(name, last_id) WHERE t.memram_id = space.id AND t.name = x.name AND t.last_id < x.last_id)",
);
