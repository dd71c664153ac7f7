//! The parts for the history.

use super::part::{Part, Sql};
use crate::books::batch::Batch;
use crate::books::event_rows::EventRow;
use crate::models::Timestamp;
use crate::value::ObjectId;

/// Appends events, except openings, whose figures are computed from the rows once they are written;
/// and counts refusals that happened again.
pub(super) fn parts<'b>(batch: &'b Batch<'_>) -> impl Iterator<Item = Part<'b>> {
    let told = batch.events().iter().filter(|event| !event.is_opening());
    let events = Part::new(&EVENTS, told, |rows| {
        vec![
            rows.int(|event| event.id.0),
            rows.int(|event| event.draft.signature.at.as_micros()),
            rows.text(|event| event.draft.kind.as_str()),
            rows.text_if_any(|event| event.draft.signature.actor.as_deref()),
            rows.text_if_any(|event| event.draft.signature.reason.as_deref()),
            rows.blob(objects),
            rows.text_if_any(|event| event.draft.name.as_deref()),
            rows.int(|event| event.draft.bytes),
            rows.int(|event| event.draft.mem),
            rows.int(|event| event.draft.accounts.payload),
            rows.int(|event| event.draft.accounts.room_in_blocks),
            rows.int(|event| event.draft.accounts.uncarved_in_pools),
            rows.int(|event| event.draft.accounts.uncarved_in_arenas),
            rows.int(|event| event.draft.accounts.unreserved),
            rows.int(|event| event.draft.accounts.capacity),
            rows.int_if_any(|event| event.draft.reservation.map(|id| id.0)),
            rows.int(|event| 1 + event.draft.repeated.map_or(0, |repeated| repeated.times)),
            rows.int_if_any(|event| event.draft.repeated.map(|repeated| repeated.last.as_micros())),
            rows.text_if_any(|event| event.changes.as_deref()),
        ]
    });
    let repeated = Part::new(&REFUSALS, &batch.history().repeated, |rows| {
        vec![
            rows.int(|refusal| refusal.id.0),
            rows.int(|refusal| refusal.times),
            rows.int(|refusal| Timestamp::as_micros(refusal.last.last_at())),
            rows.blob(|refusal| refusal.last.object.as_ref().map(bytes)),
            rows.int(|refusal| refusal.last.bytes),
            rows.text_if_any(|refusal| refusal.changes.as_deref()),
        ]
    });
    [events, repeated].into_iter().flatten()
}

/// The ids of the objects of an event.
fn objects(event: &EventRow) -> Option<&[u8]> {
    match event.objects.as_slice() {
        [] => event.draft.object.as_ref().map(bytes),
        several => Some(several),
    }
}

fn bytes(id: &ObjectId) -> &[u8] {
    id.as_bytes()
}

const EVENTS: Sql = Sql(
    "new_events AS (INSERT INTO events (id, memram_id, at, kind, actor, reason, object, name, bytes, mem, payload, \
            room_in_blocks, uncarved_in_pools, uncarved_in_arenas, unreserved, capacity, reservation_id, count, \
            last_at, changes) \
        SELECT x.id, space.id, x.at, x.kind, x.actor, x.reason, x.object, x.name, x.bytes, x.mem, x.payload, \
            x.room_in_blocks, x.uncarved_in_pools, x.uncarved_in_arenas, x.unreserved, x.capacity, \
            x.reservation_id, x.count, x.last_at, x.changes FROM space, ",
    "(id, at, kind, actor, reason, object, name, bytes, mem, payload, room_in_blocks, uncarved_in_pools, \
            uncarved_in_arenas, unreserved, capacity, reservation_id, count, last_at, changes))",
);
const REFUSALS: Sql = Sql(
    "refusals AS (UPDATE events t SET count = t.count + x.count, last_at = x.last_at, object = x.object, \
        bytes = x.bytes, changes = x.changes FROM space, ",
    "(id, count, last_at, object, bytes, changes) WHERE t.id = x.id)",
);
