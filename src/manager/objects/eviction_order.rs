//! The order in which the objects of a space go, and how they are found in the order in which they were stored.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::models::{MemRam, Policy, StoredObject, StoredObjectId, Stripe, Timestamp, signed};
use crate::store::queries::eviction::{self, Evictable, LARGE};
use crate::store::{Line, ReadTx, View};

/// At most this many objects are chosen before they are removed.
pub(super) const MOST: usize = 4096;

/// The order in which the objects of a space go.
#[derive(Debug, Clone, Copy)]
pub(in crate::manager) struct Order {
    policy: Policy,
    which: Evictable,
}

/// The objects that go, in their order.
#[derive(Debug, Default)]
pub(in crate::manager) struct Chosen {
    /// The first ones.
    pub objects: Vec<StoredObject>,
    /// Whether all of them together have enough bytes.
    pub are_enough: bool,
    /// Bytes of all that were counted.
    pub bytes: u64,
}

impl Order {
    /// The order of a space by a policy, at a time.
    pub fn by(policy: Policy, memram: &MemRam, now: Timestamp) -> Self {
        let min_age = signed(memram.evict_min_age);
        let latest = match min_age {
            // The clock may have been set back since they were stored.
            0 => i64::MAX,
            age => now.as_micros().saturating_sub(age),
        };
        Self {
            policy,
            which: Evictable {
                space: memram.id,
                now,
                latest: Timestamp::from_micros(latest),
            },
        }
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    pub fn which(&self) -> Evictable {
        self.which
    }

    /// The same objects, the oldest first.
    pub fn by_age(self) -> Self {
        let policy = Policy::Oldest;
        Self { policy, ..self }
    }

    /// The objects to go, of at least `bytes` together, without `passed`: as few of the first ones as needed.
    /// Up to [`MOST`] are returned; with `is_enough` all that may go are known to be enough, so that no others
    /// are counted.
    pub fn choose(
        &self,
        tx: &mut ReadTx<'_>,
        bytes: u64,
        passed: &BTreeSet<StoredObjectId>,
        is_enough: bool,
    ) -> Result<Chosen> {
        let mut chosen = Chosen {
            are_enough: is_enough,
            ..Chosen::default()
        };
        let mut pages = Pages::new(*self);
        loop {
            let page = pages.next(tx)?;
            if page.is_empty() {
                return Ok(chosen);
            }
            for object in page.into_iter().filter(|object| !passed.contains(&object.id)) {
                chosen.bytes += object.size;
                if chosen.objects.len() < MOST {
                    chosen.objects.push(object);
                } else if is_enough {
                    return Ok(chosen);
                }
                if chosen.bytes >= bytes {
                    chosen.are_enough = true;
                    return Ok(chosen);
                }
            }
        }
    }

    /// The same, the oldest first, among what is known of them.
    pub fn choose_ahead(&self, view: &mut View<'_>, bytes: u64, passed: &BTreeSet<StoredObjectId>) -> Chosen {
        let mut chosen = Chosen::default();
        let (waiting, to) = view.after(Line::Stored, i64::MIN);
        let objects = waiting.filter_map(|waiting| waiting.object.as_ref());
        for object in objects.filter(|object| self.which.has(object) && !passed.contains(&object.id)) {
            chosen.bytes += object.size;
            chosen.objects.push(object.clone());
            if chosen.bytes >= bytes {
                chosen.are_enough = true;
                return chosen;
            }
        }
        view.miss(Line::Stored, to);
        chosen
    }
}

/// The objects that may go, page by page.
struct Pages {
    order: Order,
    next: Next,
    limit: i64,
}

/// Where they continue.
enum Next {
    /// After this key.
    Oldest(StoredObjectId),
    /// The largest ones below a size.
    Below(i64),
    /// Those of a size, after this key.
    OfSize(i64, StoredObjectId),
    /// The small ones, after this size and key.
    Small(i64, StoredObjectId),
}

/// Objects of the first page and of the largest.
const FIRST_PAGE: i64 = 8;
const LARGEST_PAGE: i64 = 512;

impl Pages {
    fn new(order: Order) -> Self {
        let next = match order.policy {
            Policy::Largest => Next::Below(i64::MAX),
            _ => Next::Oldest(first_key(&order)),
        };
        let limit = FIRST_PAGE;
        Self { order, next, limit }
    }

    /// The next ones; none if there are no more.
    fn next(&mut self, tx: &mut ReadTx<'_>) -> Result<Vec<StoredObject>> {
        let which = self.order.which;
        let limit = self.limit;
        self.limit = (limit * 2).min(LARGEST_PAGE);
        loop {
            let page = match self.next {
                Next::Oldest(after) => eviction::oldest(tx, which, after, limit)?,
                Next::Below(size) => {
                    let first = first_key(&self.order);
                    self.next = match eviction::next_size(tx, which, size)? {
                        Some(size) => Next::OfSize(size, first),
                        None => Next::Small(LARGE, first),
                    };
                    continue;
                }
                Next::OfSize(size, after) => eviction::of_size(tx, which, size, after, limit)?,
                Next::Small(size, after) => eviction::largest_small(tx, which, (size, after), limit)?,
            };
            let last = page.last().map(|object| (signed(object.size), object.id));
            match (&mut self.next, last) {
                (Next::OfSize(size, _), None) => {
                    self.next = Next::Below(*size);
                    continue;
                }
                (Next::Oldest(after) | Next::OfSize(_, after), Some((_, id))) => *after = id,
                (Next::Small(size, after), Some(last)) => (*size, *after) = last,
                _ => {}
            }
            return Ok(page);
        }
    }
}

/// A key before those of all objects of the space.
fn first_key(order: &Order) -> StoredObjectId {
    StoredObjectId(Stripe::of(order.which.space).before())
}
