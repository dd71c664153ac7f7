//! Writing the history.
#![allow(clippy::disallowed_methods, reason = "one of the files that write rows")]

use diesel::prelude::*;

use super::bulk::{into, sql};
use super::exec::{Sql, Statement, Value};
use super::insert::{Into, insert};
use crate::books::events::Draft;
use crate::models::schema::memram;
use crate::models::{HistoryMode, MemRamId, Timestamp};
use crate::store::conn::Conn;

/// Appends events. `mem` is what the space held before the effects that come with them.
pub(in crate::store) fn insert_events(
    conn: &mut Conn,
    space: MemRamId,
    first: i64,
    mem: i64,
    drafts: &mut [Draft],
) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    // A large object has many changes: they go as soon as their text is written.
    let changes: Vec<_> = drafts
        .iter_mut()
        .map(|draft| std::mem::take(&mut draft.changes).into_json())
        .collect();
    let rows = || {
        let numbered = (first..).zip(&*drafts).zip(&changes);
        numbered.map(|((id, draft), changes)| (Head { id, space, mem }, draft, changes.as_deref()))
    };
    // Most events carve nothing: their rows are shorter. The order of the rows does not
    // matter, their keys do.
    let plain = rows().filter(|(_, draft, _)| draft.is_plain());
    let plain: Vec<_> = plain.map(|(head, draft, changes)| head.plain(draft, changes)).collect();
    insert::<IntoPlainEvents, 12>(conn, &plain)?;
    let others = rows().filter(|(_, draft, _)| !draft.is_plain());
    let others: Vec<_> = others
        .map(|(head, draft, changes)| head.whole(draft, changes))
        .collect();
    insert::<IntoEvents, 17>(conn, &others)
}

/// What an event has that its draft does not say.
struct Head {
    id: i64,
    space: MemRamId,
    /// What the space held before.
    mem: i64,
}

impl Head {
    fn plain<'a>(self, draft: &'a Draft, changes: Option<&'a str>) -> [Value<'a>; 12] {
        let [actor, reason, object] = who_and_what(draft);
        [
            self.id.into(),
            self.space.0.into(),
            draft.signature.at.as_micros().into(),
            draft.kind.as_str().into(),
            actor,
            reason,
            object,
            draft.bytes.into(),
            (self.mem + draft.mem).into(),
            draft.accounts.payload.into(),
            draft.accounts.room_in_blocks.into(),
            changes.into(),
        ]
    }

    fn whole<'a>(self, draft: &'a Draft, changes: Option<&'a str>) -> [Value<'a>; 17] {
        let [actor, reason, object] = who_and_what(draft);
        let accounts = &draft.accounts;
        [
            self.id.into(),
            self.space.0.into(),
            draft.signature.at.as_micros().into(),
            draft.kind.as_str().into(),
            actor,
            reason,
            object,
            draft.name.as_deref().into(),
            draft.bytes.into(),
            (self.mem + draft.mem).into(),
            accounts.payload.into(),
            accounts.room_in_blocks.into(),
            accounts.uncarved_in_pools.into(),
            accounts.uncarved_in_arenas.into(),
            accounts.unreserved.into(),
            accounts.capacity.into(),
            changes.into(),
        ]
    }
}

fn who_and_what(draft: &Draft) -> [Value<'_>; 3] {
    let signature = &draft.signature;
    let object = draft.object.as_ref().map(<[u8; 32]>::as_slice);
    [
        signature.actor.as_deref().into(),
        signature.reason.as_deref().into(),
        object.into(),
    ]
}

/// Opens the books: an event that states the whole balance, from which on they count.
pub(in crate::store) fn open_books(conn: &mut Conn, space: MemRamId, id: i64, at: Timestamp) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    Statement::<OpenBooks, 3>::run(conn, [id.into(), at.as_micros().into(), space.0.into()]).map(drop)
}

/// Replaces all events up to `last` by one that opens the books with their sums.
pub(in crate::store) fn trim_events(conn: &mut Conn, space: MemRamId, last: i64) -> QueryResult<usize> {
    let Conn::Sqlite(conn) = conn;
    let [space, last] = [space.0, last];
    Statement::<SumEvents, 3>::run(conn, [space.into(), last.into(), last.into()])?;
    Statement::<DropEvents, 2>::run(conn, [space.into(), last.into()])
}

/// Sets whether and how long the events of a space are kept.
pub(in crate::store) fn set_history(
    conn: &mut Conn,
    space: MemRamId,
    mode: HistoryMode,
    keep: Option<i64>,
) -> QueryResult<()> {
    let Conn::Sqlite(conn) = conn;
    let row = diesel::update(memram::table.find(space));
    row.set((memram::history.eq(mode), memram::history_keep.eq(keep)))
        .execute(conn)
        .map(drop)
}

into! {
    IntoEvents = "INSERT OR FAIL INTO events (id, memram_id, at, kind, actor, reason, object, name, bytes, mem, payload, \
        room_in_blocks, uncarved_in_pools, uncarved_in_arenas, unreserved, capacity, changes)",
        alike in [1, 2, 4, 5];
    IntoPlainEvents = "INSERT OR FAIL INTO events (id, memram_id, at, kind, actor, reason, object, bytes, mem, payload, \
        room_in_blocks, changes)",
        alike in [1, 2, 3, 4, 5];
}

sql! {
    OpenBooks = "INSERT INTO events (id, memram_id, at, kind, bytes, mem, payload, room_in_blocks, \
            uncarved_in_pools, uncarved_in_arenas, unreserved, capacity) \
        SELECT ?, m.id, ?, 'opening', m.mem, m.mem, m.mem, coalesce(sum(c.reserved), 0) - m.mem, \
            coalesce(sum(c.pooled - c.reserved), 0), m.reserved - coalesce(sum(c.pooled), 0), \
            m.max_mem - m.reserved, m.max_mem \
        FROM memram m LEFT JOIN size_classes c ON c.memram_id = m.id WHERE m.id = ? GROUP BY m.id";
    SumEvents = "UPDATE events SET kind = 'opening', actor = NULL, reason = NULL, object = NULL, name = NULL, \
            bytes = events.mem, changes = NULL, payload = s.payload, room_in_blocks = s.room_in_blocks, \
            uncarved_in_pools = s.uncarved_in_pools, uncarved_in_arenas = s.uncarved_in_arenas, \
            unreserved = s.unreserved, capacity = s.capacity \
        FROM (SELECT e.memram_id, max(e.id) AS id, sum(e.payload) AS payload, \
                sum(e.room_in_blocks) AS room_in_blocks, sum(e.uncarved_in_pools) AS uncarved_in_pools, \
                sum(e.uncarved_in_arenas) AS uncarved_in_arenas, sum(e.unreserved) AS unreserved, \
                sum(e.capacity) AS capacity \
            FROM events e WHERE e.memram_id = ? AND e.id <= ? AND e.id >= \
                (SELECT max(o.id) FROM events o WHERE o.memram_id = e.memram_id AND o.kind = 'opening' AND o.id <= ?)) s \
        WHERE events.id = s.id";
    DropEvents = "DELETE FROM events WHERE memram_id = ? AND id < ?";
}
