//! What becomes of a reservation: it is open, and then resolved once.

use crate::books::change::Change;
use crate::error::{ReservationError, Result};
use crate::manager::unsigned;
use crate::models::{ReservationId, ReservationRow, ReservationState};
use crate::store::{WriteTx, queries};
use crate::value::ObjectId;

/// Resolved reservations that a space remembers, so that a caller that asks again learns the result.
const REMEMBERED: i64 = 1024;
/// Reservations that are forgotten when one is resolved.
const FORGOTTEN: i64 = 4;

/// The open reservation with this id.
///
/// # Errors
/// What became of it, if it is not open.
pub(in crate::manager) fn open(tx: &mut WriteTx<'_>, id: ReservationId) -> Result<ReservationRow> {
    let space = tx.space();
    let row = tx.read_rows(|tx| queries::reservations::get(tx, space, id))?;
    match row {
        Some(row) if row.state == ReservationState::Open => Ok(row),
        Some(row) if row.key.is_some() => Err(resolved(row).into()),
        _ => Err(ReservationError::UploadLapsed { id }.into()),
    }
}

/// Why a reservation with a key cannot be used.
pub(in crate::manager) fn resolved(row: ReservationRow) -> ReservationError {
    let key = row.key.unwrap_or_default();
    match row.state {
        ReservationState::Posted => ReservationError::Posted {
            key,
            id: row.object_id.unwrap_or(ObjectId::UNKNOWN),
        },
        ReservationState::Voided => ReservationError::Voided { key },
        _ => ReservationError::Lapsed {
            key,
            expired: row.expires_at,
        },
    }
}

/// Refuses content of more bytes than are reserved for it. An upload has no limit of its own.
pub(in crate::manager) fn check_size(row: &ReservationRow, needed: u64) -> Result<()> {
    let reserved = unsigned(row.bytes);
    match &row.key {
        Some(key) if needed > reserved => Err(ReservationError::TooLarge {
            key: key.clone(),
            needed,
            reserved,
        }
        .into()),
        _ => Ok(()),
    }
}

/// Ends a reservation whose content is stored; `left` is its row without the pieces that now belong to the object.
pub(in crate::manager) fn posted(
    tx: &mut WriteTx<'_>,
    row: &ReservationRow,
    left: ReservationRow,
    id: ObjectId,
) -> Result<()> {
    let after = ReservationRow {
        state: ReservationState::Posted,
        object_id: Some(id),
        ..left
    };
    end(tx, row, after).map(drop)
}

/// Ends an open reservation. One with neither a key nor pieces is forgotten.
pub(in crate::manager) fn resolve(
    tx: &mut WriteTx<'_>,
    row: &ReservationRow,
    state: ReservationState,
) -> Result<ReservationRow> {
    let after = ReservationRow { state, ..row.clone() };
    end(tx, row, after)
}

fn end(tx: &mut WriteTx<'_>, row: &ReservationRow, after: ReservationRow) -> Result<ReservationRow> {
    let after = ReservationRow {
        resolved_at: Some(tx.at()),
        ..after
    };
    tx.apply(Change::ReservationSet {
        before: Some(row),
        after: after.clone(),
    })?;
    if after.key.is_some() {
        forget_old(tx)?;
    } else if after.written == 0 {
        tx.apply(Change::ReservationRemoved { reservation: &after })?;
    }
    Ok(after)
}

/// Forgets some of the resolved reservations beyond those that are remembered. More than one at a time,
/// so that their number shrinks if it ever was larger.
fn forget_old(tx: &mut WriteTx<'_>) -> Result<()> {
    let space = tx.space();
    let old = tx.read_rows(|tx| queries::reservations::forgettable(tx, space, REMEMBERED, FORGOTTEN))?;
    for row in old {
        tx.apply(Change::ReservationRemoved { reservation: &row })?;
    }
    Ok(())
}
