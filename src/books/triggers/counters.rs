//! Lifetime counters of the space, and how many objects of each kind there are.

use crate::books::change::Change;
use crate::books::effects::Effects;
use crate::books::effects::KindDelta;
use crate::error::Error;
use crate::models::signed;
use crate::value::Kind;

pub(super) fn run(change: &Change<'_>, effects: &mut Effects) -> Result<(), Error> {
    match change {
        Change::ObjectStored(object) => {
            effects.space.allocations += 1;
            count(effects, object.kind, 1, signed(object.size));
        }
        Change::ObjectRemoved { kind, size, .. } => {
            effects.space.frees += 1;
            count(effects, *kind, -1, -size);
        }
        Change::DedupHit { object } => {
            effects.space.dedup_hits += 1;
            // The size of an object that is there already may lie.
            effects.space.dedup_saved = effects.space.dedup_saved.saturating_add(signed(object.size));
        }
        Change::ArenaAdded(_)
        | Change::ArenaRemoved(_)
        | Change::PoolAdded(_)
        | Change::PoolRemoved(_)
        | Change::BlockAdded(_)
        | Change::BlockRemoved(_)
        | Change::Held { .. }
        | Change::PieceRepaired { .. }
        | Change::Released { .. }
        | Change::EntryAdded { .. }
        | Change::EntriesRemoved { .. }
        | Change::NameBound { .. }
        | Change::Refused { .. }
        | Change::HistorySet { .. }
        | Change::SpaceMade(_)
        | Change::BooksOpened
        | Change::Fixed(_)
        | Change::HistoryTrimmed { .. }
        | Change::NameUnbound { .. }
        | Change::Resized { .. } => {}
    }
    Ok(())
}

/// Objects of kind bytes are what is left of the space's own totals.
fn count(effects: &mut Effects, kind: Kind, objects: i64, mem: i64) {
    if kind != Kind::Bytes {
        effects.kind(kind).add(KindDelta { objects, mem });
    }
}
