//! The parts that remove rows.

use super::part::{Part, Sql};
use crate::books::batch::Batch;
use crate::books::rows::NameChange;
use crate::models::LedgerId;
use crate::store::statement::Value;
use crate::store::values;

/// Removes rows of a table by their keys.
macro_rules! by_id {
    ($table:literal) => {
        &Sql(
            concat!($table, "_gone AS (DELETE FROM ", $table, " t USING space, "),
            "(id) WHERE t.id = x.id)",
        )
    };
}

/// The parts, and how many ledger entries they remove, if any. With `moves`, names that move are removed too,
/// so that a removed object has no name left.
pub(super) fn parts<'b>(batch: &'b Batch<'_>, moves: bool) -> (Vec<Part<'b>>, Option<i64>) {
    let rows = batch.rows();
    // The first key of each run of pieces, and their object.
    let whole = rows
        .objects_gone
        .iter()
        .map(|(&object, gone)| (object, 0, gone.entries));
    let runs = whole.chain(rows.pieces_gone.iter().copied());
    let runs: Vec<_> = runs.filter(|&(.., count)| count > 0).collect();
    let entries: i64 = runs.iter().map(|&(.., count)| count).sum();
    let pieces = runs.iter().map(|&(object, seq, count)| {
        let first = LedgerId::of(object, seq).0;
        [first, first.saturating_add(count), object.0].map(Value::from)
    });
    let goes = |change: &NameChange| change.was_bound && (moves || change.now.is_none());
    let names = rows.names.iter().filter(|(_, change)| goes(change));
    let tags = rows.tags.iter().filter(|(_, value)| value.is_none());
    let quotas = rows.quotas.iter().filter(|(_, quota)| quota.is_none());
    let ranks = rows.ranks.iter().filter(|(_, rank)| rank.is_none());
    let reservations = rows.reservations.iter().filter(|(_, row)| row.is_none());
    let parts = [
        Part::new(by_id!("reservations"), reservations.map(|(id, _)| [id.0.into()])),
        Part::new(&ENTRIES, pieces),
        Part::new(&TAGS, tags.map(|(key, _)| values::tag_key(key))),
        Part::new(&QUOTAS, quotas.map(|(owner, _)| values::owner(owner))),
        Part::new(&RANKS, ranks.map(|(object, _)| [object.0.into()])),
        Part::new(&NAMES, names.map(|(name, _)| [name.as_str().into()])),
        Part::new(
            by_id!("stored_objects"),
            rows.objects_gone.keys().map(|id| [id.0.into()]),
        ),
        Part::new(by_id!("blocks"), rows.blocks_gone.iter().map(|id| [id.0.into()])),
        Part::new(by_id!("pools"), rows.pools_gone.iter().map(|id| [id.0.into()])),
        Part::new(by_id!("arenas"), rows.arenas_gone.iter().map(|id| [id.0.into()])),
    ];
    (
        parts.into_iter().flatten().collect(),
        Some(entries).filter(|&entries| entries > 0),
    )
}

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
