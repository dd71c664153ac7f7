//! What is computed from the rows, after the other parts have written them.

use super::part::{Part, Sql};
use crate::books::batch::Batch;
use crate::store::statement::Value;

/// The history setting, openings, and the removal of old events.
pub(super) fn parts<'b>(batch: &'b Batch<'_>) -> Vec<Part<'b>> {
    let history = batch.history();
    let setting = history.setting.iter();
    let setting = setting.map(|to| [to.mode.as_str().into(), to.keep.into(), to.max_bytes.into()]);
    let openings = batch.events().iter().filter(|event| event.is_opening());
    let openings = openings.map(|event| [event.id.0, event.draft.signature.at.as_micros()].map(Value::from));
    let trimmed = history.trimmed.map(|last| [last.0.into()]);
    let parts = [
        Part::new(&SETTING, setting),
        Part::new(&OPENINGS, openings),
        Part::new(&SUM, trimmed),
        Part::new(&TRIM, trimmed),
    ];
    parts.into_iter().flatten().collect()
}

const SETTING: Sql = Sql(
    "setting AS (UPDATE memram t SET history = x.mode, history_keep = x.keep, history_max_bytes = x.max_bytes \
        FROM space, ",
    "(mode, keep, max_bytes) WHERE t.id = space.id)",
);
const OPENINGS: Sql = Sql(
    "openings AS (INSERT INTO events (id, memram_id, at, kind, bytes, mem, payload, room_in_blocks, uncarved_in_pools, \
            uncarved_in_arenas, unreserved, capacity) \
        SELECT x.id, m.id, x.at, 'opening', m.mem, m.mem, m.mem, c.reserved - m.mem, c.pooled - c.reserved, \
            m.reserved - c.pooled, m.max_mem - m.reserved, m.max_mem \
        FROM space JOIN memram m ON m.id = space.id, \
            LATERAL (SELECT coalesce(sum(reserved), 0)::bigint AS reserved, coalesce(sum(pooled), 0)::bigint AS pooled \
                FROM size_classes WHERE memram_id = m.id) c, ",
    "(id, at))",
);
/// The last event that is trimmed becomes an opening with the sums of all of them.
const SUM: Sql = Sql(
    "summed AS (UPDATE events t SET kind = 'opening', actor = NULL, reason = NULL, object = NULL, name = NULL, \
            bytes = t.mem, changes = NULL, payload = s.payload, room_in_blocks = s.room_in_blocks, \
            uncarved_in_pools = s.uncarved_in_pools, uncarved_in_arenas = s.uncarved_in_arenas, \
            unreserved = s.unreserved, capacity = s.capacity, at = greatest(t.at, s.bound_at), \
            reservation_id = NULL, count = 1, last_at = NULL \
        FROM space, ",
    "(last), LATERAL (SELECT max(e.id) AS id, sum(e.payload)::bigint AS payload, \
            sum(e.room_in_blocks)::bigint AS room_in_blocks, sum(e.uncarved_in_pools)::bigint AS uncarved_in_pools, \
            sum(e.uncarved_in_arenas)::bigint AS uncarved_in_arenas, sum(e.unreserved)::bigint AS unreserved, \
            sum(e.capacity)::bigint AS capacity, \
            max(e.at) FILTER (WHERE e.kind IN ('bind', 'opening')) AS bound_at \
        FROM events e WHERE e.memram_id = space.id AND e.id <= x.last AND e.id >= \
            coalesce((SELECT max(o.id) FROM events o \
                WHERE o.memram_id = space.id AND o.kind = 'opening' AND o.id <= x.last), 0)) s \
        WHERE t.id = s.id)",
);
/// The others are removed. They are found by the range of ids of the space.
const TRIM: Sql = Sql(
    "trimmed AS (DELETE FROM events t USING space, ",
    "(last) WHERE t.id < x.last AND t.id > ((space.id - 1) << 40))",
);
