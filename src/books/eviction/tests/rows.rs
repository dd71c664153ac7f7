//! A shelf of plain rows, as a table would have them: what a policy knows fits in their columns.

use std::convert::Infallible;

use crate::books::eviction::policy::{Policy, main_share};
use crate::books::eviction::remembered::Remembered;
use crate::books::eviction::shelf::{Answer, Queue, Shelf};
use crate::books::eviction::trace::TraceRequest;

#[derive(Debug, Clone, Copy)]
struct Row {
    /// The key, which only grows.
    id: u64,
    object: u64,
    size: u64,
    queue: Queue,
    position: u64,
    marks: u8,
}

/// A table, and what belongs to the space.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Row>,
    /// The last key and the last position.
    last: u64,
    /// A position.
    hand: Option<u64>,
}

impl Rows {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn row(&mut self, id: u64) -> &mut Row {
        self.rows.iter_mut().find(|row| row.id == id).unwrap()
    }

    /// `WHERE queue = ? AND position > ? ORDER BY position LIMIT 1`
    fn following(&self, queue: Queue, position: u64) -> Option<Row> {
        let rows = self
            .rows
            .iter()
            .filter(|row| row.queue == queue && row.position > position);
        rows.min_by_key(|row| row.position).copied()
    }

    fn remove(&mut self, id: u64) {
        let row = *self.row(id);
        if self.hand == Some(row.position) {
            self.hand = self.following(row.queue, row.position).map(|next| next.position);
        }
        self.rows.retain(|row| row.id != id);
    }
}

impl Shelf for Rows {
    type Object = u64;
    type Error = Infallible;

    fn first(&mut self, queue: Queue) -> Answer<Option<u64>, Self> {
        Ok(self.following(queue, 0).map(|row| row.id))
    }

    fn after(&mut self, id: u64) -> Answer<Option<u64>, Self> {
        let row = *self.row(id);
        Ok(self.following(row.queue, row.position).map(|row| row.id))
    }

    fn largest(&mut self) -> Answer<Option<u64>, Self> {
        let rows = self.rows.iter();
        let order = |row: &&Row| (row.size, std::cmp::Reverse(row.id));
        Ok(rows.max_by_key(order).map(|row| row.id))
    }

    fn bytes(&mut self, queue: Queue) -> Answer<u64, Self> {
        let rows = self.rows.iter().filter(|row| row.queue == queue);
        Ok(rows.map(|row| row.size).sum())
    }

    fn marks(&mut self, id: u64) -> Answer<u8, Self> {
        Ok(self.row(id).marks)
    }

    fn set_marks(&mut self, id: u64, marks: u8) -> Answer<(), Self> {
        self.row(id).marks = marks;
        Ok(())
    }

    fn append(&mut self, id: u64, queue: Queue) -> Answer<(), Self> {
        let position = self.next();
        let row = self.row(id);
        (row.queue, row.position, row.marks) = (queue, position, 0);
        Ok(())
    }

    fn hand(&mut self) -> Answer<Option<u64>, Self> {
        let at = self.rows.iter().find(|row| Some(row.position) == self.hand);
        Ok(at.map(|row| row.id))
    }

    fn set_hand(&mut self, id: u64) -> Answer<(), Self> {
        self.hand = Some(self.row(id).position);
        Ok(())
    }
}

/// A cache over rows.
#[derive(Debug)]
pub struct RowCache {
    policy: Policy,
    capacity: u64,
    rows: Rows,
    remembered: Remembered,
}

impl RowCache {
    pub fn new(policy: Policy, capacity: u64) -> Self {
        Self {
            policy,
            capacity,
            rows: Rows::default(),
            remembered: Remembered::new(main_share(capacity)),
        }
    }

    pub fn contents(&self) -> Vec<u64> {
        let mut objects: Vec<_> = self.rows.rows.iter().map(|row| row.object).collect();
        objects.sort_unstable();
        objects
    }

    fn find(&self, object: u64) -> Option<u64> {
        let mut rows = self.rows.rows.iter();
        rows.find(|row| row.object == object).map(|row| row.id)
    }

    pub fn take(&mut self, request: TraceRequest) -> bool {
        match request {
            TraceRequest::Free { object } => {
                if let Some(id) = self.find(object) {
                    self.rows.remove(id);
                }
                self.remembered.take(object);
                false
            }
            TraceRequest::Use { object, size } => {
                if let Some(id) = self.find(object) {
                    let Ok(()) = self.policy.touch(&mut self.rows, id);
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
        let is_remembered = self.remembered.take(object);
        while self.rows.rows.iter().map(|row| row.size).sum::<u64>() + size > self.capacity {
            let Ok(victim) = self.policy.victim(&mut self.rows, self.capacity);
            let row = *self.rows.row(victim.unwrap());
            self.rows.remove(row.id);
            if row.queue == Queue::Trial {
                self.remembered.add(row.object, row.size);
            }
        }
        let id = self.rows.next();
        self.rows.rows.push(Row {
            id,
            object,
            size,
            queue: self.policy.queue_of_new(is_remembered),
            position: id,
            marks: 0,
        });
    }
}
