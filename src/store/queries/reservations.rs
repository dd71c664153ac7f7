//! Reservations, and the pieces of uploads.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use crate::error::Result;
use crate::models::schema::{blocks, ledger, reservations, stored_objects};
use crate::models::{
    LedgerId, MemRamId, PlacedEntry, Promise, ReservationId, ReservationRow, ReservationState, StoredObjectId,
    Timestamp, signed, unsigned,
};
use crate::store::conn::on_engine;
#[cfg(feature = "postgres")]
use crate::store::queries::diagnosis::sum;
use crate::store::queries::placed::PLACED;
use crate::store::queries::spaces;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// One reservation of a space.
pub fn get(tx: &mut ReadTx<'_>, space: MemRamId, id: ReservationId) -> Result<Option<ReservationRow>> {
    let query = reservations::table.find(id).filter(reservations::memram_id.eq(space));
    let query = query.select(ReservationRow::as_select());
    Ok(query.get_result(tx.conn()?).optional()?)
}

/// The reservation of a space that has a key. O(log n).
pub fn with_key(tx: &mut ReadTx<'_>, space: MemRamId, key: &str) -> Result<Option<ReservationRow>> {
    let query = reservations::table
        .filter(reservations::memram_id.eq(space))
        .filter(reservations::key.eq(key))
        .select(ReservationRow::as_select());
    Ok(query.get_result(tx.conn()?).optional()?)
}

/// All reservations of a space, by id.
pub fn all(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<ReservationRow>> {
    let query = reservations::table
        .filter(reservations::memram_id.eq(space))
        .order(reservations::id)
        .select(ReservationRow::as_select());
    Ok(query.load(tx.conn()?)?)
}

/// The open reservations with the most bytes. O(open reservations).
pub fn largest_promises(tx: &mut ReadTx<'_>, space: MemRamId, limit: i64) -> Result<Vec<Promise>> {
    let query = reservations::table
        .filter(reservations::memram_id.eq(space))
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("state = 'open'"))
        .order((reservations::bytes.desc(), reservations::id))
        .limit(limit)
        .select(ReservationRow::as_select());
    let rows: Vec<ReservationRow> = query.load(tx.conn()?)?;
    Ok(rows.into_iter().map(Promise::from).collect())
}

/// Bytes of content in a space that belong to no object. O(log n + uploads).
pub fn written_in(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<u64> {
    let statement = Statement::<WrittenIn, 1>::new([space.0.into()]);
    on_engine!(tx, |conn| statement.get_result::<i64>(conn).map(unsigned)).map_err(Into::into)
}

/// Resolved reservations with a key, without the newest `keep`; at most `limit`. O(log n + keep).
pub fn forgettable(tx: &mut ReadTx<'_>, space: MemRamId, keep: i64, limit: i64) -> Result<Vec<ReservationRow>> {
    let query = reservations::table
        .filter(reservations::memram_id.eq(space))
        // Written as in the partial index, so that SQLite can use it.
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>(
            "resolved_at IS NOT NULL AND key IS NOT NULL AND written = 0",
        ))
        .order((reservations::resolved_at.desc(), reservations::id.desc()))
        .offset(keep)
        .limit(limit)
        .select(ReservationRow::as_select());
    Ok(query.load(tx.conn()?)?)
}

/// A reservation that needs work at `now`: it has pieces to give back, or its time is over.
pub fn due(tx: &mut ReadTx<'_>, space: MemRamId, now: Timestamp) -> Result<Option<ReservationRow>> {
    let of_space = reservations::table.filter(reservations::memram_id.eq(space));
    let leaving = of_space
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("written > 0"))
        .filter(reservations::state.ne(ReservationState::Open))
        .order(reservations::id)
        .select(ReservationRow::as_select());
    if let Some(row) = leaving.first(tx.conn()?).optional()? {
        return Ok(Some(row));
    }
    let lapsing = of_space
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("state = 'open'"))
        .filter(reservations::expires_at.le(now))
        .order(reservations::expires_at)
        .select(ReservationRow::as_select());
    Ok(lapsing.first(tx.conn()?).optional()?)
}

/// When a reservation of the space needs work next, or something expires, if that is known. O(log n).
pub fn next_due(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Option<Timestamp>> {
    let statement = Statement::<NextDue, 4>::new([space.0.into(); 4]);
    let due: Option<i64> = on_engine!(tx, |conn| statement.get_result::<Option<i64>>(conn))?;
    Ok(due.map(Timestamp::from_micros))
}

/// Bytes of content in the file that belong to no object. O(log n + uploads).
pub fn written(tx: &mut ReadTx<'_>) -> Result<u64> {
    let statement = Statement::<Written, 0>::new([]);
    Ok(unsigned(on_engine!(tx, |conn| statement.get_result::<i64>(conn))?))
}

sql! {
    WrittenIn: BigInt = "SELECT CAST(total(written) AS INTEGER) FROM reservations WHERE memram_id = ? AND written > 0",
        postgres concat!("SELECT ", sum!("written"), " FROM reservations WHERE memram_id = ? AND written > 0");
    Written: BigInt = "SELECT coalesce(sum(written), 0) FROM reservations WHERE written > 0",
        postgres concat!("SELECT ", sum!("written"), " FROM reservations WHERE written > 0");
    NextDue: Nullable<BigInt> = "SELECT min(due) FROM (\
            SELECT min(expires_at) AS due FROM reservations WHERE memram_id = ? AND state = 'open' \
            UNION ALL SELECT 0 FROM reservations WHERE memram_id = ? AND written > 0 AND state <> 'open' \
            UNION ALL SELECT min(expires_at) FROM stored_objects WHERE memram_id = ? AND expires_at IS NOT NULL \
            UNION ALL SELECT min(expires_at) FROM names WHERE memram_id = ? AND expires_at IS NOT NULL) d";
}

/// The last pieces that a reservation has, each with its block, the last first; at most `limit`.
pub fn last_pieces(tx: &mut ReadTx<'_>, row: &ReservationRow, limit: i64) -> Result<Vec<(i64, PlacedEntry)>> {
    let Some(object) = row.stored_object_id else {
        return Ok(Vec::new());
    };
    let end = LedgerId::of(object, row.entry_ids);
    let query = ledger::table
        .inner_join(blocks::table)
        .filter(ledger::id.ge(LedgerId::of(object, 0)))
        .filter(ledger::id.lt(end))
        .filter(ledger::stored_object_id.eq(object))
        .order(ledger::id.desc())
        .limit(limit)
        .select((ledger::seq, PLACED));
    Ok(query.load(tx.conn()?)?)
}

/// Whether an object of this size is stored; for sizes of at least 4,096 bytes. O(log n).
pub fn is_size_stored(tx: &mut ReadTx<'_>, space: MemRamId, size: u64) -> Result<bool> {
    let query = stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        // Written as in the partial index, so that SQLite can use it.
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("size >= 4096"))
        .filter(stored_objects::size.eq(signed(size)))
        .select(stored_objects::id);
    let found: Option<StoredObjectId> = query.first(tx.conn()?).optional()?;
    Ok(found.is_some())
}

/// The most pieces that an object of `size` bytes can have now, in blocks of `block_size` bytes and
/// whatever else has room. O(classes).
pub fn most_pieces(tx: &mut ReadTx<'_>, space: MemRamId, block_size: u64, size: u64) -> Result<u64> {
    let with_room = |class: crate::models::SizeClassTotals| {
        let uncarved = class.pooled.saturating_sub(class.reserved);
        class.blocks.saturating_sub(class.full_blocks) + uncarved.div_ceil(class.block_size.max(1))
    };
    let classes = spaces::classes(tx, space)?.into_iter();
    Ok(size / block_size.max(1) + classes.map(with_room).sum::<u64>())
}
