//! Writes the history.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::insert::{Target, insert, target};
use crate::books::event_rows::EventRow;
use crate::books::history_change::{HistoryChange, HistorySetting};
use crate::models::MemRamId;
use crate::store::sqlite::exec::Run;
use crate::store::statement::{Statement, Value, sql};
use crate::store::values;

/// Appends events. The figures of an opening are computed from the rows, which are written first.
pub(super) fn append(conn: &mut SqliteConnection, space: MemRamId, events: &[EventRow]) -> QueryResult<()> {
    let told = || events.iter().filter(|event| !event.is_opening());
    // Most events carve nothing, so their rows are shorter. The order of insertion does not
    // matter, because they have their keys.
    let plain = told().filter(|event| event.is_plain());
    insert::<IntoPlainEvents, 12>(conn, plain.map(|event| plain_row(space, event)))?;
    let of_names = told().filter(|event| event.is_of_name());
    insert::<IntoNameEvents, 10>(conn, of_names.map(|event| name_row(space, event)))?;
    let others = told().filter(|event| !event.is_plain() && !event.is_of_name());
    insert::<IntoEvents, 20>(conn, others.map(|event| values::event(space, event)))?;
    for event in events.iter().filter(|event| event.is_opening()) {
        let values = [
            event.id.0.into(),
            event.draft.signature.at.as_micros().into(),
            space.0.into(),
        ];
        Statement::<OpenBooks, 3>::run(conn, values)?;
    }
    Ok(())
}

/// Changes the history setting, and trims events.
pub(super) fn change(conn: &mut SqliteConnection, space: MemRamId, change: &HistoryChange) -> QueryResult<()> {
    if let Some(HistorySetting { mode, keep, max_bytes }) = change.setting {
        let values = [mode.as_str().into(), keep.into(), max_bytes.into(), space.0.into()];
        Statement::<SetHistory, 4>::run(conn, values)?;
    }
    for refusal in &change.repeated {
        let [id, times, at, object, bytes, changes] = values::repeated(refusal);
        Statement::<CountRefusal, 6>::run(conn, [times, at, object, bytes, changes, id])?;
    }
    if let Some(last) = change.trimmed {
        // The last one becomes an opening with the sums of all of them; the others are removed.
        let [space, last] = [space.0, last.0];
        Statement::<SumEvents, 3>::run(conn, [space.into(), last.into(), last.into()])?;
        Statement::<DropEvents, 2>::run(conn, [space.into(), last.into()])?;
    }
    Ok(())
}

fn plain_row(space: MemRamId, event: &EventRow) -> [Value<'_>; 12] {
    let [
        space,
        id,
        at,
        kind,
        actor,
        reason,
        object,
        _,
        bytes,
        mem,
        payload,
        room,
        ..,
        changes,
    ] = values::event(space, event);
    [
        space, id, at, kind, actor, reason, object, bytes, mem, payload, room, changes,
    ]
}

fn name_row(space: MemRamId, event: &EventRow) -> [Value<'_>; 10] {
    let [space, id, at, kind, actor, reason, object, name, bytes, mem, ..] = values::event(space, event);
    [space, id, at, kind, actor, reason, object, name, bytes, mem]
}

target! {
    IntoEvents = "INSERT OR FAIL INTO events (memram_id, id, at, kind, actor, reason, object, name, bytes, mem, payload, \
        room_in_blocks, uncarved_in_pools, uncarved_in_arenas, unreserved, capacity, \
        reservation_id, count, last_at, changes)",
        alike in [0, 2, 4, 5];
    IntoNameEvents = "INSERT OR FAIL INTO events (memram_id, id, at, kind, actor, reason, object, name, bytes, mem)",
        alike in [0, 2, 3, 4, 5, 8];
    IntoPlainEvents = "INSERT OR FAIL INTO events (memram_id, id, at, kind, actor, reason, object, bytes, mem, payload, \
        room_in_blocks, changes)",
        alike in [0, 2, 3, 4, 5];
}

sql! {
    SetHistory = "UPDATE memram SET history = ?, history_keep = ?, history_max_bytes = ? WHERE id = ?";
    CountRefusal = "UPDATE events SET count = count + ?, last_at = ?, object = ?, bytes = ?, changes = ? WHERE id = ?";
    OpenBooks = "INSERT INTO events (id, memram_id, at, kind, bytes, mem, payload, room_in_blocks, \
            uncarved_in_pools, uncarved_in_arenas, unreserved, capacity) \
        SELECT ?, m.id, ?, 'opening', m.mem, m.mem, m.mem, coalesce(sum(c.reserved), 0) - m.mem, \
            coalesce(sum(c.pooled - c.reserved), 0), m.reserved - coalesce(sum(c.pooled), 0), \
            m.max_mem - m.reserved, m.max_mem \
        FROM memram m LEFT JOIN size_classes c ON c.memram_id = m.id WHERE m.id = ? GROUP BY m.id";
    SumEvents = "UPDATE events SET kind = 'opening', actor = NULL, reason = NULL, object = NULL, name = NULL, \
            bytes = events.mem, changes = NULL, payload = s.payload, room_in_blocks = s.room_in_blocks, \
            uncarved_in_pools = s.uncarved_in_pools, uncarved_in_arenas = s.uncarved_in_arenas, \
            unreserved = s.unreserved, capacity = s.capacity, at = max(events.at, s.bound_at), reservation_id = NULL, \
            count = 1, last_at = NULL \
        FROM (SELECT e.memram_id, max(e.id) AS id, sum(e.payload) AS payload, \
                sum(e.room_in_blocks) AS room_in_blocks, sum(e.uncarved_in_pools) AS uncarved_in_pools, \
                sum(e.uncarved_in_arenas) AS uncarved_in_arenas, sum(e.unreserved) AS unreserved, \
                sum(e.capacity) AS capacity, coalesce(max(e.at) FILTER (WHERE e.kind IN ('bind', 'opening')), 0) AS bound_at \
            FROM events e WHERE e.memram_id = ? AND e.id <= ? AND e.id >= \
                coalesce((SELECT max(o.id) FROM events o \
                    WHERE o.memram_id = e.memram_id AND o.kind = 'opening' AND o.id <= ?), 0)) s \
        WHERE events.id = s.id";
    DropEvents = "DELETE FROM events WHERE memram_id = ? AND id < ?";
}
