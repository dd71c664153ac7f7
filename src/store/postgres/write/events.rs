//! The parts for the history.

use super::part::{Part, Sql};
use crate::books::batch::Batch;
use crate::models::MemRamId;
use crate::store::values;

/// Appends events, except openings, whose figures are computed from the rows once they are written;
/// and counts refusals that happened again.
pub(super) fn parts<'b>(space: MemRamId, batch: &'b Batch<'_>) -> impl Iterator<Item = Part<'b>> {
    let told = batch.events().iter().filter(|event| !event.is_opening());
    let events = Part::without_first(&EVENTS, told.map(|event| values::event(space, event)));
    let repeated = Part::new(&REFUSALS, batch.history().repeated.iter().map(values::repeated));
    [events, repeated].into_iter().flatten()
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
