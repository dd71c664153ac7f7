//! The order in which objects go in a space that evicts by use: a list, in which everything is found by looking.

use heapledger::{ObjectId, Policy};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Queue {
    Trial,
    Main,
}

#[derive(Debug, Clone)]
struct Place {
    id: ObjectId,
    size: u64,
    queue: Queue,
    position: u64,
    marks: u8,
}

#[derive(Debug, Clone, Default)]
pub struct Order {
    pub policy: Option<Policy>,
    /// By position.
    places: Vec<Place>,
    last_position: u64,
    hand: u64,
    /// What failed its trial, with its size, the last one last.
    gone: Vec<(ObjectId, u64)>,
}

impl Order {
    pub fn goes_by_use(&self) -> bool {
        matches!(self.policy, Some(Policy::Lru | Policy::Sieve | Policy::S3Fifo))
    }

    /// Another policy: `objects` are in the order in which they were stored.
    pub fn change(&mut self, policy: Option<Policy>, objects: &[(ObjectId, u64)]) {
        if self.policy == policy {
            return;
        }
        let went_by_use = self.goes_by_use();
        self.policy = policy;
        self.hand = 0;
        self.gone.clear();
        if !self.goes_by_use() {
            self.places.clear();
        } else if went_by_use {
            for place in &mut self.places {
                (place.queue, place.marks) = (Queue::Main, 0);
            }
        } else {
            for &(id, size) in objects.iter().filter(|(_, size)| *size > 0) {
                self.append(id, size, Queue::Main, 0);
            }
        }
    }

    fn append(&mut self, id: ObjectId, size: u64, queue: Queue, marks: u8) {
        self.last_position += 1;
        self.places.push(Place {
            id,
            size,
            queue,
            position: self.last_position,
            marks,
        });
    }

    fn move_to_end(&mut self, id: ObjectId, queue: Queue, marks: u8) {
        let at = self.places.iter().position(|place| place.id == id).unwrap();
        let place = self.places.remove(at);
        self.append(id, place.size, queue, marks);
    }

    /// Whether what is about to be stored failed its trial lately, which is then forgotten.
    pub fn recall(&mut self, id: ObjectId) -> bool {
        let before = self.gone.len();
        self.gone.retain(|(gone, _)| *gone != id);
        self.policy == Some(Policy::S3Fifo) && self.gone.len() < before
    }

    pub fn join(&mut self, id: ObjectId, size: u64, is_recalled: bool) {
        if !self.goes_by_use() || size == 0 {
            return;
        }
        match self.policy {
            Some(Policy::S3Fifo) if !is_recalled => self.append(id, size, Queue::Trial, 0),
            _ => self.append(id, size, Queue::Main, 0),
        }
    }

    pub fn leave(&mut self, id: ObjectId) {
        self.places.retain(|place| place.id != id);
    }

    pub fn used(&mut self, id: ObjectId, times: u8) {
        let Some(place) = self.places.iter_mut().find(|place| place.id == id) else {
            return;
        };
        match self.policy {
            Some(Policy::Lru) => self.move_to_end(id, Queue::Main, 0),
            Some(Policy::Sieve) => place.marks = 1,
            _ => place.marks = (place.marks + times).min(3),
        }
    }

    /// Takes the object off that goes next, of those that may.
    pub fn take_next(&mut self, may_go: &dyn Fn(&ObjectId) -> bool, max_mem: u64) -> Option<ObjectId> {
        match self.policy? {
            Policy::Lru => {
                let place = self.places.iter().find(|place| may_go(&place.id))?.clone();
                self.leave(place.id);
                Some(place.id)
            }
            Policy::Sieve => self.sieve(may_go),
            _ => self.s3_fifo(may_go, max_mem),
        }
    }

    fn sieve(&mut self, may_go: &dyn Fn(&ObjectId) -> bool) -> Option<ObjectId> {
        let hand = self.hand;
        let circle: Vec<usize> = (0..self.places.len())
            .filter(|&at| may_go(&self.places[at].id))
            .collect();
        let (before, after): (Vec<_>, Vec<_>) = circle.iter().partition(|&&at| self.places[at].position < hand);
        let unmarked = |at: &&usize| self.places[**at].marks == 0;
        let round: Vec<usize> = after.into_iter().chain(before).copied().collect();
        // If all are marked, the first one goes after a whole round.
        let steps = round.iter().position(|at| unmarked(&at));
        for &at in round.iter().take(steps.unwrap_or(round.len())) {
            self.places[at].marks = 0;
        }
        let victim = *round.get(steps.unwrap_or(0))?;
        let next = circle.iter().find(|&&at| at > victim);
        self.hand = next.map_or(0, |&at| self.places[at].position);
        Some(self.places.remove(victim).id)
    }

    fn s3_fifo(&mut self, may_go: &dyn Fn(&ObjectId) -> bool, max_mem: u64) -> Option<ObjectId> {
        let main = self.places.iter().filter(|place| place.queue == Queue::Main);
        if main.map(|place| place.size).sum::<u64>() <= max_mem - max_mem / 10
            && let Some(id) = self.failed_trial(may_go, max_mem)
        {
            return Some(id);
        }
        while let Some(place) = self.first(Queue::Main, may_go) {
            if place.marks == 0 {
                self.leave(place.id);
                return Some(place.id);
            }
            self.move_to_end(place.id, Queue::Main, place.marks - 1);
        }
        self.failed_trial(may_go, max_mem)
    }

    fn failed_trial(&mut self, may_go: &dyn Fn(&ObjectId) -> bool, max_mem: u64) -> Option<ObjectId> {
        while let Some(place) = self.first(Queue::Trial, may_go) {
            if place.marks < 2 {
                self.leave(place.id);
                self.remember(place.id, place.size, max_mem - max_mem / 10);
                return Some(place.id);
            }
            self.move_to_end(place.id, Queue::Main, 0);
        }
        None
    }

    fn first(&self, queue: Queue, may_go: &dyn Fn(&ObjectId) -> bool) -> Option<Place> {
        let mut places = self.places.iter();
        places.find(|place| place.queue == queue && may_go(&place.id)).cloned()
    }

    fn remember(&mut self, id: ObjectId, size: u64, most: u64) {
        if size > most {
            return;
        }
        let bytes = |gone: &[(ObjectId, u64)]| gone.iter().map(|(_, size)| size).sum::<u64>();
        while bytes(&self.gone) + size > most {
            self.gone.remove(0);
        }
        self.gone.push((id, size));
    }
}
