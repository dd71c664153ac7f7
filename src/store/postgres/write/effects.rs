//! The parts for what follows from the changes: states of blocks, and totals.
//!
//! Each sets all columns that may change, because a column that keeps its value costs nothing: the
//! new version of a row contains it in any case, and an index only costs something if a value differs.

use super::part::{Part, Sql};
use crate::books::batch::Batch;
use crate::books::effects::KindDelta;
use crate::store::statement::Value;
use crate::store::values;

pub(super) fn parts<'b>(batch: &'b Batch<'_>) -> impl Iterator<Item = Part<'b>> {
    let effects = batch.effects();
    let (arenas, pools, blocks) = (effects.arenas.iter(), effects.pools.iter(), effects.blocks.iter());
    let (kinds, last_ids) = (effects.kinds.iter(), batch.last_ids().iter());
    let classes = effects.classes.iter().map(|(&block_size, by)| {
        [
            block_size,
            by.mem,
            by.reserved,
            by.pooled,
            by.pools,
            by.blocks,
            by.full_blocks,
            by.empty_blocks,
            by.entries,
        ]
        .map(Value::from)
    });
    let quotas = effects.quotas.iter().filter(|(_, by)| **by != KindDelta::default());
    let quotas = quotas.map(|(owner, by)| {
        let [key, value] = values::owner(owner);
        [key, value, by.mem.into(), by.objects.into()]
    });
    [
        Part::new(
            &BLOCKS,
            blocks.map(|(id, after)| [id.0.into(), after.mem.into(), after.is_free.into()]),
        ),
        Part::new(
            &POOLS,
            pools.map(|(id, by)| [id.0, by.mem, by.reserved].map(Value::from)),
        ),
        Part::new(
            &ARENAS,
            arenas.map(|(id, by)| [id.0, by.mem, by.reserved].map(Value::from)),
        ),
        Part::new(&CLASSES, classes),
        Part::new(
            &KINDS,
            kinds.map(|(kind, by)| [kind.as_str().into(), by.objects.into(), by.mem.into()]),
        ),
        Part::new(&QUOTAS, quotas),
        // So that ids of rows that are removed are never reused.
        Part::new(
            &SEQUENCES,
            last_ids.map(|&(sequence, last_id)| [sequence.name().into(), last_id.into()]),
        ),
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
