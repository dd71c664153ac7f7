//! Usage of a space: by level and class, and over time.

use serde::Serialize;

use crate::error::Result;
use crate::manager::MemManager;
use crate::models::{EventId, Timestamp};
use crate::store::queries::events::{self, Movement};
use crate::store::queries::usage::{self, LevelUsage};

/// The buckets of a space just after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UsagePoint {
    /// The event.
    pub event_id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// Bytes of content.
    pub mem: u64,
    /// The most bytes of content since the point before this one.
    pub peak_mem: u64,
    /// Bytes free in blocks.
    pub room_in_blocks: u64,
    /// Bytes of pools not carved into blocks.
    pub uncarved_in_pools: u64,
    /// Bytes of arenas not carved into pools.
    pub uncarved_in_arenas: u64,
    /// Bytes that no arena reserves.
    pub unreserved: u64,
    /// Bytes of the space: the sum of `mem` and the four figures before this one.
    pub capacity: u64,
}

impl MemManager {
    /// Capacity and use of each level and size class: the view `usage`. O(classes).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn usage(&self) -> Result<Vec<LevelUsage>> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| usage::levels(tx, space))
    }

    /// The buckets after each event since the last opening, where events of a batch that share a
    /// row count as one. If there are more than `points` events, returns that many, evenly spaced
    /// by number and including the last. O(events); memory only for the points.
    ///
    /// # Errors
    /// [`crate::Error::HistoryOff`]; what [any call](MemManager#errors) fails with.
    pub fn usage_over_time(&self, points: usize) -> Result<Vec<UsagePoint>> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            let opening = self.opening(tx)?;
            let mut chosen = Chosen::new(events::count(tx, space, opening.id)?, points);
            events::each_movement(tx, space, opening.id, |movement| chosen.take(movement))?;
            Ok(chosen.points)
        })
    }
}

/// Running sums, and the chosen points.
struct Chosen {
    now: UsagePoint,
    seen: u128,
    events: u128,
    wanted: u128,
    points: Vec<UsagePoint>,
}

impl Chosen {
    fn new(events: i64, points: usize) -> Self {
        let events = u128::from(crate::manager::unsigned(events));
        Self {
            now: UsagePoint::EMPTY,
            seen: 0,
            events,
            wanted: (points as u128).min(events),
            points: Vec::new(),
        }
    }

    fn take(&mut self, by: Movement) {
        self.now.add(by);
        // The last of every `events / wanted` events: where this quotient steps up.
        let step = |seen: u128| (seen * self.wanted).checked_div(self.events);
        let is_last = step(self.seen + 1) > step(self.seen);
        self.seen += 1;
        if is_last {
            self.points.push(self.now);
            self.now.peak_mem = 0;
        }
    }
}

impl UsagePoint {
    /// Before the opening.
    pub(super) const EMPTY: Self = Self {
        event_id: EventId(0),
        at: Timestamp::from_micros(0),
        mem: 0,
        peak_mem: 0,
        room_in_blocks: 0,
        uncarved_in_pools: 0,
        uncarved_in_arenas: 0,
        unreserved: 0,
        capacity: 0,
    };

    pub(super) fn add(&mut self, by: Movement) {
        self.event_id = by.id;
        self.at = by.at;
        for (sum, by) in [
            (&mut self.mem, by.payload),
            (&mut self.room_in_blocks, by.room_in_blocks),
            (&mut self.uncarved_in_pools, by.uncarved_in_pools),
            (&mut self.uncarved_in_arenas, by.uncarved_in_arenas),
            (&mut self.unreserved, by.unreserved),
            (&mut self.capacity, by.capacity),
        ] {
            *sum = sum.saturating_add_signed(by);
        }
        self.peak_mem = self.peak_mem.max(self.mem);
    }
}
