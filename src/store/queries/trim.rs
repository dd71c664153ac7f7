//! Which events are old enough to go.

use diesel::dsl::{max, min};
use diesel::prelude::*;

use crate::error::Result;
use crate::models::{EventId, MemRamId};
use crate::store::conn::Conn;
use crate::store::schema::events;

/// The last event of the longest run of first events that are all older than `cutoff`.
/// O(events).
pub fn last_before(conn: &mut Conn, space: MemRamId, cutoff: i64) -> Result<Option<EventId>> {
    let of_space = events::table.filter(events::memram_id.eq(space));
    let kept = of_space.filter(events::at.ge(cutoff)).select(min(events::id));
    let kept: Option<EventId> = kept.get_result(conn)?;
    let before = kept.unwrap_or(EventId(i64::MAX));
    let gone = of_space.filter(events::id.lt(before)).select(max(events::id));
    Ok(gone.get_result(conn)?)
}
