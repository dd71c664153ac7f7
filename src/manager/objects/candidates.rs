//! What may go in a space that evicts by use: rows as they are written, or what the writer knows of the next ones.

use std::collections::BTreeSet;

use super::eviction_order::Order;
use crate::books::eviction::shelf::Queue;
use crate::error::Result;
use crate::models::{Ranked, StoredObject, StoredObjectId};
use crate::store::queries::eviction::Evictable;
use crate::store::queries::recency;
use crate::store::{Line, ReadTx, View};

/// Where a policy looks for what goes.
pub(in crate::manager) trait Candidates {
    /// Up to `limit` objects of a queue after a position, and the position up to which these are all that may go.
    fn page(&mut self, which: Evictable, queue: Queue, after: i64, limit: i64) -> Result<(Vec<Ranked>, i64)>;

    /// The row of an object that a page had.
    fn object(&mut self, object: StoredObjectId) -> Result<Option<StoredObject>>;

    /// The next object that may go and has no place.
    fn unranked(&mut self, which: Evictable, after: StoredObjectId) -> Result<Vec<StoredObject>>;

    /// Whether all that may go have that many bytes together.
    fn have(&mut self, order: Order, bytes: u64, passed: &BTreeSet<StoredObjectId>) -> Result<bool>;
}

impl Candidates for ReadTx<'_> {
    fn page(&mut self, which: Evictable, queue: Queue, after: i64, limit: i64) -> Result<(Vec<Ranked>, i64)> {
        let found = recency::page(self, which, queue.into(), after, limit)?;
        let to = match found.last() {
            Some(last) if found.len() as i64 == limit => last.rank.position,
            _ => i64::MAX,
        };
        Ok((found, to))
    }

    fn object(&mut self, object: StoredObjectId) -> Result<Option<StoredObject>> {
        recency::object(self, object)
    }

    fn unranked(&mut self, which: Evictable, after: StoredObjectId) -> Result<Vec<StoredObject>> {
        recency::unranked(self, which, after, 1)
    }

    fn have(&mut self, order: Order, bytes: u64, passed: &BTreeSet<StoredObjectId>) -> Result<bool> {
        Ok(order.by_age().choose(self, bytes, passed, false)?.are_enough)
    }
}

impl Candidates for View<'_> {
    fn page(&mut self, which: Evictable, queue: Queue, after: i64, limit: i64) -> Result<(Vec<Ranked>, i64)> {
        let (waiting, to) = self.after(Line::Ranked(queue.into()), after);
        let may_go = waiting.filter(|waiting| waiting.object.as_ref().is_some_and(|object| which.has(object)));
        let found: Vec<_> = may_go.map(|waiting| waiting.ranked).take(limit as usize).collect();
        let to = match found.last() {
            Some(last) if found.len() as i64 == limit => last.rank.position,
            _ => to,
        };
        Ok((found, to))
    }

    fn object(&mut self, object: StoredObjectId) -> Result<Option<StoredObject>> {
        Ok(View::object(self, object).cloned())
    }

    fn unranked(&mut self, _: Evictable, _: StoredObjectId) -> Result<Vec<StoredObject>> {
        // A caller that asks has seen all that is known.
        self.miss(Line::Stored, i64::MIN);
        Ok(Vec::new())
    }

    fn have(&mut self, _: Order, _: u64, _: &BTreeSet<StoredObjectId>) -> Result<bool> {
        self.miss(Line::Stored, i64::MIN);
        Ok(false)
    }
}
