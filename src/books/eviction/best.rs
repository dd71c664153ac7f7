//! The best possible: a cache that knows the future evicts what is asked for last.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::run::{ReplayRun, ReplayStrategy};
use super::trace::{Footprint, TraceRequest};

/// All requests of a trace, each with the next one for the same object.
#[derive(Debug, Default)]
pub(super) struct Future {
    requests: Vec<Known>,
    objects: HashMap<u64, Seen>,
    /// Bytes of all objects.
    bytes: u64,
    is_mixed: bool,
    /// The size of the last object.
    size: Option<u64>,
}

#[derive(Debug)]
struct Known {
    object: u64,
    size: u64,
    next: Next,
}

/// The number of the next request for an object, or one of the constants.
type Next = u64;

/// It is not asked for again, or freed before that.
const NEVER: Next = u64::MAX;

/// Not a request: the object is freed. 0 can stand for this, because the first request is never a next one.
const FREED: Next = 0;

/// The last request for an object, unless it was freed since.
type Seen = Option<usize>;

impl Future {
    pub fn add(&mut self, request: TraceRequest) {
        let number = self.requests.len();
        match request {
            TraceRequest::Use { object, size } => {
                self.note_size(size);
                match self.objects.insert(object, Some(number)) {
                    None => self.bytes = self.bytes.saturating_add(size),
                    Some(last) => self.link(last, number),
                }
                let next = NEVER;
                self.requests.push(Known { object, size, next });
            }
            TraceRequest::Free { object } => {
                if let Some(last) = self.objects.get_mut(&object) {
                    *last = None;
                }
                let (size, next) = (0, FREED);
                self.requests.push(Known { object, size, next });
            }
        }
    }

    fn note_size(&mut self, size: u64) {
        self.is_mixed |= self.size.replace(size).is_some_and(|last| last != size);
    }

    fn link(&mut self, last: Seen, number: usize) {
        if let Some(last) = last.and_then(|last| self.requests.get_mut(last)) {
            last.next = number as u64;
        }
    }

    pub fn footprint(&self) -> Footprint {
        Footprint {
            objects: self.objects.len() as u64,
            bytes: self.bytes,
        }
    }

    /// Whether all objects have the same size.
    pub fn is_uniform(&self) -> bool {
        !self.is_mixed
    }
}

/// A cache that knows the future.
#[derive(Debug)]
pub(super) struct Offline {
    by_size: bool,
    capacity: u64,
    used: u64,
    objects: HashMap<u64, Object>,
    /// By class of size, the objects by their next use.
    classes: BTreeMap<u32, BTreeSet<(Next, u64)>>,
    tally: ReplayRun,
}

#[derive(Debug, Clone, Copy)]
struct Object {
    size: u64,
    next: Next,
}

impl Offline {
    /// Plays all requests. O(log n) for each, with `BeladySize` O(classes of size + log n).
    pub fn run(future: &Future, tally: ReplayRun) -> ReplayRun {
        let mut cache = Self {
            by_size: tally.strategy == ReplayStrategy::BeladySize,
            capacity: tally.size,
            used: 0,
            objects: HashMap::new(),
            classes: BTreeMap::new(),
            tally,
        };
        for (now, request) in future.requests.iter().enumerate() {
            cache.take(now as u64, request);
        }
        cache.tally
    }

    fn take(&mut self, now: u64, request: &Known) {
        let Known { object, size, next } = *request;
        let stored = self.remove(object);
        if next == FREED {
            return;
        }
        match stored {
            Some(stored) => {
                self.tally.hit(size);
                self.insert(object, Object { next, ..stored });
            }
            None if size > self.capacity => self.tally.refused += 1,
            None => {
                self.make_room(now, size);
                self.insert(object, Object { size, next });
            }
        }
    }

    fn make_room(&mut self, now: u64, size: u64) {
        while self.used > self.capacity - size {
            let Some(victim) = self.victim(now) else { return };
            if let Some(removed) = self.remove(victim) {
                self.tally.evicted(removed.size);
            }
        }
    }

    /// The object with the largest product of size and distance. In each class, it is the one that is
    /// farthest away.
    fn victim(&self, now: u64) -> Option<u64> {
        let farthest = self.classes.values().filter_map(|class| class.last());
        let cost = |&&(next, object): &&(Next, u64)| {
            let size = self.objects.get(&object).map_or(0, |object| object.size);
            u128::from(size) * u128::from(next - now)
        };
        farthest.max_by_key(cost).map(|&(_, object)| object)
    }

    fn insert(&mut self, object: u64, of: Object) {
        self.used += of.size;
        self.objects.insert(object, of);
        let class = self.classes.entry(self.class(of.size)).or_default();
        class.insert((of.next, object));
    }

    fn remove(&mut self, object: u64) -> Option<Object> {
        let removed = self.objects.remove(&object)?;
        self.used -= removed.size;
        let class = self.class(removed.size);
        if let Some(of_class) = self.classes.get_mut(&class) {
            of_class.remove(&(removed.next, object));
            if of_class.is_empty() {
                self.classes.remove(&class);
            }
        }
        Some(removed)
    }

    /// Four classes for each power of two.
    fn class(&self, size: u64) -> u32 {
        if !self.by_size {
            return 0;
        }
        let power = size.max(1).ilog2();
        // The two bits below the highest one.
        let quarter = ((u128::from(size) << 2) >> power) as u32 & 3;
        power * 4 + quarter
    }
}
