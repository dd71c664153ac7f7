//! What goes next in a space that evicts by use: the rows of `recency` as a shelf.
//!
//! A policy moves objects while it looks for one that goes. Here it moves them in memory; an eviction writes
//! what has changed, and a plan discards it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::candidates::Candidates;
use super::eviction_order::{Chosen, MOST, Order};
use crate::books::change::Change;
use crate::books::eviction::shelf::{Queue, Shelf};
use crate::error::{Error, Result};
use crate::models::{MemRam, Rank, RankQueue, Ranked, StoredObject, StoredObjectId, Stripe, signed, unsigned};
use crate::store::queries::recency;
use crate::store::{ReadTx, WriteTx};
use crate::value::ObjectId;

/// The order as a policy has changed it.
pub(in crate::manager) struct ByUse {
    order: Order,
    capacity: u64,
    /// Objects that were looked at: where they were, and where they are.
    items: HashMap<StoredObjectId, Item>,
    /// Objects that are no longer where they were.
    away: BTreeSet<StoredObjectId>,
    /// Objects that were put at the end of a queue.
    appended: BTreeMap<(Queue, i64), StoredObjectId>,
    /// For each queue, rows that were read.
    pages: [Page; 2],
    /// For each queue, a position before which nothing is left.
    starts: [i64; 2],
    last_position: i64,
    hand: i64,
    hand_before: i64,
    main: i64,
    mem: i64,
    /// Objects that were chosen from the trial.
    failed: BTreeSet<StoredObjectId>,
    /// Where the search for objects without a row continues, once no others are left.
    unranked_after: StoredObjectId,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    before: Rank,
    queue: Queue,
    position: i64,
    marks: u8,
}

/// The rows of a queue with positions after `from`, up to `to`.
#[derive(Debug, Default)]
struct Page {
    from: i64,
    to: i64,
    rows: Vec<(i64, StoredObjectId)>,
    limit: i64,
}

/// Rows of the first page and of the largest.
const FIRST_PAGE: i64 = 4;
const LARGEST_PAGE: i64 = 512;

impl ByUse {
    pub fn new(order: Order, memram: &MemRam, last_position: i64) -> Self {
        let hand = signed(memram.evict_hand);
        Self {
            order,
            capacity: memram.max_mem,
            items: HashMap::new(),
            away: BTreeSet::new(),
            appended: BTreeMap::new(),
            pages: Default::default(),
            starts: [i64::MIN; 2],
            last_position,
            hand,
            hand_before: hand,
            main: signed(memram.evict_main),
            mem: signed(memram.mem),
            failed: BTreeSet::new(),
            unranked_after: StoredObjectId(Stripe::of(memram.id).before()),
        }
    }

    /// The next objects to go, of at least `bytes` together, like [`Order::choose`].
    pub fn choose(
        &mut self,
        from: &mut dyn Candidates,
        bytes: u64,
        passed: &BTreeSet<StoredObjectId>,
        is_enough: bool,
    ) -> Result<Chosen> {
        let mut chosen = Chosen {
            are_enough: is_enough,
            ..Chosen::default()
        };
        while chosen.bytes < bytes {
            if chosen.objects.len() == MOST {
                // What may go is the same in any order.
                chosen.are_enough = is_enough || from.have(self.order, bytes, passed)?;
                return Ok(chosen);
            }
            let Some(object) = self.next(from)? else {
                return Ok(chosen);
            };
            if !passed.contains(&object.id) {
                chosen.bytes += object.size;
                chosen.objects.push(object);
            }
        }
        chosen.are_enough = true;
        Ok(chosen)
    }

    fn next(&mut self, from: &mut dyn Candidates) -> Result<Option<StoredObject>> {
        let (policy, capacity) = (self.order.policy(), self.capacity);
        while let Some(key) = policy.victim(&mut Rows { from, on: self }, capacity)? {
            Rows { from, on: self }.take(key)?;
            if let Some(object) = from.object(key)? {
                return Ok(Some(object));
            }
        }
        // Only a damaged heap has objects without a row.
        let found = from.unranked(self.order.which(), self.unranked_after)?;
        self.unranked_after = found.last().map_or(self.unranked_after, |object| object.id);
        Ok(found.into_iter().next())
    }

    /// Moves objects whose uses are not recorded in their rows yet.
    pub fn note_uses(&mut self, tx: &mut ReadTx<'_>, uses: &[(ObjectId, u8)]) -> Result<()> {
        let (policy, which) = (self.order.policy(), self.order.which());
        for (id, count) in uses {
            let Some((_, ranked)) = recency::of_ids(tx, which.space, &[*id])?.pop() else {
                continue;
            };
            let may_go = recency::object(tx, ranked.object)?.is_some_and(|object| which.has(&object));
            if may_go && self.load(ranked) {
                for _ in 0..*count {
                    policy.touch(&mut Rows { from: tx, on: self }, ranked.object)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the places of the objects that were not chosen, and the hand.
    pub fn write(&self, tx: &mut WriteTx<'_>) -> Result<()> {
        for (&object, item) in &self.items {
            let after = Rank {
                queue: item.queue.into(),
                position: item.position,
                marks: item.marks,
                ..item.before
            };
            let is_chosen = self.away.contains(&object) && !self.appended.contains_key(&(item.queue, item.position));
            if after != item.before && !is_chosen {
                let before = Some(item.before);
                let after = Some(after);
                tx.apply(Change::Ranked { object, before, after })?;
            }
        }
        if self.hand != self.hand_before {
            let by = self.hand - self.hand_before;
            tx.apply(Change::HandMoved { by })?;
        }
        tx.use_positions(self.last_position)
    }

    /// Whether an object was chosen from the trial.
    pub fn failed_trial(&self, object: StoredObjectId) -> bool {
        self.failed.contains(&object)
    }

    /// Adds an object to those that were looked at. Returns whether it is in a queue.
    fn load(&mut self, Ranked { object, rank }: Ranked) -> bool {
        let queue = match rank.queue {
            RankQueue::Trial => Queue::Trial,
            RankQueue::Main => Queue::Main,
            RankQueue::Gone | RankQueue::Unknown => return false,
        };
        let item = Item {
            before: rank,
            queue,
            position: rank.position,
            marks: rank.marks,
        };
        self.items.entry(object).or_insert(item);
        true
    }

    fn page(&mut self, queue: Queue) -> &mut Page {
        let [trial, main] = &mut self.pages;
        match queue {
            Queue::Trial => trial,
            Queue::Main => main,
        }
    }

    fn start(&mut self, queue: Queue) -> &mut i64 {
        let [trial, main] = &mut self.starts;
        match queue {
            Queue::Trial => trial,
            Queue::Main => main,
        }
    }
}

/// The shelf, while a policy looks at it.
struct Rows<'a> {
    from: &'a mut dyn Candidates,
    on: &'a mut ByUse,
}

impl Rows<'_> {
    /// The first object of a queue after a position.
    fn following(&mut self, queue: Queue, mut after: i64) -> Result<Option<StoredObjectId>> {
        loop {
            let away = &self.on.away;
            let [trial, main] = &self.on.pages;
            let page = if queue == Queue::Trial { trial } else { main };
            if page.limit > 0 && page.from <= after && after < page.to {
                let first = page.rows.partition_point(|&(position, _)| position <= after);
                let rows = page.rows.get(first..).unwrap_or_default();
                if let Some(&(_, object)) = rows.iter().find(|(_, object)| !away.contains(object)) {
                    return Ok(Some(object));
                }
                if page.to == i64::MAX {
                    break;
                }
                after = page.to;
            }
            self.read(queue, after)?;
        }
        let mut appended = self.on.appended.range((queue, after.saturating_add(1))..);
        Ok(appended
            .next()
            .filter(|((of, _), _)| *of == queue)
            .map(|(_, &object)| object))
    }

    /// Reads the rows of a queue after a position.
    fn read(&mut self, queue: Queue, after: i64) -> Result<()> {
        let limit = (self.on.page(queue).limit * 2).clamp(FIRST_PAGE, LARGEST_PAGE);
        let (found, to) = self.from.page(self.on.order.which(), queue, after, limit)?;
        let rows = found.iter().map(|row| (row.rank.position, row.object)).collect();
        for row in found {
            self.on.load(row);
        }
        *self.on.page(queue) = Page {
            from: after,
            to,
            rows,
            limit,
        };
        Ok(())
    }

    /// Takes an object off the shelf.
    fn take(&mut self, object: StoredObjectId) -> Result<()> {
        let Some(&item) = self.on.items.get(&object) else {
            return Ok(());
        };
        if self.on.hand == item.position {
            let next = self.after(object)?.and_then(|next| self.on.items.get(&next));
            self.on.hand = next.map_or(0, |next| next.position);
        }
        match item.queue {
            Queue::Main => self.on.main = self.on.main.saturating_sub(item.before.size),
            Queue::Trial => drop(self.on.failed.insert(object)),
        }
        self.on.mem = self.on.mem.saturating_sub(item.before.size);
        self.on.appended.remove(&(item.queue, item.position));
        self.on.away.insert(object);
        Ok(())
    }

    fn item(&self, object: StoredObjectId) -> Result<Item> {
        self.on.items.get(&object).copied().ok_or_else(|| Error::Damaged {
            what: format!("object {object} has left the order of eviction"),
        })
    }
}

impl Shelf for Rows<'_> {
    type Object = StoredObjectId;
    type Error = Error;

    fn first(&mut self, queue: Queue) -> Result<Option<StoredObjectId>> {
        let start = *self.on.start(queue);
        let first = self.following(queue, start)?;
        if let Some(first) = first {
            // New ones are only added at the end.
            *self.on.start(queue) = self.item(first)?.position.saturating_sub(1);
        }
        Ok(first)
    }

    fn after(&mut self, object: StoredObjectId) -> Result<Option<StoredObjectId>> {
        let item = self.item(object)?;
        self.following(item.queue, item.position)
    }

    fn largest(&mut self) -> Result<Option<StoredObjectId>> {
        // The largest objects are found by another index.
        Ok(None)
    }

    fn bytes(&mut self, queue: Queue) -> Result<u64> {
        Ok(unsigned(match queue {
            Queue::Main => self.on.main,
            Queue::Trial => self.on.mem.saturating_sub(self.on.main),
        }))
    }

    fn marks(&mut self, object: StoredObjectId) -> Result<u8> {
        Ok(self.item(object)?.marks)
    }

    fn set_marks(&mut self, object: StoredObjectId, marks: u8) -> Result<()> {
        if let Some(item) = self.on.items.get_mut(&object) {
            item.marks = marks;
        }
        Ok(())
    }

    fn append(&mut self, object: StoredObjectId, queue: Queue) -> Result<()> {
        let item = self.item(object)?;
        self.on.appended.remove(&(item.queue, item.position));
        self.on.away.insert(object);
        match (item.queue, queue) {
            (Queue::Trial, Queue::Main) => self.on.main = self.on.main.saturating_add(item.before.size),
            (Queue::Main, Queue::Trial) => self.on.main = self.on.main.saturating_sub(item.before.size),
            _ => {}
        }
        self.on.last_position = self.on.last_position.saturating_add(1);
        let position = self.on.last_position;
        self.on.appended.insert((queue, position), object);
        let moved = Item {
            queue,
            position,
            marks: 0,
            ..item
        };
        self.on.items.insert(object, moved);
        Ok(())
    }

    fn hand(&mut self) -> Result<Option<StoredObjectId>> {
        match self.on.hand {
            0 => Ok(None),
            hand => self.following(Queue::Main, hand - 1),
        }
    }

    fn set_hand(&mut self, object: StoredObjectId) -> Result<()> {
        self.on.hand = self.item(object)?.position;
        Ok(())
    }
}
