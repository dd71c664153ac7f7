//! The parts that remove rows.

use super::part::{Part, Sql};
use crate::books::batch::Batch;
use crate::models::LedgerId;

/// The parts, and how many ledger entries they remove, if they do. With `moves`, names that move are removed,
/// too, so that no name is left of an object that is.
pub(super) fn parts<'b>(batch: &'b Batch<'_>, moves: bool) -> (Vec<Part<'b>>, Option<i64>) {
    let rows = batch.rows();
    // The first key of each run of pieces, and the object that they are of.
    let whole = rows
        .objects_gone
        .iter()
        .map(|(&object, gone)| (object, 0, gone.entries));
    let runs = whole.chain(rows.pieces_gone.iter().copied());
    let runs: Vec<_> = runs.filter(|&(.., count)| count > 0).collect();
    let entries: i64 = runs.iter().map(|&(.., count)| count).sum();
    let names = rows
        .names
        .iter()
        .filter(|(_, change)| change.was_bound && (moves || change.now.is_none()));
    let tags = rows.tags.iter().filter(|(_, value)| value.is_none());
    let quotas = rows.quotas.iter().filter(|(_, quota)| quota.is_none());
    let ranks = rows.ranks.iter().filter(|(_, rank)| rank.is_none());
    let reservations = rows.reservations.iter().filter(|(_, row)| row.is_none());
    let parts = [
        Part::new(&RESERVATIONS, reservations, |rows| vec![rows.int(|(id, _)| id.0)]),
        Part::new(&ENTRIES, runs, |rows| {
            vec![
                rows.int(|(object, seq, _)| LedgerId::of(object, seq).0),
                rows.int(|(object, seq, count)| LedgerId::of(object, seq).0.saturating_add(count)),
                rows.int(|(object, ..)| object.0),
            ]
        }),
        Part::new(&TAGS, tags, |rows| {
            vec![
                rows.int(|(key, _)| key.object.0),
                rows.text(|(key, _)| &key.name),
                rows.text(|(key, _)| &key.key),
            ]
        }),
        Part::new(&QUOTAS, quotas, |rows| {
            vec![rows.text(|(owner, _)| &owner.key), rows.text(|(owner, _)| &owner.value)]
        }),
        Part::new(&RANKS, ranks, |rows| vec![rows.int(|(object, _)| object.0)]),
        Part::new(&NAMES, names, |rows| vec![rows.text(|(name, _)| name)]),
        Part::new(&OBJECTS, rows.objects_gone.keys(), |rows| vec![rows.int(|id| id.0)]),
        Part::new(&BLOCKS, &rows.blocks_gone, |rows| vec![rows.int(|id| id.0)]),
        Part::new(&POOLS, &rows.pools_gone, |rows| vec![rows.int(|id| id.0)]),
        Part::new(&ARENAS, &rows.arenas_gone, |rows| vec![rows.int(|id| id.0)]),
    ];
    (
        parts.into_iter().flatten().collect(),
        Some(entries).filter(|&entries| entries > 0),
    )
}

const RESERVATIONS: Sql = Sql(
    "reservations_gone AS (DELETE FROM reservations t USING space, ",
    "(id) WHERE t.id = x.id)",
);
/// By key and object: entries are found by their keys, without an index of their own.
const ENTRIES: Sql = Sql(
    "entries_gone AS (DELETE FROM ledger t USING space, ",
    "(id, until, object) WHERE t.id >= x.id AND t.id < x.until AND t.stored_object_id = x.object RETURNING t.id)",
);
const TAGS: Sql = Sql(
    "tags_gone AS (DELETE FROM tags t USING space, ",
    "(object, name, key) WHERE t.stored_object_id = x.object AND t.name = x.name AND t.key = x.key)",
);
const QUOTAS: Sql = Sql(
    "quotas_gone AS (DELETE FROM quotas t USING space, ",
    "(key, value) WHERE t.memram_id = space.id AND t.key = x.key AND t.value = x.value)",
);
const RANKS: Sql = Sql(
    "ranks_gone AS (DELETE FROM recency t USING space, ",
    "(id) WHERE t.stored_object_id = x.id)",
);
const NAMES: Sql = Sql(
    "names_gone AS (DELETE FROM names t USING space, ",
    "(name) WHERE t.memram_id = space.id AND t.name = x.name)",
);
const OBJECTS: Sql = Sql(
    "objects_gone AS (DELETE FROM stored_objects t USING space, ",
    "(id) WHERE t.id = x.id)",
);
const BLOCKS: Sql = Sql(
    "blocks_gone AS (DELETE FROM blocks t USING space, ",
    "(id) WHERE t.id = x.id)",
);
const POOLS: Sql = Sql(
    "pools_gone AS (DELETE FROM pools t USING space, ",
    "(id) WHERE t.id = x.id)",
);
const ARENAS: Sql = Sql(
    "arenas_gone AS (DELETE FROM arenas t USING space, ",
    "(id) WHERE t.id = x.id)",
);
