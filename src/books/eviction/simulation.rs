//! A cache of a given size that evicts by a policy.

use super::lists::Lists;
use super::policy::{Policy, main_share};
use super::remembered::Remembered;
use super::run::{ReplayRun, ReplayStrategy};
use super::shelf::Queue;
use super::trace::TraceRequest;

/// A cache: an object that is asked for and not there is stored, and others go to make room for it.
#[derive(Debug)]
pub(crate) struct Simulation {
    pub policy: Policy,
    pub capacity: u64,
    pub tally: ReplayRun,
    lists: Lists,
    remembered: Remembered,
}

impl Simulation {
    pub fn new(policy: Policy, capacity: u64) -> Self {
        Self {
            policy,
            capacity,
            tally: ReplayRun::new(ReplayStrategy::Policy(policy), capacity),
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
            // Asked first: remembering what is evicted for it may make the cache forget this one.
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
