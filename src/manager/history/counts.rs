//! How many events there are of each kind.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::manager::{MemManager, unsigned};
use crate::models::{EventId, EventKind};
use crate::store::queries::{event_counts, events};

/// How many events of each kind have happened; see [`MemManager::count_events`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventCounts {
    by_kind: BTreeMap<EventKind, Sums>,
    last: Option<EventId>,
    refusals: BTreeMap<EventId, u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    events: u64,
    bytes: u64,
}

impl EventCounts {
    /// How many events of a kind were counted.
    pub fn of(&self, kind: EventKind) -> u64 {
        self.by_kind.get(&kind).copied().unwrap_or_default().events
    }

    /// The bytes that these events are about. The bytes of a repeated refusal count once.
    pub fn bytes_of(&self, kind: EventKind) -> u64 {
        self.by_kind.get(&kind).copied().unwrap_or_default().bytes
    }
}

impl MemManager {
    /// Adds the events that have happened since `counts` was last passed to this call, for the same space, so
    /// that the counts only ever grow. The first call counts the events that the history still has. A refusal
    /// counts as often as it happened. O(rows of events since).
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::{EventCounts, EventKind};
    ///
    /// let mut counts = EventCounts::default();
    /// memory.allocate("text")?;
    /// memory.count_events(&mut counts)?;
    /// assert_eq!(counts.of(EventKind::Allocate), 1);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn count_events(&self, counts: &mut EventCounts) -> Result<()> {
        let space = self.inner.space;
        let (found, last, refusals) = self.inner.readers.snapshot(|tx| {
            let found = event_counts::after(tx, space, counts.last)?;
            Ok((found, events::last(tx, space)?, event_counts::refusals(tx, space)?))
        })?;
        for (kind, events, bytes) in found {
            let sums = counts.by_kind.entry(kind).or_default();
            sums.events += unsigned(events);
            sums.bytes = sums.bytes.saturating_add(unsigned(bytes));
        }
        for (id, count) in &refusals {
            if let Some(before) = counts.refusals.get(id) {
                counts.by_kind.entry(EventKind::Refusal).or_default().events += count.saturating_sub(*before);
            }
        }
        counts.refusals = refusals.into_iter().collect();
        counts.last = last.or(counts.last);
        Ok(())
    }
}
