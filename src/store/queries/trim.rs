//! Events that are to be removed.

use std::time::Duration;

use diesel::prelude::*;

use crate::books::event_rows::ROW_BYTES;
use crate::error::Result;
use crate::models::schema::event_sizes;
use crate::models::{EventId, EventKind, MemRam, MemRamId, Stripe, Timestamp, signed};
use crate::store::conn::rows_of;
use crate::store::read::ReadTx;

/// The rows of events of a space to remove next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Old {
    /// The last event of them, which becomes an opening.
    pub last: EventId,
    /// By how many bytes the history becomes smaller.
    pub bytes: i64,
    /// Their number.
    pub rows: usize,
}

/// Which of the oldest rows to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Those before this time.
    pub before: Option<Timestamp>,
    /// As many as together have this many bytes.
    pub bytes: i64,
    /// And as many more as have this many bytes, but only up to [`STEP`] rows in total.
    pub ahead: i64,
    /// At most this many rows.
    pub rows: usize,
}

/// A transaction that has to remove rows removes this many, so that the next ones need not.
pub const STEP: usize = 256;

impl Due {
    /// Some of the oldest, to make room in a full file for the events of what makes room.
    pub const FOR_ROOM: Self = Self {
        before: None,
        bytes: 32 * 1024,
        ahead: 0,
        rows: STEP,
    };

    /// All rows, at most `rows`.
    pub fn all(rows: usize) -> Self {
        Self {
            before: None,
            bytes: i64::MAX,
            ahead: 0,
            rows,
        }
    }

    /// The rows beyond the limits of a space at a time, at most `rows`.
    pub fn of(memram: &MemRam, now: Timestamp, rows: usize) -> Self {
        let most = memram.history_max_bytes.map(signed);
        Self {
            before: memram.history_keep.map(|keep| now - Duration::from_micros(keep)),
            bytes: most.map_or(0, |most| (signed(memram.history_bytes) - most).max(0)),
            ahead: most.map_or(0, |most| most / 16),
            rows,
        }
    }

    fn includes(&self, row: &Row, rows: usize, bytes: i64) -> bool {
        let ahead = if rows < STEP { self.ahead } else { 0 };
        let by_size = self.bytes > 0 && bytes < self.bytes + ahead;
        let by_age = self.before.is_some_and(|before| row.at < before);
        rows < self.rows && (by_size || by_age)
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = event_sizes)]
struct Row {
    id: EventId,
    at: Timestamp,
    kind: EventKind,
    bytes: i64,
}

/// The longest run of first rows that are due. O(log n + rows).
pub fn old(tx: &mut ReadTx<'_>, space: MemRamId, due: &Due) -> Result<Option<Old>> {
    let stripe = Stripe::of(space);
    let query = event_sizes::table
        .filter(event_sizes::id.gt(stripe.before()))
        .filter(event_sizes::id.le(stripe.last()))
        .order(event_sizes::id)
        // One more than can be removed, and an opening.
        .limit(i64::try_from(due.rows).unwrap_or(i64::MAX).saturating_add(2));
    // What is removed leaves an opening.
    let mut bytes = -ROW_BYTES;
    let mut old = None;
    let rows = rows_of!(tx, query.select(Row::as_select()), Row);
    for (row, rows) in rows.zip(0..) {
        let row = row?;
        // An earlier trim left an opening, whatever its time is.
        let is_opening = rows == 0 && row.kind == EventKind::Opening;
        if !is_opening && !due.includes(&row, rows, bytes) {
            break;
        }
        bytes += row.bytes;
        let last = row.id;
        old = (!is_opening).then_some(Old {
            last,
            bytes,
            rows: rows + 1,
        });
    }
    Ok(old)
}
