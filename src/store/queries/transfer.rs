//! What a copy of a space reads: objects, their contents and their names, many with one statement.

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable};

use super::names::{KeptName, utf8};
use super::objects::alive;
use crate::error::Result;
use crate::models::schema::{names, stored_objects};
use crate::models::{MemRamId, Shown, ShownIfAny, StoredObject, StoredObjectId, Stripe, Timestamp};
use crate::store::conn::{on_engine, rows_of};
#[cfg(feature = "postgres")]
use crate::store::queries::diagnosis::sum;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// The next objects of a space by key, even if they have expired.
pub fn objects_after(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    after: StoredObjectId,
    limit: i64,
) -> Result<Vec<StoredObject>> {
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        .filter(stored_objects::id.gt(after))
        .filter(stored_objects::id.le(Stripe::of(space).last()))
        .order(stored_objects::id)
        .limit(limit)
        .select(StoredObject::as_select())
        .load(tx.conn()?)?)
}

/// The keys of the objects from `first` to `last`.
pub fn keys_between(tx: &mut ReadTx<'_>, first: StoredObjectId, last: StoredObjectId) -> Result<Vec<StoredObjectId>> {
    Ok(stored_objects::table
        .filter(stored_objects::id.ge(first))
        .filter(stored_objects::id.le(last))
        .order(stored_objects::id)
        .select(stored_objects::id)
        .load(tx.conn()?)?)
}

/// Passes the pieces of all objects from `first` to `last` to `take`, in order.
pub fn each_piece_between(
    tx: &mut ReadTx<'_>,
    first: StoredObjectId,
    last: StoredObjectId,
    mut take: impl FnMut(StoredObjectId, Vec<u8>) -> Result<()>,
) -> Result<()> {
    let age = tx.age();
    let statement = Statement::<ReadPiecesBetween, 2>::new([first.0.into(), last.0.into()]);
    for piece in rows_of!(tx, statement, (StoredObjectId, Vec<u8>)) {
        age.check()?;
        let (object, data) = piece?;
        take(object, data)?;
    }
    Ok(())
}

sql! {
    // The entries of an object have the keys from its own up to that of the next one. Between them may be
    // other entries, which belong to an upload, or to what is left of a large object.
    ReadPiecesBetween: (BigInt, Binary) = "SELECT l.stored_object_id, l.data FROM ledger l WHERE l.id >= ? \
        AND l.id < coalesce((SELECT min(n.id) FROM stored_objects n WHERE n.id > ?), 9223372036854775807) \
        AND EXISTS (SELECT 1 FROM stored_objects o WHERE o.id = l.stored_object_id) ORDER BY l.id";
}

/// The names of all objects from `first` to `last`, by object, without those that have expired.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) if one is not UTF-8.
pub fn names_between(
    tx: &mut ReadTx<'_>,
    first: StoredObjectId,
    last: StoredObjectId,
) -> Result<Vec<(StoredObjectId, KeptName)>> {
    let now = tx.now().as_micros();
    let statement = Statement::<ReadNamesBetween, 3>::new([first.0.into(), last.0.into(), now.into()]);
    let names: Vec<(StoredObjectId, Vec<u8>, Option<Timestamp>)> = on_engine!(tx, |conn| statement.load(conn))?;
    let names = names
        .into_iter()
        .map(|(object, name, expires_at)| Ok((object, KeptName::new(utf8(name)?, expires_at))));
    names.collect()
}

sql! {
    ReadNamesBetween: (BigInt, Binary, Nullable<BigInt>) = "SELECT stored_object_id, CAST(name AS BLOB), expires_at FROM names \
        WHERE stored_object_id >= ? AND stored_object_id <= ? AND coalesce(expires_at > ?, 1) ORDER BY stored_object_id, memram_id, name",
        postgres "SELECT stored_object_id, convert_to(name, 'UTF8'), expires_at FROM names \
        WHERE stored_object_id >= ? AND stored_object_id <= ? AND coalesce(expires_at > ?, true) ORDER BY stored_object_id, memram_id, name";
}

/// The names of these objects, in any order, without those that have expired.
pub fn names_of(tx: &mut ReadTx<'_>, objects: &[StoredObjectId]) -> Result<Vec<(StoredObjectId, KeptName)>> {
    let now = tx.now();
    let names: Vec<(StoredObjectId, Shown, Option<Timestamp>)> = names::table
        .filter(names::stored_object_id.eq_any(objects))
        .filter(alive!(names, now))
        .select((names::stored_object_id, names::name, names::expires_at))
        .load(tx.conn()?)?;
    let names = names
        .into_iter()
        .map(|(object, name, expires_at)| (object, KeptName::new(name.into(), expires_at)));
    Ok(names.collect())
}

/// Bytes of the objects of a space that have not expired. O(objects).
pub fn bytes(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<u64> {
    let now = tx.now().as_micros();
    let statement = Statement::<ReadBytes, 2>::new([space.0.into(), now.into()]);
    Ok(crate::models::unsigned(
        on_engine!(tx, |conn| statement.get_result::<i64>(conn))?
    ))
}

sql! {
    ReadBytes: BigInt = "SELECT CAST(total(size) AS INTEGER) FROM stored_objects \
        WHERE memram_id = ? AND coalesce(expires_at > ?, 1)",
        postgres concat!("SELECT ", sum!("size"), " FROM stored_objects WHERE memram_id = ? AND coalesce(expires_at > ?, true)");
}

/// What two spaces are compared by: an object without its key and when it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct ComparedObject {
    #[diesel(deserialize_as = Shown)]
    pub object_id: String,
    #[diesel(deserialize_as = Shown)]
    pub kind: String,
    #[diesel(deserialize_as = ShownIfAny)]
    pub type_name: Option<String>,
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub size: u64,
    /// Whether it has the anonymous hold, or nothing holds it.
    pub held: bool,
    /// When that hold ends.
    pub held_until: Option<Timestamp>,
}

/// The next objects of a space by their ids, without those that have expired.
pub fn objects_by_id(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    after: &str,
    limit: i64,
) -> Result<Vec<(StoredObjectId, ComparedObject)>> {
    let now = tx.now();
    let names_of = names::table.filter(names::stored_object_id.eq(stored_objects::id));
    let named = exists(names_of.filter(alive!(names, now)));
    let lasts = stored_objects::held_until
        .is_null()
        .or(stored_objects::held_until.gt(now).assume_not_null());
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        .filter(stored_objects::object_id.gt(after))
        .filter(alive!(stored_objects, now))
        .order(stored_objects::object_id)
        .limit(limit)
        .select((
            stored_objects::id,
            (
                stored_objects::object_id,
                stored_objects::kind,
                stored_objects::type_name,
                stored_objects::size,
                stored_objects::held.and(lasts).or(not(named)),
                stored_objects::held_until,
            ),
        ))
        .load(tx.conn()?)?)
}

/// A name and the id of its object.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct ComparedName {
    #[diesel(deserialize_as = Shown)]
    pub name: String,
    #[diesel(deserialize_as = Shown)]
    pub object_id: String,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// The next names of a space in the order of their bytes, without those that have expired.
pub fn names_by_name(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    after: &str,
    limit: i64,
) -> Result<Vec<(StoredObjectId, ComparedName)>> {
    let now = tx.now();
    Ok(names::table
        .inner_join(stored_objects::table)
        .filter(names::memram_id.eq(space))
        .filter(names::name.gt(after))
        .filter(alive!(names, now))
        .order(names::name)
        .limit(limit)
        .select((
            stored_objects::id,
            (names::name, stored_objects::object_id, names::expires_at),
        ))
        .load(tx.conn()?)?)
}
