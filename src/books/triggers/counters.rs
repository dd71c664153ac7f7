//! Maintains the lifetime counters of the space, and the totals of each kind.

use crate::books::change::Change;
use crate::books::effects::{Effects, KindDelta};
use crate::error::Error;
use crate::models::{Rank, RankQueue, signed};
use crate::value::Kind;

pub(super) fn run(change: &Change<'_>, effects: &mut Effects) -> Result<(), Error> {
    match change {
        Change::ObjectStored(object) | Change::ObjectPosted { object, .. } => {
            effects.space.allocations += 1;
            count(effects, object.kind, 1, signed(object.size));
        }
        Change::ObjectRemoved { kind, size, .. } | Change::ObjectVacated { kind, size, .. } => {
            effects.space.frees += 1;
            count(effects, *kind, -1, -size);
        }
        Change::DedupHit { object } => {
            effects.space.dedup_hits += 1;
            // In a damaged file the size of an existing object may be anything.
            effects.space.dedup_saved = effects.space.dedup_saved.saturating_add(signed(object.size));
        }
        Change::Tagged { before: None, .. } => effects.space.tags += 1,
        Change::Untagged(_) => effects.space.tags -= 1,
        Change::QuotaSet { is_new, .. } => effects.space.quotas += i64::from(*is_new),
        Change::QuotaRemoved(_) => effects.space.quotas -= 1,
        Change::QuotaUsed { owner, bytes, objects } => {
            let (mem, objects) = (*bytes, *objects);
            effects
                .quotas
                .entry(owner.clone())
                .or_default()
                .add(KindDelta { objects, mem });
        }
        Change::Evicted { size, .. } => {
            effects.space.evictions += 1;
            effects.space.evicted_mem = effects.space.evicted_mem.saturating_add(*size);
        }
        Change::Ranked { before, after, .. } => {
            count_rank(effects, before.as_ref(), -1);
            count_rank(effects, after.as_ref(), 1);
        }
        Change::HandMoved { by } => effects.space.hand += by,
        Change::HistoryTrimmed { bytes, .. } => effects.space.history_bytes -= bytes,
        Change::ArenaAdded(_)
        | Change::ArenaRemoved(_)
        | Change::PoolAdded(_)
        | Change::PoolRemoved(_)
        | Change::BlockAdded(_)
        | Change::BlockRemoved(_)
        | Change::Held { .. }
        | Change::PieceRepaired { .. }
        | Change::PiecesMoved { .. }
        | Change::PlanApplied { .. }
        | Change::Released { .. }
        | Change::Expired { .. }
        | Change::NameLasts { .. }
        | Change::Tagged { before: Some(_), .. }
        | Change::EntryAdded { .. }
        | Change::EntriesRemoved { .. }
        | Change::PartBegun { .. }
        | Change::ReservationSet { .. }
        | Change::ReservationRemoved { .. }
        | Change::PiecesReclaimed { .. }
        | Change::NameBound { .. }
        | Change::Refused(_)
        | Change::HistorySet { .. }
        | Change::SpaceMade(_)
        | Change::SpaceChanged(_)
        | Change::BooksOpened
        | Change::Fixed(_)
        | Change::NameUnbound { .. }
        | Change::CeilingSet { .. }
        | Change::Resized { .. } => {}
    }
    Ok(())
}

/// Objects of kind `bytes` are not counted: they are the rest of the space's totals.
fn count(effects: &mut Effects, kind: Kind, objects: i64, mem: i64) {
    if kind != Kind::Bytes {
        effects.kind(kind).add(KindDelta { objects, mem });
    }
}

/// Counts the bytes of the queues.
fn count_rank(effects: &mut Effects, rank: Option<&Rank>, sign: i64) {
    let Some(rank) = rank else { return };
    let bytes = match rank.queue {
        RankQueue::Main => &mut effects.space.main,
        RankQueue::Gone => &mut effects.space.gone,
        RankQueue::Trial | RankQueue::Unknown => return,
    };
    *bytes = bytes.saturating_add(sign * rank.size);
}
