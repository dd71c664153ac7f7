//! A cache of a given size that evicts by a policy.

use super::lists::Lists;
use super::policy::{Policy, main_share};
use super::remembered::Remembered;
use super::shelf::Queue;
use super::trace::TraceRequest;

/// What a cache did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub hits: u64,
    pub hit_bytes: u64,
    pub evicted: u64,
    pub evicted_bytes: u64,
    pub refused: u64,
}

impl Tally {
    pub fn hit(&mut self, size: u64) {
        self.hits += 1;
        // A trace may claim any size.
        self.hit_bytes = self.hit_bytes.saturating_add(size);
    }

    pub fn evicted(&mut self, size: u64) {
        self.evicted += 1;
        self.evicted_bytes = self.evicted_bytes.saturating_add(size);
    }
}

/// A cache: what is asked for and not there is stored, for which others go.
#[derive(Debug)]
pub(crate) struct Simulation {
    pub policy: Policy,
    pub capacity: u64,
    pub tally: Tally,
    lists: Lists,
    remembered: Remembered,
}

impl Simulation {
    pub fn new(policy: Policy, capacity: u64) -> Self {
        Self {
            policy,
            capacity,
            tally: Tally::default(),
            lists: Lists::new(policy),
            remembered: Remembered::new(main_share(capacity)),
        }
    }

    pub fn take(&mut self, request: TraceRequest) {
        match request {
            TraceRequest::Use { object, size } => self.use_object(object, size),
            TraceRequest::Free { object } => {
                self.lists.remove(object);
                self.remembered.take(object);
            }
        }
    }

    /// An object that is here keeps the size that it was stored with.
    fn use_object(&mut self, object: u64, size: u64) {
        if self.lists.find(object).is_some() {
            self.tally.hit(size);
            let Ok(()) = self.policy.touch(&mut self.lists, object);
        } else if size > self.capacity {
            self.tally.refused += 1;
        } else {
            // What is evicted for it may be remembered at its expense.
            let is_remembered = self.remembered.take(object);
            self.make_room(size);
            self.lists.insert(object, size, self.policy.queue_of_new(is_remembered));
        }
    }

    fn make_room(&mut self, size: u64) {
        while self.lists.total() > self.capacity - size {
            let Ok(victim) = self.policy.victim(&mut self.lists, self.capacity);
            let Some(victim) = victim else { return };
            let queue = self.lists.find(victim);
            let Some(size) = self.lists.remove(victim) else { return };
            self.tally.evicted(size);
            if queue == Some(Queue::Trial) {
                self.remembered.add(victim, size);
            }
        }
    }

    #[cfg(test)]
    pub fn lists(&self) -> &Lists {
        &self.lists
    }
}
