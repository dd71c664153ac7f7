//! Events that are old enough to remove.

use diesel::dsl::min;
use diesel::prelude::*;

use crate::error::Result;
use crate::models::schema::events;
use crate::models::{EventId, EventKind, MemRamId, Stripe, Timestamp};
use crate::store::read::ReadTx;

/// The events of a space to remove next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Old {
    /// The last of them.
    pub last: EventId,
    /// Their number.
    pub events: usize,
}

/// The longest run of first events that are all older than `cutoff`, at most `limit`.
/// O(log n + limit).
pub fn old(tx: &mut ReadTx<'_>, space: MemRamId, cutoff: Timestamp, limit: i64) -> Result<Option<Old>> {
    let of_space = events::table.filter(events::memram_id.eq(space));
    // An earlier trim left an opening, and openings are indexed.
    let opening = of_space
        .filter(events::kind.eq(EventKind::Opening))
        .select(min(events::id));
    let first: Option<EventId> = opening.get_result(tx.conn()?)?;
    let page: Vec<(EventId, Timestamp)> = of_space
        .filter(events::id.ge(first.unwrap_or(EventId(0))))
        .filter(events::id.le(Stripe::of(space).last()))
        .order(events::id)
        .limit(limit)
        .select((events::id, events::at))
        .load(tx.conn()?)?;
    let run = page.iter().take_while(|(_, at)| *at < cutoff);
    Ok(run.zip(1..).last().map(|(&(last, _), events)| Old { last, events }))
}
