//! Tags of holds.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::objects::alive;
use crate::error::Result;
use crate::models::schema::{tagged, tags};
use crate::models::{MemRamId, Shown, StoredObjectId, unsigned};
use crate::store::conn::on_engine;
#[cfg(feature = "postgres")]
use crate::store::queries::diagnosis::sum;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};
use crate::value::ObjectId;

/// The tags of a hold: values by key.
pub type Tags = BTreeMap<String, String>;

/// The tags of a hold, which is a name or, if that is empty, the anonymous hold. O(log n + tags).
pub fn of_hold(tx: &mut ReadTx<'_>, object: StoredObjectId, name: &str) -> Result<Tags> {
    let query = tags::table
        .filter(tags::stored_object_id.eq(object))
        .filter(tags::name.eq(name))
        .select((tags::key, tags::value));
    let found: Vec<(Shown, Shown)> = on_engine!(tx, |conn| query.load(conn))?;
    Ok(found
        .into_iter()
        .map(|(key, value)| (key.into(), value.into()))
        .collect())
}

/// The tags of the holds of objects, by object and by name, or an empty text for the anonymous hold.
pub type TagsByHold = BTreeMap<(StoredObjectId, String), Tags>;

/// The tags of the holds of these objects, which are of one space.
pub fn of_objects(tx: &mut ReadTx<'_>, objects: &[StoredObjectId]) -> Result<TagsByHold> {
    let query = tags::table.filter(tags::stored_object_id.eq_any(objects)).select((
        tags::stored_object_id,
        tags::name,
        tags::key,
        tags::value,
    ));
    Ok(by_hold(query.load(tx.conn()?)?))
}

/// The tags of the names from `first` to `last` of these objects.
pub fn of_names(tx: &mut ReadTx<'_>, objects: &[StoredObjectId], first: &str, last: &str) -> Result<TagsByHold> {
    let query = tags::table
        .filter(tags::stored_object_id.eq_any(objects))
        .filter(tags::name.ge(first))
        .filter(tags::name.le(last))
        .select((tags::stored_object_id, tags::name, tags::key, tags::value));
    Ok(by_hold(query.load(tx.conn()?)?))
}

fn by_hold(found: Vec<(StoredObjectId, Shown, Shown, Shown)>) -> TagsByHold {
    let mut by_hold = TagsByHold::new();
    for (object, name, key, value) in found {
        let tags = by_hold.entry((object, name.into())).or_default();
        tags.insert(key.into(), value.into());
    }
    by_hold
}

/// A tag, and how many holds have it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, serde::Serialize)]
#[non_exhaustive]
pub struct TagValue {
    /// The key.
    #[diesel(deserialize_as = Shown)]
    pub key: String,
    /// The value.
    #[diesel(deserialize_as = Shown)]
    pub value: String,
    /// Names and anonymous holds that have it.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub holds: u64,
}

/// All keys with their values, without those of what has expired. O(tags).
pub fn values(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<TagValue>> {
    let now = tx.now();
    Ok(tagged::table
        .filter(tagged::memram_id.eq(space))
        .filter(alive!(tagged, now))
        .group_by((tagged::key, tagged::value))
        .order((tagged::key, tagged::value))
        .select((tagged::key, tagged::value, diesel::dsl::count_star()))
        .load(tx.conn()?)?)
}

/// The keys that most holds have, without those of what has expired. O(tags).
pub fn keys(tx: &mut ReadTx<'_>, space: MemRamId, limit: i64) -> Result<Vec<String>> {
    let now = tx.now();
    let found: Vec<Shown> = tagged::table
        .filter(tagged::memram_id.eq(space))
        .filter(alive!(tagged, now))
        .group_by(tagged::key)
        .order((diesel::dsl::count_star().desc(), tagged::key))
        .limit(limit)
        .select(tagged::key)
        .load(tx.conn()?)?;
    Ok(found.into_iter().map(String::from).collect())
}

/// Objects and their bytes, by the value that their holds have for a key; `None` if they have several.
pub fn usage(tx: &mut ReadTx<'_>, space: MemRamId, key: &str) -> Result<Vec<(Option<String>, [u64; 2])>> {
    let now = tx.now().as_micros();
    let statement = Statement::<ReadUsage, 3>::new([space.0.into(), key.into(), now.into()]);
    let found: Vec<(Option<String>, i64, i64)> = on_engine!(tx, |conn| statement.load(conn))?;
    let rows = found.into_iter();
    Ok(rows
        .map(|(value, objects, bytes)| (value, [objects, bytes].map(unsigned)))
        .collect())
}

/// The objects of a space that are held only by holds with this tag.
pub fn only_by(tx: &mut ReadTx<'_>, space: MemRamId, key: &str, value: &str) -> Result<Vec<ObjectId>> {
    let now = tx.now().as_micros();
    let values = [
        space.0.into(),
        key.into(),
        value.into(),
        now.into(),
        now.into(),
        now.into(),
    ];
    let statement = Statement::<ReadOnlyBy, 6>::new(values);
    let found: Vec<ObjectId> = on_engine!(tx, |conn| statement.load(conn))?;
    Ok(found)
}

/// The objects with a key at a time, and their least and greatest value. Not from the view `tagged`, which goes by
/// the time of the engine: what expires in between would be missing here, but not in other figures of the same read.
macro_rules! valued {
    () => {
        "(SELECT min(t.value) AS least, max(t.value) AS most, min(o.size) AS size FROM tags t \
         JOIN stored_objects o ON o.id = t.stored_object_id \
         LEFT JOIN names n ON n.memram_id = t.memram_id AND n.name = t.name \
         WHERE t.memram_id = ? AND t.key = ? \
         AND coalesce(CASE WHEN t.name = '' THEN o.held_until ELSE n.expires_at END > ?, true) \
         GROUP BY t.stored_object_id) objects GROUP BY 1 ORDER BY 1"
    };
}

sql! {
    ReadUsage: (Nullable<Text>, BigInt, BigInt) = concat!(
        "SELECT CASE WHEN least = most THEN least END, count(*), CAST(total(size) AS INTEGER) FROM ", valued!()),
        postgres concat!("SELECT CASE WHEN least = most THEN least END, count(*), ", sum!("size"), " FROM ", valued!());
    ReadOnlyBy: Text = "SELECT o.object_id FROM (SELECT stored_object_id AS id, count(*) AS holds FROM tagged \
        WHERE memram_id = ? AND key = ? AND value = ? AND coalesce(expires_at > ?, true) GROUP BY stored_object_id) t \
        JOIN stored_objects o ON o.id = t.id WHERE t.holds = CAST(o.held AND coalesce(o.held_until > ?, true) AS INTEGER) \
        + (SELECT count(*) FROM names n WHERE n.stored_object_id = o.id AND coalesce(n.expires_at > ?, true)) ORDER BY o.id";
}

/// A hold with a tag.
#[derive(Debug, Clone, Queryable)]
pub struct TaggedHold {
    pub object_id: ObjectId,
    /// The name, unless it is the anonymous hold.
    #[diesel(deserialize_as = crate::models::ShownIfAny)]
    pub name: Option<String>,
}

/// Some holds with a tag that have not expired. O(log n + limit).
pub fn holds(tx: &mut ReadTx<'_>, space: MemRamId, [key, value]: [&str; 2], limit: i64) -> Result<Vec<TaggedHold>> {
    let now = tx.now();
    Ok(tagged::table
        .filter(tagged::memram_id.eq(space))
        .filter(tagged::key.eq(key))
        .filter(tagged::value.eq(value))
        .filter(alive!(tagged, now))
        .limit(limit)
        .select((tagged::object_id, tagged::name))
        .load(tx.conn()?)?)
}
