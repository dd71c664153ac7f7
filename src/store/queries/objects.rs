//! Stored objects.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::error::Result;
use crate::models::schema::{objects, stored_objects, tagged};
use crate::models::{
    MemRamId, Shown, ShownIfAny, ShownList, StoredObject, StoredObjectId, Stripe, Timestamp, WrittenTime,
};
use crate::store::conn::on_engine;
#[cfg(feature = "postgres")]
use crate::store::queries::diagnosis::sum;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};
use crate::value::{Kind, ObjectId};

/// A condition: what has not expired.
macro_rules! alive {
    ($table:ident, $now:expr) => {
        $table::expires_at.is_null().or($table::expires_at.gt($now))
    };
}
pub(in crate::store) use alive;

/// A row of the view `objects`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = objects)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Key of its row.
    #[diesel(column_name = id)]
    #[serde(rename = "id")]
    pub key: StoredObjectId,
    /// The SHA-256 of its content.
    #[diesel(column_name = object_id)]
    #[serde(rename = "object_id")]
    pub id: ObjectId,
    /// The name of its space.
    #[diesel(deserialize_as = Shown)]
    pub space: String,
    /// Its names, in alphabetical order.
    #[diesel(column_name = names_json, deserialize_as = ShownList)]
    pub names: Vec<String>,
    /// Its kind.
    pub kind: Kind,
    /// For [`Kind::Json`], the Rust type that was stored.
    #[diesel(deserialize_as = ShownIfAny)]
    pub type_name: Option<String>,
    /// Bytes of content.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub size: u64,
    /// Number of ledger entries.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub pieces: u64,
    /// Whether an allocation without a name holds it.
    pub held: bool,
    /// When it was stored, in whole seconds.
    #[diesel(deserialize_as = WrittenTime)]
    #[serde(serialize_with = "in_seconds")]
    pub created: Timestamp,
    /// When the last of its holds ends; `None` if one never does.
    pub expires_at: Option<Timestamp>,
    /// The value, if it is text in one piece.
    #[diesel(deserialize_as = ShownIfAny)]
    pub value: Option<String>,
}

fn in_seconds<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.0}"))
}

/// The object with this id, unless it has expired. O(log n).
pub fn find(tx: &mut ReadTx<'_>, space: MemRamId, object_id: &ObjectId) -> Result<Option<StoredObject>> {
    let kept = find_kept(tx, space, object_id)?;
    Ok(kept.and_then(|object| object.seen_at(tx.now())))
}

/// The object with this id, even if it has expired and is not given back yet. O(log n).
pub fn find_kept(tx: &mut ReadTx<'_>, space: MemRamId, object_id: &ObjectId) -> Result<Option<StoredObject>> {
    let digits = object_id.digits();
    let statement = Statement::<ReadObject, 2>::new([digits.as_str().into(), space.0.into()]);
    Ok(on_engine!(tx, |conn| statement.get_result(conn)).optional()?)
}

sql! {
    ReadObject: stored_objects::SqlType = "SELECT id, memram_id, object_id, kind, type_name, size, held, created_at, held_until, expires_at, pinned, held_refresh \
        FROM stored_objects WHERE object_id = ? AND memram_id = ?";
}

/// Of these objects, the ones that are stored, even if they have expired. O(ids · log n).
pub fn find_all(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    object_ids: &[ObjectId],
) -> Result<HashMap<ObjectId, StoredObject>> {
    let digits: Vec<_> = object_ids.iter().map(|id| id.to_hex()).collect();
    let query = stored_objects::table
        .filter(stored_objects::object_id.eq_any(&digits))
        .filter(stored_objects::memram_id.eq(space));
    let found: Vec<StoredObject> = on_engine!(tx, |conn| query.select(StoredObject::as_select()).load(conn))?;
    found
        .into_iter()
        .map(|object| Ok((object.known_id()?, object)))
        .collect()
}

/// The id and the kind of an object as text, valid or not.
pub fn spelled(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<(String, String)> {
    let texts: (Shown, Shown) = stored_objects::table
        .find(object)
        .select((stored_objects::object_id, stored_objects::kind))
        .get_result(tx.conn()?)?;
    Ok((texts.0.into(), texts.1.into()))
}

/// The size of an object according to its row.
pub fn size(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Option<i64>> {
    Ok(stored_objects::table
        .find(object)
        .select(stored_objects::size)
        .get_result(tx.conn()?)
        .optional()?)
}

/// The space of an object.
pub fn space(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Option<MemRamId>> {
    Ok(stored_objects::table
        .find(object)
        .select(stored_objects::memram_id)
        .get_result(tx.conn()?)
        .optional()?)
}

/// Ids that start with `prefix`, at most `limit`, without what has expired. O(log n + limit).
pub fn with_prefix(tx: &mut ReadTx<'_>, space: MemRamId, prefix: &str, limit: i64) -> Result<Vec<ObjectId>> {
    let now = tx.now();
    // 'g' sorts after all hexadecimal digits, so this range is equivalent to LIKE 'prefix%',
    // but can use the unique index.
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        .filter(stored_objects::object_id.ge(prefix))
        .filter(stored_objects::object_id.lt(format!("{prefix}g")))
        .filter(alive!(stored_objects, now))
        .order(stored_objects::object_id)
        .limit(limit)
        .select(stored_objects::object_id)
        .load(tx.conn()?)?)
}

/// The next objects of the whole file by key.
pub fn page_of_file(tx: &mut ReadTx<'_>, after: StoredObjectId, limit: i64) -> Result<Vec<StoredObject>> {
    Ok(stored_objects::table
        .filter(stored_objects::id.gt(after))
        .order(stored_objects::id)
        .limit(limit)
        .select(StoredObject::as_select())
        .load(tx.conn()?)?)
}

/// The next objects of a space after one of its ids, in the order of allocation, as rows of the view
/// `objects`: those that have, for each of these tags, a hold with that tag (this value, or any).
pub fn tagged_page(
    tx: &mut ReadTx<'_>,
    tags: &[(String, Option<String>)],
    after: StoredObjectId,
    limit: i64,
) -> Result<Vec<ObjectInfo>> {
    let (now, space) = (tx.now(), after.space());
    let mut query = objects::table
        .filter(objects::id.gt(after))
        .filter(objects::id.le(Stripe::of(space).last()))
        .filter(alive!(objects, now))
        .order(objects::id)
        .limit(limit)
        .select(ObjectInfo::as_select())
        .into_boxed();
    for (key, value) in tags {
        let with_key = tagged::table
            .filter(tagged::memram_id.eq(space))
            .filter(tagged::key.eq(key))
            .filter(alive!(tagged, now))
            .select(tagged::stored_object_id);
        query = match value {
            Some(value) => query.filter(objects::id.eq_any(with_key.filter(tagged::value.eq(value)))),
            None => query.filter(objects::id.eq_any(with_key)),
        };
    }
    Ok(query.load(tx.conn()?)?)
}

/// How many objects a space has, and their bytes, without what has expired. O(expired + uploads + log n).
pub fn totals(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<[u64; 2]> {
    let memram = super::spaces::get(tx, space)?;
    let uploads = super::reservations::written_in(tx, space)?;
    let mut left = [memram.objects(), memram.mem.saturating_sub(uploads)];
    for gone in expired(tx, space)? {
        left = [left[0].saturating_sub(gone.objects), left[1].saturating_sub(gone.mem)];
    }
    Ok(left)
}

/// One object as a row of the view `objects`, which goes by the clock of the engine.
pub fn info(tx: &mut ReadTx<'_>, id: StoredObjectId) -> Result<Option<ObjectInfo>> {
    Ok(objects::table
        .filter(objects::id.eq(id))
        .select(ObjectInfo::as_select())
        .get_result(tx.conn()?)
        .optional()?)
}

/// Objects of a space that have expired, in the order in which they expired. O(log n + limit).
pub fn over(tx: &mut ReadTx<'_>, space: MemRamId, now: Timestamp, limit: i64) -> Result<Vec<StoredObject>> {
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        // Written as in the partial index, so that SQLite can use it.
        .filter(stored_objects::expires_at.is_not_null())
        .filter(stored_objects::expires_at.le(now))
        .order((stored_objects::expires_at, stored_objects::id))
        .limit(limit)
        .select(StoredObject::as_select())
        .load(tx.conn()?)?)
}

/// When the newest object of a space was stored, apart from those stored at this time.
pub fn newest_before(tx: &mut ReadTx<'_>, space: MemRamId, now: Timestamp) -> Result<Option<Timestamp>> {
    let stripe = Stripe::of(space);
    Ok(stored_objects::table
        .filter(stored_objects::id.between(stripe.before(), stripe.last()))
        .filter(stored_objects::created_at.ne(now))
        .order(stored_objects::id.desc())
        .limit(1)
        .select(stored_objects::created_at)
        .get_result(tx.conn()?)
        .optional()?)
}

/// What has expired of a kind, and is not given back yet.
#[derive(Debug, Clone, Copy, Queryable)]
pub struct ExpiredOfKind {
    pub kind: Kind,
    /// How many objects.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub objects: u64,
    /// Bytes of their contents.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub mem: u64,
}

/// What has expired and is not given back yet. O(log n + expired).
pub fn expired(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<ExpiredOfKind>> {
    let now = tx.now().as_micros();
    let statement = Statement::<ReadExpired, 2>::new([space.0.into(), now.into()]);
    Ok(on_engine!(tx, |conn| statement.load(conn))?)
}

sql! {
    ReadExpired: (Text, BigInt, BigInt) = "SELECT kind, count(*), coalesce(sum(size), 0) FROM stored_objects \
        WHERE memram_id = ? AND expires_at IS NOT NULL AND expires_at <= ? GROUP BY kind",
        postgres concat!("SELECT kind, count(*), ", sum!("size"), " FROM stored_objects \
        WHERE memram_id = ? AND expires_at IS NOT NULL AND expires_at <= ? GROUP BY kind");
}

/// The largest objects of at least `LARGE` bytes, largest first. O(log n + limit).
pub fn largest(tx: &mut ReadTx<'_>, space: MemRamId, limit: i64) -> Result<Vec<StoredObject>> {
    let now = tx.now();
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        .filter(alive!(stored_objects, now))
        // Written as in the partial index, so that SQLite can use it.
        .filter(diesel::dsl::sql::<Bool>("size >= 4096"))
        .order((stored_objects::size.desc(), stored_objects::id))
        .limit(limit)
        .select(StoredObject::as_select())
        .load(tx.conn()?)?)
}

/// The largest objects of any size. O(n).
pub fn largest_of_all(tx: &mut ReadTx<'_>, space: MemRamId, limit: i64) -> Result<Vec<StoredObject>> {
    let now = tx.now();
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        .filter(alive!(stored_objects, now))
        .order((stored_objects::size.desc(), stored_objects::id))
        .limit(limit)
        .select(StoredObject::as_select())
        .load(tx.conn()?)?)
}
