//! Objects that may be evicted, in the order in which they go.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::objects::alive;
use crate::error::Result;
use crate::models::schema::stored_objects;
use crate::models::{MemRamId, StoredObject, StoredObjectId, Stripe, Timestamp};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// Which objects may go.
#[derive(Debug, Clone, Copy)]
pub struct Evictable {
    pub space: MemRamId,
    /// The time of the unit of work. What was stored at this very time may be the unit's own.
    pub now: Timestamp,
    /// Objects that were stored later are too young.
    pub latest: Timestamp,
}

impl Evictable {
    /// Whether an object of the space is one of them.
    pub fn has(&self, object: &StoredObject) -> bool {
        !object.pinned
            && object.created_at != self.now
            && object.created_at <= self.latest
            && object.expires_at.is_none_or(|end| end > self.now)
    }
}

/// The condition: not pinned, old enough, and not expired, because what has expired is given back in another way.
macro_rules! may_go {
    ($which:expr) => {{
        let Evictable { space, now, latest } = $which;
        stored_objects::table
            .filter(stored_objects::memram_id.eq(space))
            .filter(stored_objects::pinned.eq(false))
            .filter(stored_objects::created_at.ne(now))
            .filter(stored_objects::created_at.le(latest))
            .filter(alive!(stored_objects, now))
    }};
}

/// The ones that were stored first. O(log n + limit + those that may not go).
pub fn oldest(tx: &mut ReadTx<'_>, which: Evictable, after: StoredObjectId, limit: i64) -> Result<Vec<StoredObject>> {
    Ok(may_go!(which)
        .filter(stored_objects::size.gt(0))
        .filter(stored_objects::id.gt(after))
        .filter(stored_objects::id.le(Stripe::of(which.space).last()))
        .order(stored_objects::id)
        .limit(limit)
        .select(StoredObject::as_select())
        .load(tx.conn()?)?)
}

/// Those of the space that were stored after one, the oldest first, whether they may go or not. O(log n + limit).
pub fn stored_after(tx: &mut ReadTx<'_>, space: MemRamId, after: i64, limit: i64) -> Result<Vec<StoredObject>> {
    let stripe = Stripe::of(space);
    Ok(stored_objects::table
        .filter(stored_objects::id.gt(after.max(stripe.before())))
        .filter(stored_objects::id.le(stripe.last()))
        .filter(stored_objects::size.gt(0))
        .order(stored_objects::id)
        .limit(limit)
        .select(StoredObject::as_select())
        .load(tx.conn()?)?)
}

/// The largest size below `below` of an object that has at least `LARGE` bytes. O(log n + those that may not go).
pub fn next_size(tx: &mut ReadTx<'_>, which: Evictable, below: i64) -> Result<Option<i64>> {
    let query = may_go!(which)
        .filter(is_large())
        .filter(stored_objects::size.lt(below))
        .order(stored_objects::size.desc())
        .limit(1)
        .select(stored_objects::size);
    Ok(on_engine!(tx, |conn| query.get_result(conn)).optional()?)
}

/// The ones of this size, of at least `LARGE` bytes, that were stored first. O(log n + limit + those that may
/// not go).
pub fn of_size(
    tx: &mut ReadTx<'_>,
    which: Evictable,
    size: i64,
    after: StoredObjectId,
    limit: i64,
) -> Result<Vec<StoredObject>> {
    let query = may_go!(which)
        .filter(is_large())
        // With `=`, SQLite would search the index for the condition of the index alone, and sort.
        .filter(stored_objects::size.between(size, size))
        .filter(stored_objects::id.gt(after))
        .order((stored_objects::size, stored_objects::id))
        .limit(limit);
    Ok(on_engine!(tx, |conn| query
        .select(StoredObject::as_select())
        .load(conn))?)
}

/// The largest ones of less than `LARGE` bytes, from the one that follows this size and key on. O(n).
pub fn largest_small(
    tx: &mut ReadTx<'_>,
    which: Evictable,
    (size, id): (i64, StoredObjectId),
    limit: i64,
) -> Result<Vec<StoredObject>> {
    let follows = stored_objects::size
        .lt(size)
        .or(stored_objects::size.eq(size).and(stored_objects::id.gt(id)));
    Ok(may_go!(which)
        .filter(stored_objects::size.between(1, LARGE - 1))
        .filter(follows)
        .order((stored_objects::size.desc(), stored_objects::id))
        .limit(limit)
        .select(StoredObject::as_select())
        .load(tx.conn()?)?)
}

/// Objects from this size on are in an index by size.
pub const LARGE: i64 = 4096;

/// A condition whose text never changes, so that the query stays prepared.
fn is_large() -> Statement<'static, IsLarge, 0> {
    Statement::new([])
}

sql! {
    // Written as in the partial index, so that SQLite can use it.
    IsLarge: Bool = "size >= 4096";
}

/// What is pinned and has not expired, in the order of allocation. O(log n + pinned).
pub fn pinned(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<StoredObjectId>> {
    let now = tx.now();
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        .filter(stored_objects::pinned)
        .filter(alive!(stored_objects, now))
        .order(stored_objects::id)
        .select(stored_objects::id)
        .load(tx.conn()?)?)
}
