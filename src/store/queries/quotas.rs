//! Quotas, and what their owners have.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::error::Result;
use crate::models::schema::{names, quotas, stored_objects, tags};
use crate::models::{MemRamId, Owner, Quota, Shown, ShownIfAny, StoredObjectId, Timestamp, is_over, unsigned};
use crate::store::conn::on_engine;
#[cfg(feature = "postgres")]
use crate::store::queries::diagnosis::sum;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};
use crate::value::ObjectId;

/// The quota of an owner. O(log n).
pub fn of_owner(tx: &mut ReadTx<'_>, space: MemRamId, owner: &Owner) -> Result<Option<Quota>> {
    // A text with a NUL cannot be sent to a server.
    if tx.is_on_server() && (owner.key.contains('\0') || owner.value.contains('\0')) {
        return Ok(None);
    }
    let query = quotas::table
        .filter(quotas::memram_id.eq(space))
        .filter(quotas::key.eq(&owner.key))
        .filter(quotas::value.eq(&owner.value));
    Ok(on_engine!(tx, |conn| query.select(Quota::as_select()).get_result(conn)).optional()?)
}

/// All quotas of a space, in the order of their owners.
pub fn all(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<Quota>> {
    Ok(quotas::table
        .filter(quotas::memram_id.eq(space))
        .order((quotas::key, quotas::value))
        .select(Quota::as_select())
        .load(tx.conn()?)?)
}

/// The size of an object, and its holds that have the tag of an owner: names, or an empty text for the anonymous
/// one. O(log n + holds).
pub fn paying(tx: &mut ReadTx<'_>, object: StoredObjectId, owner: &Owner) -> Result<(i64, BTreeSet<String>)> {
    let (key, value) = (owner.key.as_str(), owner.value.as_str());
    let statement = Statement::<ReadPaying, 3>::new([key.into(), value.into(), object.0.into()]);
    let found: Vec<(i64, ShownIfAny)> = on_engine!(tx, |conn| statement.load(conn))?;
    let size = found.first().map_or(0, |(size, _)| *size);
    let holds = found.into_iter().filter_map(|(_, name)| name.into());
    Ok((size, holds.collect()))
}

/// The same without the size, and for each hold whether it has expired.
pub fn holds(tx: &mut ReadTx<'_>, object: StoredObjectId, owner: &Owner) -> Result<Vec<(String, bool)>> {
    let now = tx.now();
    let is_name = names::name.eq(tags::name).and(names::memram_id.eq(tags::memram_id));
    let query = tags::table
        .inner_join(stored_objects::table.on(stored_objects::id.eq(tags::stored_object_id)))
        .left_join(names::table.on(is_name))
        .filter(tags::stored_object_id.eq(object))
        .filter(tags::key.eq(&owner.key))
        .filter(tags::value.eq(&owner.value))
        .select((tags::name, names::expires_at.nullable(), stored_objects::held_until));
    let found: Vec<(Shown, Option<Timestamp>, Option<Timestamp>)> = query.load(tx.conn()?)?;
    let holds = found.into_iter().map(|(name, expires_at, held_until)| {
        let name = String::from(name);
        let ends = if name.is_empty() { held_until } else { expires_at };
        (name, is_over(ends, now))
    });
    Ok(holds.collect())
}

/// What the holds of an owner amount to: objects and their bytes, each once. O(holds of the owner).
pub fn used(tx: &mut ReadTx<'_>, space: MemRamId, owner: &Owner) -> Result<[i64; 2]> {
    let values = [space.0.into(), owner.key.as_str().into(), owner.value.as_str().into()];
    let statement = Statement::<ReadUsed, 3>::new(values);
    let (objects, bytes): (i64, i64) = on_engine!(tx, |conn| statement.get_result(conn))?;
    Ok([objects, bytes])
}

/// What owners with a quota have, apart from what has expired, and how much of it others with the same key
/// also have: objects and their bytes, shared objects and their bytes. O(tags of the keys).
pub fn living(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<BTreeMap<Owner, [u64; 4]>> {
    let now = tx.now().as_micros();
    let values = [space.0.into(), now.into(), space.0.into()];
    let statement = Statement::<ReadLiving, 3>::new(values);
    let found: Vec<(Shown, Shown, i64, i64, i64, i64)> = on_engine!(tx, |conn| statement.load(conn))?;
    let owners = found
        .into_iter()
        .map(|(key, value, objects, bytes, shared, shared_bytes)| {
            let owner = Owner {
                key: key.into(),
                value: value.into(),
            };
            (owner, [objects, bytes, shared, shared_bytes].map(unsigned))
        });
    Ok(owners.collect())
}

/// Some holds of an owner that have expired: a name, or the anonymous one of an object. O(holds of the owner).
pub fn over(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    owner: &Owner,
    limit: i64,
) -> Result<Vec<(Option<String>, ObjectId)>> {
    let now = tx.now();
    let is_name = names::name.eq(tags::name).and(names::memram_id.eq(tags::memram_id));
    let found: Vec<(Shown, ObjectId)> = tags::table
        .inner_join(stored_objects::table.on(stored_objects::id.eq(tags::stored_object_id)))
        .left_join(names::table.on(is_name))
        .filter(tags::memram_id.eq(space))
        .filter(tags::key.eq(&owner.key))
        .filter(tags::value.eq(&owner.value))
        .filter(
            names::expires_at
                .le(now)
                .or(tags::name.eq("").and(stored_objects::held_until.le(now))),
        )
        .limit(limit)
        .select((tags::name, stored_objects::object_id))
        .load(tx.conn()?)?;
    let holds = found.into_iter().map(|(name, object_id)| {
        let name = String::from(name);
        ((!name.is_empty()).then_some(name), object_id)
    });
    Ok(holds.collect())
}

sql! {
    ReadPaying: (BigInt, Nullable<Text>) = "SELECT o.size, t.name FROM stored_objects o \
        LEFT JOIN tags t ON t.stored_object_id = o.id AND t.key = ? AND t.value = ? WHERE o.id = ?";
    ReadUsed: (BigInt, BigInt) = "SELECT count(*), CAST(total(size) AS INTEGER) FROM stored_objects WHERE id IN \
        (SELECT stored_object_id FROM tags WHERE memram_id = ? AND key = ? AND value = ?)",
        postgres concat!("SELECT count(*), ", sum!("size"), " FROM stored_objects WHERE id IN \
        (SELECT stored_object_id FROM tags WHERE memram_id = ? AND key = ? AND value = ?)");
    ReadLiving: (Text, Text, BigInt, BigInt, BigInt, BigInt) = "WITH \
        owned AS (SELECT key, value, stored_object_id AS id, min(size) AS size FROM tagged \
            WHERE memram_id = ? AND coalesce(expires_at > ?, 1) GROUP BY key, value, stored_object_id), \
        counted AS (SELECT *, count(*) OVER (PARTITION BY key, id) AS owners FROM owned) \
        SELECT q.key, q.value, count(*), CAST(total(size) AS INTEGER), count(*) FILTER (WHERE owners > 1), \
            CAST(total(size) FILTER (WHERE owners > 1) AS INTEGER) \
        FROM quotas q JOIN counted c ON c.key = q.key AND c.value = q.value WHERE q.memram_id = ? GROUP BY q.key, q.value",
        postgres concat!("WITH \
        owned AS (SELECT key, value, stored_object_id AS id, min(size) AS size FROM tagged \
            WHERE memram_id = ? AND coalesce(expires_at > ?, true) GROUP BY key, value, stored_object_id), \
        counted AS (SELECT *, CASE WHEN count(*) OVER (PARTITION BY key, id) > 1 THEN size END AS shared FROM owned) \
        SELECT q.key, q.value, count(*), ", sum!("size"), ", count(shared), ", sum!("shared"), " \
        FROM quotas q JOIN counted c ON c.key = q.key AND c.value = q.value WHERE q.memram_id = ? GROUP BY q.key, q.value");
}
