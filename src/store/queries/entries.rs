//! Ledger entries and the bytes in them.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool};

use super::objects::alive;
use crate::error::{Error, Result};
use crate::models::schema::{ledger, reservations, stored_objects};
use crate::models::{ArenaId, BlockId, Ledger, LedgerId, MemRamId, PoolId, ReservationId, StoredObjectId, Stripe};
use crate::store::conn::{on_engine, rows_of};
#[cfg(feature = "postgres")]
use crate::store::postgres::content;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};
use crate::value::ObjectId;

/// A ledger entry with the id of its object, or of the reservation that has it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, serde::Serialize)]
#[non_exhaustive]
pub struct EntryInfo {
    /// Key of the entry.
    pub id: LedgerId,
    /// The object's id; `None` if the entry belongs to a large object that is being stored, or that was
    /// freed and is being given back, or to one that has expired.
    pub object_id: Option<ObjectId>,
    /// Key of the reservation that it belongs to, if it does not belong to an object.
    pub reservation_id: Option<ReservationId>,
    /// Key of the object.
    pub stored_object_id: StoredObjectId,
    /// Position of the piece in the object, from 0.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub seq: u64,
    /// The arena of its block.
    pub arena_id: ArenaId,
    /// The pool of its block.
    pub pool_id: PoolId,
    /// The block that the piece is in.
    pub block_id: BlockId,
    /// Bytes of the piece.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub allocated_mem: u64,
}

impl EntryInfo {
    /// An entry of [`MemManager::ledger`](crate::MemManager::ledger) with the id of its object.
    pub fn new(entry: &Ledger, object_id: ObjectId) -> Self {
        Self {
            id: entry.id,
            object_id: Some(object_id),
            reservation_id: None,
            stored_object_id: entry.stored_object_id,
            seq: entry.seq,
            arena_id: entry.arena_id,
            pool_id: entry.pool_id,
            block_id: entry.block_id,
            allocated_mem: entry.allocated_mem,
        }
    }
}

/// One piece with its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
#[non_exhaustive]
pub struct Piece {
    /// The entry.
    #[diesel(embed)]
    pub entry: Ledger,
    /// The object's id; `None` if it belongs to a large object that is being stored, or that was freed
    /// and is being given back, or to one that has expired.
    pub object_id: Option<ObjectId>,
    /// Key of the reservation that it belongs to, if it does not belong to an object.
    pub reservation_id: Option<ReservationId>,
    /// The bytes.
    pub data: Vec<u8>,
}

/// The entries of an object have the keys from its own up to this: that of the next object or upload.
#[cfg(feature = "postgres")]
macro_rules! end_of {
    ($object:literal) => {
        concat!(
            "least((SELECT min(n.id) FROM stored_objects n WHERE n.id > ",
            $object,
            "), (SELECT min(r.stored_object_id) FROM reservations r WHERE r.stored_object_id > ",
            $object,
            "), 9223372036854775807)"
        )
    };
}
#[cfg(feature = "postgres")]
pub(in crate::store) use end_of;

/// A statement about the entries of an object, whose key it takes four times.
macro_rules! own_entries {
    ($name:ident, $columns:literal, $types:ty, $order:literal) => {
        sql! {
            $name: $types = concat!(
                "SELECT ",
                $columns,
                " FROM ledger l WHERE l.id >= ? \
                 AND l.id < min(coalesce((SELECT min(o.id) FROM stored_objects o WHERE o.id > ?), 9223372036854775807), \
                    coalesce((SELECT min(r.stored_object_id) FROM reservations r WHERE r.stored_object_id > ?), 9223372036854775807)) \
                 AND l.stored_object_id = ? ",
                $order
            ),
            postgres concat!(
                "SELECT ",
                $columns,
                " FROM ledger l WHERE l.id >= ? AND l.id < ",
                end_of!("?"),
                " AND l.stored_object_id = ? ",
                $order
            );
        }

        impl $name {
            fn of(object: StoredObjectId) -> Statement<'static, Self, 4> {
                Statement::new([object.0.into(); 4])
            }
        }
    };
}

own_entries!(
    ReadEntries,
    "l.id, l.stored_object_id, l.seq, l.arena_id, l.pool_id, l.block_id, l.allocated_mem, l.start, l.is_last",
    (BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, Bool),
    "ORDER BY l.id"
);
own_entries!(ReadPieces, "l.data", Binary, "ORDER BY l.id");
own_entries!(ReadLastSeq, "l.seq", BigInt, "ORDER BY l.id DESC LIMIT 1");

/// The entries of an object in the order of its bytes. O(log n + pieces).
pub fn of_object(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Vec<Ledger>> {
    Ok(on_engine!(tx, |conn| ReadEntries::of(object).load(conn))?)
}

/// Passes the bytes of an object to `take`, piece by piece, in a transaction.
pub fn each_piece(
    tx: &mut ReadTx<'_>,
    object: StoredObjectId,
    mut take: impl FnMut(Vec<u8>) -> Result<()>,
) -> Result<()> {
    #[cfg(feature = "postgres")]
    if tx.is_on_server() {
        return content::each_piece(tx, object, take);
    }
    let age = tx.age();
    for data in rows_of!(tx, ReadPieces::of(object), Vec<u8>) {
        age.check()?;
        take(data?)?;
    }
    Ok(())
}

/// The same, but fails with `unreadable` if a page of the object is damaged, because the error about the page does not
/// say which object it belongs to.
pub fn each_piece_or<E: From<Error>>(
    tx: &mut ReadTx<'_>,
    object: StoredObjectId,
    mut take: impl FnMut(Vec<u8>) -> Result<()>,
    unreadable: impl FnOnce() -> E,
) -> Result<(), E> {
    let mut is_taken = true;
    match each_piece(tx, object, |data| take(data).inspect_err(|_| is_taken = false)) {
        Err(Error::Damaged { .. }) if is_taken => Err(unreadable()),
        read => Ok(read?),
    }
}

/// The pieces of an object from piece `from` on, put together, and their number: one piece or, on a
/// server, about [`RUN`] bytes if each has the length `piece`.
pub fn run(tx: &mut ReadTx<'_>, object: StoredObjectId, from: i64, piece: usize) -> Result<Option<(Vec<u8>, i64)>> {
    #[cfg(feature = "postgres")]
    if tx.is_on_server() {
        return content::run(tx, object, from, piece);
    }
    let _ = piece;
    Ok(self::piece(tx, object, from)?.map(|data| (data, 1)))
}

/// Bytes for which a server needs much longer than for a statement.
pub const RUN: usize = 1 << 20;

/// A piece of an object: its entry and its bytes.
#[derive(Debug, PartialEq, Queryable)]
pub struct StoredPiece {
    /// Position of the piece in the object, from 0.
    pub seq: i64,
    /// Bytes that it should have.
    pub allocated_mem: i64,
    /// Bytes of the object before it.
    pub start: i64,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Up to `limit` pieces of an object, in order. O(log n + pieces).
pub fn stored_pieces(tx: &mut ReadTx<'_>, object: StoredObjectId, from: i64, limit: i64) -> Result<Vec<StoredPiece>> {
    let first = LedgerId::of(object, from).0;
    let end = first.saturating_add(limit);
    let statement = Statement::<ReadStoredPieces, 3>::new([first.into(), end.into(), object.0.into()]);
    Ok(on_engine!(tx, |conn| statement.load(conn))?)
}

sql! {
    ReadStoredPieces: (BigInt, BigInt, BigInt, Binary) = "SELECT l.seq, l.allocated_mem, l.start, l.data FROM ledger l \
        WHERE l.id >= ? AND l.id < ? AND l.stored_object_id = ? ORDER BY l.id";
}

/// The contents of the objects, among these, that are in one piece, in any order. O(objects · log n).
pub fn in_one_piece(tx: &mut ReadTx<'_>, objects: &[StoredObjectId]) -> Result<Vec<(StoredObjectId, Vec<u8>)>> {
    let first = objects.iter().map(|&object| LedgerId::of(object, 0));
    Ok(ledger::table
        .filter(ledger::id.eq_any(first))
        .filter(ledger::is_last)
        .select((ledger::stored_object_id, ledger::data))
        .load(tx.conn()?)?)
}

/// The order of [`each_stray_piece`].
#[derive(Debug, Clone, Copy)]
pub enum PieceOrder {
    /// By their positions.
    Seq,
    /// By their keys, which is the same unless `seq` is wrong.
    Id,
}

/// Like [`each_piece`], but finds entries with any keys. For repair, which creates an index for it;
/// without one it is O(n).
pub fn each_stray_piece(
    tx: &mut ReadTx<'_>,
    object: StoredObjectId,
    order: PieceOrder,
    mut take: impl FnMut(Vec<u8>) -> Result<()>,
) -> Result<()> {
    let pieces = ledger::table
        .filter(ledger::stored_object_id.eq(object))
        .select(ledger::data);
    let age = tx.age();
    let rows = match order {
        PieceOrder::Seq => rows_of!(tx, pieces.order(ledger::seq), Vec<u8>),
        PieceOrder::Id => rows_of!(tx, pieces.order(ledger::id), Vec<u8>),
    };
    for data in rows {
        age.check()?;
        take(data?)?;
    }
    Ok(())
}

/// The bytes of one piece.
pub fn piece(tx: &mut ReadTx<'_>, object: StoredObjectId, seq: i64) -> Result<Option<Vec<u8>>> {
    Ok(ledger::table
        .find(LedgerId::of(object, seq))
        .filter(ledger::stored_object_id.eq(object))
        .select(ledger::data)
        .get_result(tx.conn()?)
        .optional()?)
}

/// Where a piece starts in its object, and its bytes.
pub fn extent(tx: &mut ReadTx<'_>, object: StoredObjectId, seq: i64) -> Result<Option<(i64, i64)>> {
    Ok(ledger::table
        .find(LedgerId::of(object, seq))
        .filter(ledger::stored_object_id.eq(object))
        .select((ledger::start, ledger::allocated_mem))
        .get_result(tx.conn()?)
        .optional()?)
}

/// Position of the last piece of an object, or -1 if it has none. O(log n).
pub fn last_seq(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<i64> {
    let last = on_engine!(tx, |conn| ReadLastSeq::of(object).get_result(conn));
    Ok(last.optional()?.unwrap_or(-1))
}

/// The number of an object's entries, from the last position. O(log n).
pub fn count(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<i64> {
    Ok(last_seq(tx, object)?.saturating_add(1))
}

/// The entries with what they belong to, if that has not expired.
macro_rules! with_owner {
    ($now:expr) => {
        ledger::table
            .left_join(
                stored_objects::table.on(stored_objects::id
                    .eq(ledger::stored_object_id)
                    .and(alive!(stored_objects, $now))),
            )
            .left_join(reservations::table.on(reservations::stored_object_id.eq(ledger::stored_object_id.nullable())))
    };
}

/// The pieces in a block, in the order of their keys.
pub fn in_block(tx: &mut ReadTx<'_>, block: BlockId) -> Result<Vec<Piece>> {
    let now = tx.now();
    Ok(with_owner!(now)
        .filter(ledger::block_id.eq(block))
        .order(ledger::id)
        .select((
            Ledger::as_select(),
            stored_objects::object_id.nullable(),
            reservations::id.nullable(),
            ledger::data,
        ))
        .load(tx.conn()?)?)
}

/// The next entries of a space by key.
pub fn page(tx: &mut ReadTx<'_>, space: MemRamId, after: LedgerId, limit: i64) -> Result<Vec<EntryInfo>> {
    let now = tx.now();
    Ok(with_owner!(now)
        .filter(ledger::id.gt(after))
        .filter(ledger::id.le(Stripe::of(space).last()))
        .order(ledger::id)
        .limit(limit)
        .select((
            ledger::id,
            stored_objects::object_id.nullable(),
            reservations::id.nullable(),
            ledger::stored_object_id,
            ledger::seq,
            ledger::arena_id,
            ledger::pool_id,
            ledger::block_id,
            ledger::allocated_mem,
        ))
        .load(tx.conn()?)?)
}
