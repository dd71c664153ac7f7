//! The policies as their papers put them, over vectors: slow, and written independently of the others.

use crate::books::eviction::policy::Policy;
use crate::books::eviction::trace::TraceRequest;

#[derive(Debug, Clone, Copy)]
struct Item {
    object: u64,
    size: u64,
    freq: u32,
}

/// Vectors begin with the object that is next to leave a plain queue.
#[derive(Debug)]
pub struct Naive {
    policy: Policy,
    capacity: u64,
    pub evicted: u64,
    /// The only queue, or M of S3-FIFO.
    main: Vec<Item>,
    /// S of S3-FIFO.
    small: Vec<Item>,
    /// G of S3-FIFO.
    ghost: Vec<Item>,
    /// Index of the hand of SIEVE in `main`.
    hand: usize,
}

fn bytes(items: &[Item]) -> u64 {
    items.iter().map(|item| item.size).sum()
}

fn place(items: &[Item], object: u64) -> Option<usize> {
    items.iter().position(|item| item.object == object)
}

impl Naive {
    pub fn new(policy: Policy, capacity: u64) -> Self {
        Self {
            policy,
            capacity,
            evicted: 0,
            main: Vec::new(),
            small: Vec::new(),
            ghost: Vec::new(),
            hand: 0,
        }
    }

    pub fn contents(&self) -> Vec<u64> {
        let mut objects: Vec<_> = self.main.iter().chain(&self.small).map(|item| item.object).collect();
        objects.sort_unstable();
        objects
    }

    /// Returns whether it is a hit.
    pub fn take(&mut self, request: TraceRequest) -> bool {
        match request {
            TraceRequest::Free { object } => {
                if let Some(at) = place(&self.main, object) {
                    self.drop_main(at);
                }
                self.small.retain(|item| item.object != object);
                self.ghost.retain(|item| item.object != object);
                false
            }
            TraceRequest::Use { object, size } => {
                if let Some(at) = place(&self.main, object) {
                    self.main[at].freq += 1;
                    if self.policy == Policy::Lru {
                        let item = self.main.remove(at);
                        self.main.push(item);
                    }
                    return true;
                }
                if let Some(at) = place(&self.small, object) {
                    self.small[at].freq += 1;
                    return true;
                }
                if size <= self.capacity {
                    self.store(object, size);
                }
                false
            }
        }
    }

    fn store(&mut self, object: u64, size: u64) {
        let in_ghost = place(&self.ghost, object).is_some();
        self.ghost.retain(|item| item.object != object);
        while bytes(&self.main) + bytes(&self.small) + size > self.capacity {
            self.evict();
        }
        let item = Item { object, size, freq: 0 };
        match self.policy {
            Policy::S3Fifo if !in_ghost => self.small.push(item),
            _ => self.main.push(item),
        }
    }

    fn drop_main(&mut self, at: usize) {
        self.main.remove(at);
        if at < self.hand {
            self.hand -= 1;
        }
        // Beyond the newest object the hand begins again, even if others come later.
        if self.hand >= self.main.len() {
            self.hand = 0;
        }
    }

    fn evict(&mut self) {
        let victim = match self.policy {
            Policy::Lru | Policy::Oldest => 0,
            Policy::Largest => {
                let largest = self.main.iter().map(|item| item.size).max().unwrap();
                self.main.iter().position(|item| item.size == largest).unwrap()
            }
            Policy::Sieve => {
                while self.main[self.hand].freq > 0 {
                    self.main[self.hand].freq = 0;
                    self.hand = (self.hand + 1) % self.main.len();
                }
                self.hand
            }
            Policy::S3Fifo => return self.evict_s3(),
        };
        self.drop_main(victim);
        self.evicted += 1;
    }

    fn evict_s3(&mut self) {
        let main_share = self.capacity - self.capacity / 10;
        if bytes(&self.main) > main_share || self.small.is_empty() {
            loop {
                let mut item = self.main.remove(0);
                if item.freq == 0 {
                    self.evicted += 1;
                    return;
                }
                item.freq = item.freq.min(3) - 1;
                self.main.push(item);
            }
        }
        while !self.small.is_empty() {
            let item = self.small.remove(0);
            if item.freq > 1 {
                self.main.push(Item { freq: 0, ..item });
            } else {
                self.evicted += 1;
                if item.size <= main_share {
                    self.ghost.push(item);
                }
                while bytes(&self.ghost) > main_share {
                    self.ghost.remove(0);
                }
                return;
            }
        }
    }
}
