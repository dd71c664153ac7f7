//! A shelf in memory.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::convert::Infallible;

use hashlink::LinkedHashMap;
use hashlink::linked_hash_map::RawEntryMut;

use super::policy::Policy;
use super::shelf::{Answer, Queue, Shelf};

/// All objects of a cache, in linked lists. About 80 bytes for each object.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    trial: List,
    main: List,
    hand: Option<u64>,
    /// The objects by size, if the policy asks for the largest: size, number, object.
    by_size: Option<BTreeSet<(u64, Reverse<u64>, u64)>>,
    /// Objects that were ever put here.
    inserted: u64,
}

#[derive(Debug, Default)]
struct List {
    objects: LinkedHashMap<u64, Item>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    size: u64,
    number: u64,
    marks: u8,
}

impl Lists {
    pub fn new(policy: Policy) -> Self {
        Self {
            by_size: (policy == Policy::Largest).then(BTreeSet::new),
            ..Self::default()
        }
    }

    /// The queue that an object is in, if it is here.
    pub fn find(&self, object: u64) -> Option<Queue> {
        [Queue::Main, Queue::Trial]
            .into_iter()
            .find(|&queue| self.list(queue).objects.contains_key(&object))
    }

    /// Adds an object that is not here.
    pub fn insert(&mut self, object: u64, size: u64, queue: Queue) {
        self.inserted += 1;
        let number = self.inserted;
        if let Some(by_size) = &mut self.by_size {
            by_size.insert((size, Reverse(number), object));
        }
        self.list_mut(queue).push(object, Item { size, number, marks: 0 });
    }

    /// Takes an object off, and returns its size.
    pub fn remove(&mut self, object: u64) -> Option<u64> {
        if self.hand == Some(object) {
            let Ok(next) = self.after(object);
            self.hand = next;
        }
        let item = self.take(object)?;
        if let Some(by_size) = &mut self.by_size {
            by_size.remove(&(item.size, Reverse(item.number), object));
        }
        Some(item.size)
    }

    /// Bytes of all objects.
    pub fn total(&self) -> u64 {
        self.trial.bytes + self.main.bytes
    }

    fn take(&mut self, object: u64) -> Option<Item> {
        self.main.take(object).or_else(|| self.trial.take(object))
    }

    fn item(&mut self, object: u64) -> Option<&mut Item> {
        match self.main.objects.get_mut(&object) {
            Some(item) => Some(item),
            None => self.trial.objects.get_mut(&object),
        }
    }

    fn list(&self, queue: Queue) -> &List {
        match queue {
            Queue::Trial => &self.trial,
            Queue::Main => &self.main,
        }
    }

    fn list_mut(&mut self, queue: Queue) -> &mut List {
        match queue {
            Queue::Trial => &mut self.trial,
            Queue::Main => &mut self.main,
        }
    }
}

impl List {
    fn push(&mut self, object: u64, item: Item) {
        self.bytes += item.size;
        self.objects.insert(object, item);
    }

    fn take(&mut self, object: u64) -> Option<Item> {
        let item = self.objects.remove(&object)?;
        self.bytes -= item.size;
        Some(item)
    }

    fn after(&mut self, object: u64) -> Option<u64> {
        match self.objects.raw_entry_mut().from_key(&object) {
            RawEntryMut::Occupied(found) => found.cursor_mut().peek_next().map(|(&next, _)| next),
            RawEntryMut::Vacant(_) => None,
        }
    }
}

impl Shelf for Lists {
    type Object = u64;
    type Error = Infallible;

    fn first(&mut self, queue: Queue) -> Answer<Option<u64>, Self> {
        Ok(self.list(queue).objects.front().map(|(&object, _)| object))
    }

    fn after(&mut self, object: u64) -> Answer<Option<u64>, Self> {
        Ok(self.main.after(object).or_else(|| self.trial.after(object)))
    }

    fn largest(&mut self) -> Answer<Option<u64>, Self> {
        let by_size = self.by_size.as_ref();
        Ok(by_size.and_then(BTreeSet::last).map(|&(.., object)| object))
    }

    fn bytes(&mut self, queue: Queue) -> Answer<u64, Self> {
        Ok(self.list(queue).bytes)
    }

    fn marks(&mut self, object: u64) -> Answer<u8, Self> {
        Ok(self.item(object).map_or(0, |item| item.marks))
    }

    fn set_marks(&mut self, object: u64, marks: u8) -> Answer<(), Self> {
        if let Some(item) = self.item(object) {
            item.marks = marks;
        }
        Ok(())
    }

    fn append(&mut self, object: u64, queue: Queue) -> Answer<(), Self> {
        if let Some(item) = self.list_mut(queue).objects.to_back(&object) {
            item.marks = 0;
        } else if let Some(item) = self.take(object) {
            self.list_mut(queue).push(object, Item { marks: 0, ..item });
        }
        Ok(())
    }

    fn hand(&mut self) -> Answer<Option<u64>, Self> {
        Ok(self.hand)
    }

    fn set_hand(&mut self, object: u64) -> Answer<(), Self> {
        self.hand = Some(object);
        Ok(())
    }
}
