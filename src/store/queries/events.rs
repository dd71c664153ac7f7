//! The events of a space.
//!
//! Within a space, the ids give the order, so every query follows the primary key; there are no
//! other indexes, for which each write would pay. Across spaces the order is by time, then id.
//!
//! A row of `events` may stand for several events with consecutive ids, of which it has the last.
//! The view `every_event` unfolds it; `row_id` lets it follow the primary key.

use diesel::dsl::{max, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::event_filter::EventFilter;
use crate::books::event_rows::MOST_EVENTS;
use crate::books::refusals::{KnownRefusal, NEWEST};
use crate::error::Result;
use crate::models::schema::{events, every_event};
use crate::models::{Event, EventId, EventKind, MemRamId, ShownIfAny, Stripe, Timestamp, amount::Amount};
use crate::store::conn::{Conn, on_engine, rows_of};
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};
use crate::value::ObjectId;

/// The figures of a row of events, without its texts and pieces.
#[derive(Debug, Clone, Copy, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct Movement {
    pub id: EventId,
    pub at: Timestamp,
    pub payload: i64,
    pub room_in_blocks: i64,
    pub uncarved_in_pools: i64,
    pub uncarved_in_arenas: i64,
    pub unreserved: i64,
    pub capacity: i64,
}

/// The id, time and `mem` of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = every_event)]
pub struct Mark {
    pub id: EventId,
    pub at: Timestamp,
    pub mem: i64,
}

/// Rows of events that are unfolded at once.
pub const ROWS: i64 = 100;

const MARK: (events::id, events::at, events::mem) = (events::id, events::at, events::mem);

/// Events of some rows.
#[derive(Debug)]
pub struct Page {
    pub events: Vec<Event>,
    /// The last of the rows, unless there are no more.
    pub next: Option<EventId>,
}

/// Adds the conditions that either all events of a row meet, or none.
macro_rules! of_rows {
    ($query:ident, $table:ident, $filter:ident) => {
        if let Some(since) = $filter.since {
            $query = $query.filter($table::at.ge(since));
        }
        if let Some(until) = $filter.until {
            $query = $query.filter($table::at.le(until));
        }
        if !$filter.kinds.is_empty() {
            $query = $query.filter($table::kind.eq_any(&$filter.kinds));
        }
        if let Some(actor) = &$filter.actor {
            $query = $query.filter($table::actor.eq(actor));
        }
        if let Some(reason) = &$filter.reason {
            $query = $query.filter($table::reason.eq(reason));
        }
        if let Some(name) = &$filter.name {
            $query = $query.filter($table::name.eq(name));
        }
    };
}

/// The rows that may have events which pass the filter. SQLite would sort all events to find the
/// first of `every_event`, although their rows are in order.
macro_rules! filtered_rows {
    ($space:ident, $filter:ident) => {{
        // The events of a space are contiguous; the range of ids lets SQLite use that.
        let stripe = Stripe::of($space);
        let after = $filter.after_id.map_or(stripe.before(), |id| id.0);
        let mut query = events::table
            .filter(events::memram_id.eq($space))
            .filter(events::id.gt(after))
            .filter(events::id.le(stripe.last()))
            .into_boxed();
        if let Some(object) = &$filter.object {
            let object = object.as_bytes().as_slice().into();
            query = query.filter(Statement::<HasObject, 1>::new([object]));
        }
        of_rows!(query, events, $filter);
        query
    }};
}

sql! {
    HasObject: Bool = "instr(object, ?) > 0", postgres "position(? IN object) > 0";
}

/// The events of the next `rows` rows that pass the filter, oldest first.
pub fn page(tx: &mut ReadTx<'_>, space: MemRamId, filter: &EventFilter, rows: i64) -> Result<Page> {
    let ids: Vec<EventId> = on_engine!(tx, |conn| {
        let ids = filtered_rows!(space, filter).order(events::id).limit(rows);
        ids.select(events::id).load(conn)
    })?;
    let (Some(&first), Some(&last)) = (ids.first(), ids.last()) else {
        return Ok(Page {
            events: Vec::new(),
            next: None,
        });
    };
    let query = filtered(space, filter, [first, last]).order((every_event::row_id, every_event::id));
    Ok(Page {
        events: query.select(Event::as_select()).load(tx.conn()?)?,
        next: (ids.len() as i64 == rows).then_some(last),
    })
}

/// The newest events that pass the filter, in order.
pub fn newest(tx: &mut ReadTx<'_>, space: MemRamId, filter: &EventFilter, limit: i64) -> Result<Vec<Event>> {
    let ids: Vec<EventId> = on_engine!(tx, |conn| {
        let ids = filtered_rows!(space, filter).order(events::id.desc()).limit(limit);
        ids.select(events::id).load(conn)
    })?;
    let (Some(&last), Some(&first)) = (ids.first(), ids.last()) else {
        return Ok(Vec::new());
    };
    let query = filtered(space, filter, [first, last])
        .order((every_event::row_id.desc(), every_event::id.desc()))
        .limit(limit);
    let mut newest = query.select(Event::as_select()).load(tx.conn()?)?;
    newest.reverse();
    Ok(newest)
}

/// The events in these rows that pass the filter.
fn filtered(
    space: MemRamId,
    filter: &EventFilter,
    [first, last]: [EventId; 2],
) -> every_event::BoxedQuery<'_, <Conn as Connection>::Backend> {
    let mut query = every_event::table
        .filter(every_event::memram_id.eq(space))
        .filter(every_event::row_id.between(first.0, last.0))
        .into_boxed();
    if let Some(after) = filter.after_id {
        query = query.filter(every_event::id.gt(after));
    }
    if let Some(object) = &filter.object {
        query = query.filter(every_event::object.eq(object.as_bytes().as_slice()));
    }
    of_rows!(query, every_event, filter);
    query
}

/// The object that a name was last bound to or unbound from. O(events).
pub fn named(tx: &mut ReadTx<'_>, space: MemRamId, name: &str) -> Result<Option<ObjectId>> {
    let object = events::table
        .filter(events::memram_id.eq(space))
        .filter(events::name.eq(name))
        .filter(events::kind.eq_any([EventKind::Bind, EventKind::Unbind, EventKind::Expire]))
        .order(events::id.desc())
        .limit(1)
        .select(events::object)
        .get_result::<Option<ObjectId>>(tx.conn()?);
    Ok(object.optional()?.flatten())
}

/// Ids of objects from `low` to `high`, at most `limit`. O(events).
pub fn objects_between(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    [low, high]: &[ObjectId; 2],
    limit: i64,
) -> Result<Vec<ObjectId>> {
    let range = every_event::object.between(low.as_bytes().as_slice(), high.as_bytes().as_slice());
    let objects = every_event::table
        .filter(every_event::memram_id.eq(space))
        .filter(range)
        .select(every_event::object.assume_not_null());
    Ok(objects.distinct().limit(limit).load(tx.conn()?)?)
}

/// The newest events of a space, as far back as all are refusals, oldest first.
pub fn newest_refusals(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<KnownRefusal>> {
    let newest = newest_rows(tx, space)?.into_iter();
    let refusals = newest.take_while(|event| event.kind == EventKind::Refusal);
    let mut known: Vec<_> = refusals.map(KnownRefusal::from).collect();
    known.reverse();
    Ok(known)
}

/// The newest refusal, if it is one of the newest events of a space.
pub fn last_refusal(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Option<Refusal>> {
    Ok(refusals(tx, space)?.into_iter().next())
}

/// The refusals among the newest events of a space, newest first.
pub fn refusals(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<Refusal>> {
    let mut newest = newest_rows(tx, space)?;
    newest.retain(|event| event.kind == EventKind::Refusal);
    Ok(newest)
}

/// The newest rows, of which only refusals are of interest, newest first.
pub(super) fn newest_rows(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<Refusal>> {
    let stripe = Stripe::of(space);
    let newest = events::table
        .filter(events::id.gt(stripe.before()))
        .filter(events::id.le(stripe.last()))
        .order(events::id.desc())
        .limit(NEWEST as i64);
    Ok(on_engine!(tx, |conn| newest.select(Refusal::as_select()).load(conn))?)
}

/// A row of a refusal.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct Refusal {
    pub id: EventId,
    pub at: Timestamp,
    pub kind: EventKind,
    pub bytes: i64,
    #[diesel(deserialize_as = Amount)]
    pub count: u64,
    pub last_at: Option<Timestamp>,
    #[diesel(deserialize_as = ShownIfAny)]
    actor: Option<String>,
    #[diesel(deserialize_as = ShownIfAny)]
    reason: Option<String>,
    object: Option<Vec<u8>>,
    #[diesel(deserialize_as = ShownIfAny)]
    changes: Option<String>,
}

impl Refusal {
    /// Whether it was the quota of an owner that refused it.
    pub fn is_by_quota(&self) -> bool {
        let names_owner = |changes: &str| {
            serde_json::from_str::<serde_json::Value>(changes).is_ok_and(|changes| changes.get("owner").is_some())
        };
        self.changes.as_deref().is_some_and(names_owner)
    }
}

impl From<Refusal> for KnownRefusal {
    fn from(refusal: Refusal) -> Self {
        let bytes =
            refusal.object.map_or(0, |object| object.len()) + refusal.changes.map_or(0, |changes| changes.len());
        Self {
            id: refusal.id,
            actor: refusal.actor,
            reason: refusal.reason,
            bytes: bytes as i64,
        }
    }
}

/// The last event of a space that meets all conditions.
macro_rules! last_mark {
    ($tx:ident, $space:ident, $($condition:expr),*) => {
        Ok(events::table
            .filter(events::memram_id.eq($space))
            $(.filter($condition))*
            .order(events::id.desc())
            .limit(1)
            .select(MARK)
            .get_result($tx.conn()?)
            .optional()?)
    };
}

/// The last opening of the space.
pub fn opening(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Option<Mark>> {
    // A literal, so that SQLite can use the partial index.
    let is_opening = sql::<Bool>("kind = 'opening'");
    last_mark!(tx, space, is_opening)
}

/// The last event of a space.
pub fn last(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Option<EventId>> {
    let stripe = Stripe::of(space);
    let of_space = events::table.filter(events::id.between(stripe.before(), stripe.last()));
    Ok(of_space.select(max(events::id)).get_result(tx.conn()?)?)
}

/// When the newest event of a space happened, apart from the newest `rows` rows.
pub fn newest_at(tx: &mut ReadTx<'_>, space: MemRamId, rows: i64) -> Result<Option<Timestamp>> {
    let stripe = Stripe::of(space);
    Ok(events::table
        .filter(events::id.between(stripe.before(), stripe.last()))
        .order(events::id.desc())
        .offset(rows)
        .limit(1)
        .select(events::at)
        .get_result(tx.conn()?)
        .optional()?)
}

/// An event of any space.
pub fn find(tx: &mut ReadTx<'_>, id: EventId) -> Result<Option<Mark>> {
    // Its row has its id, or that of an event soon after it.
    let rows = every_event::row_id.between(id.0, id.0.saturating_add(MOST_EVENTS - 1));
    Ok(every_event::table
        .filter(rows)
        .filter(every_event::id.eq(id))
        .limit(1)
        .select(Mark::as_select())
        .get_result(tx.conn()?)
        .optional()?)
}

/// The last event of a space up to a number.
pub fn last_through(tx: &mut ReadTx<'_>, space: MemRamId, through: EventId) -> Result<Option<Mark>> {
    if let Some(mark) = find(tx, through)? {
        return Ok(Some(mark));
    }
    last_mark!(tx, space, events::id.le(through))
}

/// The event with the highest id, from `opening` on, at or before a time.
pub fn last_until(tx: &mut ReadTx<'_>, space: MemRamId, opening: EventId, until: Timestamp) -> Result<Option<Mark>> {
    last_mark!(tx, space, events::id.ge(opening), events::at.le(until))
}

/// The last repair of a space as a whole, up to an event. Layouts before it cannot be known. O(events).
pub fn last_repair(tx: &mut ReadTx<'_>, space: MemRamId, until: EventId) -> Result<Option<Mark>> {
    let is_repair = events::kind.eq(EventKind::Repair);
    last_mark!(tx, space, events::id.le(until), is_repair, events::object.is_null())
}

/// The number of rows of events of a space from `opening` on.
pub fn count(tx: &mut ReadTx<'_>, space: MemRamId, opening: EventId) -> Result<i64> {
    Ok(events::table
        .filter(events::memram_id.eq(space))
        .filter(events::id.ge(opening))
        .count()
        .get_result(tx.conn()?)?)
}

/// Passes the figures of the rows of events from `opening` on to `take`, in order.
pub fn each_movement(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    opening: EventId,
    mut take: impl FnMut(Movement),
) -> Result<()> {
    let query = events::table
        .filter(events::memram_id.eq(space))
        .filter(events::id.ge(opening))
        .order(events::id);
    let age = tx.age();
    for movement in rows_of!(tx, query.select(Movement::as_select()), Movement) {
        age.check()?;
        take(movement?);
    }
    Ok(())
}

/// Passes the events after one to `take`, newest first.
pub fn each_back_to(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    after: EventId,
    mut take: impl FnMut(Event) -> Result<()>,
) -> Result<()> {
    let mut until = Stripe::of(space).last();
    loop {
        let ids = events::table
            .filter(events::memram_id.eq(space))
            .filter(events::id.gt(after))
            .filter(events::id.le(until))
            .order(events::id.desc())
            .limit(ROWS);
        let ids: Vec<EventId> = ids.select(events::id).load(tx.conn()?)?;
        let (Some(last), Some(first)) = (ids.first(), ids.last()) else {
            return Ok(());
        };
        let query = every_event::table
            .filter(every_event::memram_id.eq(space))
            .filter(every_event::row_id.between(first.0, last.0))
            .filter(every_event::id.gt(after))
            .order((every_event::row_id.desc(), every_event::id.desc()));
        for event in rows_of!(tx, query.select(Event::as_select()), Event) {
            take(event?)?;
        }
        until = first.0 - 1;
    }
}
