//! What a drop of a space removes next.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};

use super::names::utf8;
use super::placed::PLACED;
use super::transfer::objects_after;
use crate::error::Result;
use crate::models::schema::{blocks, ledger, names, reservations};
use crate::models::{
    LedgerId, MemRamId, PlacedEntry, ReservationRow, ReservationState, StoredObject, StoredObjectId, Stripe, unsigned,
};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// How many names and open reservations a space has. O(names + reservations).
pub fn counts(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<[u64; 2]> {
    let names: i64 = names::table
        .filter(names::memram_id.eq(space))
        .count()
        .get_result(tx.conn()?)?;
    let open: i64 = reservations::table
        .filter(reservations::memram_id.eq(space))
        .filter(reservations::state.eq(ReservationState::Open))
        .filter(reservations::key.is_not_null())
        .count()
        .get_result(tx.conn()?)?;
    Ok([names, open].map(unsigned))
}

/// The first reservations of a space.
pub fn reservations(tx: &mut ReadTx<'_>, space: MemRamId, limit: i64) -> Result<Vec<ReservationRow>> {
    let stripe = Stripe::of(space);
    Ok(reservations::table
        .filter(reservations::id.gt(stripe.before()))
        .filter(reservations::id.le(stripe.last()))
        .order(reservations::id)
        .limit(limit)
        .select(ReservationRow::as_select())
        .load(tx.conn()?)?)
}

/// The first objects of a space, with their names and pieces in the same order. There are at most as many of
/// each as asked for, so the last object may have more names and pieces.
pub struct First {
    pub objects: Vec<StoredObject>,
    pub names: Vec<(StoredObjectId, String)>,
    pub pieces: Vec<(StoredObjectId, PlacedEntry)>,
}

/// The first objects, if there are any. O(rows · log n).
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) if a name is not UTF-8.
pub fn first(tx: &mut ReadTx<'_>, space: MemRamId, rows: i64, pieces: i64) -> Result<Option<First>> {
    let stripe = Stripe::of(space);
    let mut objects = objects_after(tx, space, StoredObjectId(stripe.before()), rows.saturating_add(1))?;
    let more = objects.len() as i64 > rows;
    // Pieces have the keys up to the next object.
    let end = objects.pop_if(|_| more).map_or(stripe.last(), |next| next.id.0 - 1);
    let (Some(first), Some(last)) = (objects.first(), objects.last()) else {
        return Ok(None);
    };
    let names = Statement::<Names, 3>::new([first.id.0.into(), last.id.0.into(), rows.into()]);
    let names: Vec<(StoredObjectId, Vec<u8>)> = on_engine!(tx, |conn| names.load(conn))?;
    let names = names.into_iter().map(|(object, name)| Ok((object, utf8(name)?)));
    let query = ledger::table
        .inner_join(blocks::table)
        .filter(ledger::id.ge(LedgerId(first.id.0)))
        .filter(ledger::id.le(LedgerId(end)))
        .order(ledger::id)
        .limit(pieces)
        .select((ledger::stored_object_id, PLACED));
    Ok(Some(First {
        names: names.collect::<Result<_>>()?,
        pieces: query.load(tx.conn()?)?,
        objects,
    }))
}

sql! {
    Names: (BigInt, Binary) = "SELECT stored_object_id, CAST(name AS BLOB) FROM names \
        WHERE stored_object_id >= ? AND stored_object_id <= ? ORDER BY stored_object_id, memram_id, name LIMIT ?",
        postgres "SELECT stored_object_id, convert_to(name, 'UTF8') FROM names \
        WHERE stored_object_id >= ? AND stored_object_id <= ? ORDER BY stored_object_id, memram_id, name LIMIT ?";
}
