//! Drafts events: the changes of one operation make one event.

use crate::books::change::Change;
use crate::books::effects::Effects;
use crate::books::events::{Accounts, Carving, Draft, PieceChange};
use crate::books::rows::SpaceChange;
use crate::error::Error;
use crate::models::{Block, EventKind, PlacedEntry, ReservationRow, ReservationState, signed};
use crate::value::ObjectId;

/// Runs last, because it reads the effects of the totals trigger.
pub(super) fn run(change: &Change<'_>, effects: &mut Effects) -> Result<(), Error> {
    if !effects.recording {
        return Ok(());
    }
    match change {
        Change::ObjectStored(object) => {
            let draft = about(effects, EventKind::Allocate, object.object_id);
            draft.bytes = signed(object.size);
        }
        Change::DedupHit { object } => {
            about(effects, EventKind::DedupHit, object.object_id).bytes = signed(object.size)
        }
        Change::ObjectPosted { object, reservation } => {
            let draft = about(effects, EventKind::Allocate, object.object_id);
            draft.bytes = signed(object.size);
            draft.reservation = Some(*reservation);
        }
        Change::ObjectVacated {
            object_id,
            size,
            reservation,
            ..
        } => {
            let draft = about(effects, EventKind::Free, *object_id);
            draft.bytes = *size;
            draft.reservation = Some(*reservation);
        }
        Change::PartBegun { reservation } => {
            let draft = new(effects, EventKind::Upload);
            draft.reservation = Some(*reservation);
            draft.is_open = true;
        }
        Change::ReservationSet { before, after } => {
            close(effects);
            set_reservation(effects, *before, after);
        }
        Change::ReservationRemoved { .. } => close(effects),
        Change::PiecesReclaimed {
            reservation, entries, ..
        } => {
            let draft = new(effects, EventKind::Reclaim);
            draft.reservation = Some(reservation.id);
            draft.is_open = true;
            take_out(draft, entries);
        }
        Change::EntryAdded { entry, block } => add_piece(effects, block, entry.allocated_mem),
        Change::PieceRepaired { object, data, .. } => repair(effects, object.object_id, data.len() as i64),
        Change::PiecesMoved {
            object_id,
            size,
            entries,
            block,
            ..
        } => {
            let draft = about(effects, EventKind::Move, *object_id);
            draft.changes.size = Some(*size);
            take_out(draft, entries);
            put_in(draft, block, draft.bytes);
        }
        Change::PlanApplied { plan, bytes } => {
            let draft = new(effects, EventKind::Apply);
            draft.bytes = *bytes;
            draft.name = Some(plan.to_hex());
        }
        Change::EntriesRemoved { object_id, entries, .. } => {
            take_out(about(effects, EventKind::Free, *object_id), entries)
        }
        Change::ObjectRemoved { object_id, size: 0, .. } => {
            about(effects, EventKind::Free, *object_id);
        }
        Change::NameBound { name, object_id, .. } => {
            about(effects, EventKind::Bind, *object_id).name = Some((*name).to_owned());
        }
        Change::NameUnbound { name, object_id, .. } => {
            about(effects, EventKind::Unbind, *object_id).name = Some((*name).to_owned());
        }
        Change::Released { object_id, .. } => {
            about(effects, EventKind::Release, *object_id);
        }
        Change::Expired {
            name, object_id, frees, ..
        } => {
            let draft = about(effects, EventKind::Expire, *object_id);
            draft.name = name.map(str::to_owned);
            draft.bytes = *frees;
        }
        Change::Evicted { object_id, size, cause } => {
            let draft = about(effects, EventKind::Evict, *object_id);
            draft.bytes = *size;
            draft.changes.policy = Some(cause.policy.as_str());
            draft.changes.needed = Some(cause.needed);
            draft.changes.available = Some(cause.available);
            draft.changes.wanted = cause.object_id.map(|id| id.to_hex());
        }
        Change::ArenaAdded(arena) => carve(effects, Carving::from(arena), signed(arena.max_mem)),
        Change::PoolAdded(pool) => carve(effects, Carving::from(pool), signed(pool.max_mem)),
        Change::BlockAdded(block) => carve(effects, Carving::from(block), signed(block.max_mem)),
        Change::ArenaRemoved(arena) => carve(effects, Carving::from(arena), -signed(arena.max_mem)),
        Change::PoolRemoved(pool) => carve(effects, Carving::from(pool), -signed(pool.max_mem)),
        Change::BlockRemoved(block) => carve(effects, Carving::from(block), -signed(block.max_mem)),
        Change::Resized { by } => {
            let draft = new(effects, EventKind::Resize);
            draft.bytes = *by;
            draft.accounts.capacity = *by;
            draft.accounts.unreserved = *by;
        }
        Change::Refused(refusal) => {
            let object_id = refusal.object_id.unwrap_or(ObjectId::UNKNOWN);
            let draft = about(effects, EventKind::Refusal, object_id);
            draft.bytes = refusal.needed;
            draft.changes.available = refusal.available;
            draft.changes.shortfall = refusal.available.map(|available| refusal.needed - available);
            if let Some(over) = &refusal.quota {
                draft.changes.owner = Some(format!("{}={}", over.key, over.value));
                draft.changes.limit = Some(over.limit.as_str());
                draft.changes.used = Some(signed(over.used));
                draft.changes.hard = Some(signed(over.hard));
            }
        }
        Change::SpaceChanged(SpaceChange::Renamed { before, .. }) => {
            new(effects, EventKind::Rename).name = Some(before.clone());
        }
        // It concerns no single space.
        Change::CeilingSet { .. } => {}
        Change::ObjectRemoved { .. }
        | Change::Held { .. }
        | Change::NameLasts { .. }
        | Change::Tagged { .. }
        | Change::Ranked { .. }
        | Change::HandMoved { .. }
        | Change::Untagged(_)
        | Change::QuotaSet { .. }
        | Change::QuotaRemoved(_)
        | Change::QuotaUsed { .. }
        | Change::HistorySet { .. }
        | Change::SpaceMade(_)
        | Change::SpaceChanged(_)
        | Change::BooksOpened
        | Change::Fixed(_)
        | Change::HistoryTrimmed { .. } => {}
    }
    Ok(())
}

fn new(effects: &mut Effects, kind: EventKind) -> &mut Draft {
    let mut draft = Draft::new(kind, &effects.signature);
    draft.mem = effects.space.mem;
    effects.events.push_mut(draft)
}

fn about(effects: &mut Effects, kind: EventKind, object_id: ObjectId) -> &mut Draft {
    let draft = new(effects, kind);
    draft.object = (object_id != ObjectId::UNKNOWN).then_some(object_id);
    draft
}

fn add_piece(effects: &mut Effects, block: &Block, bytes: i64) {
    let mem = effects.space.mem;
    // Pieces follow their object, whose draft stays open until the last of them.
    let Some(draft) = effects.events.last_mut() else { return };
    draft.mem = mem;
    if draft.kind == EventKind::Upload {
        draft.bytes += bytes;
    }
    put_in(draft, block, bytes);
}

fn put_in(draft: &mut Draft, block: &Block, bytes: i64) {
    draft.accounts.payload += bytes;
    draft.accounts.room_in_blocks -= bytes;
    draft.changes.pieces.push(PieceChange {
        block: block.id,
        pool: block.pool_id,
        arena: block.arena_id,
        block_size: signed(block.block_size),
        bytes,
    });
}

/// The repaired pieces of an object make one event about that object.
fn repair(effects: &mut Effects, object_id: ObjectId, bytes: i64) {
    let joins = effects
        .events
        .last()
        .is_some_and(|draft| draft.kind == EventKind::Repair);
    if !joins {
        about(effects, EventKind::Repair, object_id);
    }
    if let Some(draft) = effects.events.last_mut() {
        draft.bytes += bytes;
    }
}

/// Ends the event of a part of an upload, or of pieces that are given back.
fn close(effects: &mut Effects) {
    if let Some(draft) = effects.events.last_mut() {
        draft.is_open = false;
    }
}

/// What happened to a reservation, for its caller. That a part was stored is in the event of the part.
fn set_reservation(effects: &mut Effects, before: Option<&ReservationRow>, after: &ReservationRow) {
    if before.is_some_and(|before| before.state == after.state) {
        return;
    }
    let kind = match after.state {
        ReservationState::Lapsed => EventKind::Lapse,
        ReservationState::Open if after.key.is_some() => EventKind::Reserve,
        ReservationState::Posted if after.key.is_some() => EventKind::Post,
        ReservationState::Voided if after.key.is_some() => EventKind::Void,
        _ => return,
    };
    let draft = about(effects, kind, after.object_id.unwrap_or(ObjectId::UNKNOWN));
    draft.bytes = after.bytes;
    draft.name.clone_from(&after.key);
    draft.reservation = Some(after.id);
}

/// Pieces leave their blocks.
fn take_out(draft: &mut Draft, entries: &[PlacedEntry]) {
    let bytes: i64 = entries.iter().map(|entry| entry.allocated_mem).sum();
    draft.bytes = bytes;
    draft.accounts.payload = -bytes;
    draft.accounts.room_in_blocks = bytes;
    draft.changes.pieces = entries
        .iter()
        .map(|entry| PieceChange {
            block: entry.block_id,
            pool: entry.pool_id,
            arena: entry.arena_id,
            block_size: entry.block_size,
            bytes: -entry.allocated_mem,
        })
        .collect();
}

/// Carving is part of the allocation that needs it; removal, with negative `bytes`, is part of a
/// collection.
fn carve(effects: &mut Effects, carving: Carving, bytes: i64) {
    let comes = bytes > 0;
    let joins = match effects.events.last() {
        Some(draft) if comes => draft.is_unfinished(),
        // What an upload had carved goes with its pieces.
        Some(draft) => matches!(draft.kind, EventKind::Gc | EventKind::Reclaim),
        None => false,
    };
    if !joins {
        new(effects, if comes { EventKind::Carve } else { EventKind::Gc });
    }
    let Some(draft) = effects.events.last_mut() else { return };
    let (from, to) = draft.accounts.between(carving);
    *from -= bytes;
    *to += bytes;
    if comes {
        draft.changes.carved.push(carving);
    } else {
        draft.changes.removed.push(carving);
    }
    if matches!(draft.kind, EventKind::Carve | EventKind::Gc) {
        draft.bytes += bytes.abs();
    }
}

impl Accounts {
    /// The accounts that the bytes of a new row come from and go to.
    fn between(&mut self, carving: Carving) -> (&mut i64, &mut i64) {
        match carving {
            Carving::Arena(..) => (&mut self.unreserved, &mut self.uncarved_in_arenas),
            Carving::Pool(..) => (&mut self.uncarved_in_arenas, &mut self.uncarved_in_pools),
            Carving::Block(..) => (&mut self.uncarved_in_pools, &mut self.room_in_blocks),
        }
    }
}
