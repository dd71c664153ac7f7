//! The order of eviction, in spaces that evict by use.

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::eviction::Evictable;
use super::objects::alive;
use crate::error::Result;
use crate::models::schema::{recency, stored_objects};
use crate::models::{MemRamId, Rank, RankQueue, Ranked, StoredObject, StoredObjectId, Stripe, unsigned};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::value::ObjectId;

/// The columns of a row.
type Row = (StoredObjectId, RankQueue, i64, i64, i64);

macro_rules! columns {
    () => {
        (
            recency::stored_object_id,
            recency::queue,
            recency::position,
            recency::marks,
            recency::size,
        )
    };
}

fn ranked((object, queue, position, marks, size): Row) -> Ranked {
    let marks = u8::try_from(marks).unwrap_or(0);
    let rank = Rank {
        marks,
        ..Rank::at(queue, position, size)
    };
    Ranked { object, rank }
}

/// The place of an object. O(log n).
pub fn rank(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Option<Rank>> {
    let query = recency::table
        .filter(recency::stored_object_id.eq(object))
        .select(columns!());
    let row: Option<Row> = on_engine!(tx, |conn| query.get_result(conn)).optional()?;
    Ok(row.map(|row| ranked(row).rank))
}

/// The places of the objects with these ids, in no order. O(log n) for each.
pub fn of_ids(tx: &mut ReadTx<'_>, space: MemRamId, ids: &[ObjectId]) -> Result<Vec<(ObjectId, Ranked)>> {
    let found = recency::table
        .inner_join(stored_objects::table.on(stored_objects::id.eq(recency::stored_object_id)))
        .filter(stored_objects::memram_id.eq(space))
        .select((stored_objects::object_id, columns!()));
    let rows: Vec<(ObjectId, Row)> = match ids {
        // Its text never changes, so it stays prepared.
        [id] => found
            .filter(stored_objects::object_id.eq(id.digits().as_str()))
            .load(tx.conn()?)?,
        ids => {
            let ids = ids.iter().map(ObjectId::to_string);
            found.filter(stored_objects::object_id.eq_any(ids)).load(tx.conn()?)?
        }
    };
    Ok(rows.into_iter().map(|(id, row)| (id, ranked(row))).collect())
}

/// The last position that is taken. O(log n).
pub fn last_position(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<i64> {
    let mut last = 0;
    for queue in RankQueue::ALL {
        let position: Option<i64> = recency::table
            .filter(recency::memram_id.eq(space))
            .filter(recency::queue.eq(queue))
            .order(recency::position.desc())
            .select(recency::position)
            .limit(1)
            .get_result(tx.conn()?)
            .optional()?;
        last = last.max(position.unwrap_or(0));
    }
    Ok(last)
}

/// The objects in a queue that may go and come after a position. O(log n + limit + those that may not go).
pub fn page(tx: &mut ReadTx<'_>, which: Evictable, queue: RankQueue, after: i64, limit: i64) -> Result<Vec<Ranked>> {
    let Evictable { space, now, latest } = which;
    let rows: Vec<Row> = recency::table
        .inner_join(stored_objects::table.on(stored_objects::id.eq(recency::stored_object_id)))
        .filter(recency::memram_id.eq(space))
        .filter(recency::queue.eq(queue))
        .filter(recency::position.gt(after))
        .filter(stored_objects::pinned.eq(false))
        .filter(stored_objects::created_at.ne(now))
        .filter(stored_objects::created_at.le(latest))
        .filter(alive!(stored_objects, now))
        .order(recency::position)
        .limit(limit)
        .select(columns!())
        .load(tx.conn()?)?;
    Ok(rows.into_iter().map(ranked).collect())
}

/// The places in a queue after a position, with their objects, whether they may go or not. O(log n + limit).
pub fn after(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    queue: RankQueue,
    after: i64,
    limit: i64,
) -> Result<Vec<(Ranked, Option<StoredObject>)>> {
    let rows: Vec<(Row, Option<StoredObject>)> = recency::table
        .left_join(stored_objects::table.on(stored_objects::id.eq(recency::stored_object_id)))
        .filter(recency::memram_id.eq(space))
        .filter(recency::queue.eq(queue))
        .filter(recency::position.gt(after))
        .order(recency::position)
        .limit(limit)
        .select((columns!(), Option::<StoredObject>::as_select()))
        .load(tx.conn()?)?;
    Ok(rows.into_iter().map(|(row, object)| (ranked(row), object)).collect())
}

/// The objects that may go and have no place, the oldest first. O(n).
pub fn unranked(tx: &mut ReadTx<'_>, which: Evictable, after: StoredObjectId, limit: i64) -> Result<Vec<StoredObject>> {
    let Evictable { space, now, latest } = which;
    let place = recency::table.filter(recency::stored_object_id.eq(stored_objects::id));
    Ok(stored_objects::table
        .filter(stored_objects::id.gt(after))
        .filter(stored_objects::id.le(Stripe::of(space).last()))
        .filter(stored_objects::size.gt(0))
        .filter(stored_objects::pinned.eq(false))
        .filter(stored_objects::created_at.ne(now))
        .filter(stored_objects::created_at.le(latest))
        .filter(alive!(stored_objects, now))
        .filter(not(exists(place)))
        .order(stored_objects::id)
        .limit(limit)
        .select(StoredObject::as_select())
        .load(tx.conn()?)?)
}

/// The object with this key. O(log n).
pub fn object(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Option<StoredObject>> {
    let found = stored_objects::table
        .filter(stored_objects::id.eq(object))
        .select(StoredObject::as_select())
        .get_result(tx.conn()?)
        .optional()?;
    Ok(found)
}

/// The place, among the objects that are gone, of the one that had this id. O(log n).
pub fn gone(tx: &mut ReadTx<'_>, space: MemRamId, id: &ObjectId) -> Result<Option<Ranked>> {
    let digits = id.digits();
    let query = recency::table
        .filter(recency::memram_id.eq(space))
        .filter(recency::object_id.eq(digits.as_str()))
        .select(columns!())
        .limit(1);
    let row: Option<Row> = on_engine!(tx, |conn| query.get_result(conn)).optional()?;
    Ok(row.map(ranked))
}

/// The objects that have been gone for longest. O(log n + limit).
pub fn longest_gone(tx: &mut ReadTx<'_>, space: MemRamId, limit: i64) -> Result<Vec<Ranked>> {
    let rows: Vec<Row> = recency::table
        .filter(recency::memram_id.eq(space))
        .filter(recency::queue.eq(RankQueue::Gone))
        .order(recency::position)
        .limit(limit)
        .select(columns!())
        .load(tx.conn()?)?;
    Ok(rows.into_iter().map(ranked).collect())
}

/// Bytes of the objects in the main queue that have expired. O(log n + what has expired).
pub fn expired_in_main(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<u64> {
    let now = tx.now();
    let sizes: Vec<i64> = recency::table
        .inner_join(stored_objects::table.on(stored_objects::id.eq(recency::stored_object_id)))
        .filter(stored_objects::memram_id.eq(space))
        .filter(stored_objects::expires_at.le(now))
        .filter(recency::queue.eq(RankQueue::Main))
        .select(recency::size)
        .load(tx.conn()?)?;
    Ok(sizes.into_iter().map(unsigned).sum())
}
