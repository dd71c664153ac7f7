//! Events as they happen.

use std::collections::{BTreeMap, VecDeque};
use std::thread::sleep;
use std::time::Duration;

use crate::error::{Error, Result, SpaceError};
use crate::manager::MemManager;
use crate::models::{Event, EventId};
use crate::store::queries;
use crate::store::queries::event_filter::EventFilter;
use crate::store::queries::{event_counts, events};

/// How often a [`Watch`] looks, unless it is told otherwise.
const PAUSE: Duration = Duration::from_millis(200);

impl MemManager {
    /// The events of the space that pass the filter, as they happen: an iterator that waits for the next
    /// one, whichever process causes it. It begins after the event [`EventFilter::after`], so that a program
    /// that has stored the id of the last one can continue there; otherwise with what happens from now on.
    ///
    /// A refusal that happens again is not a new event: the same one is returned again, with a higher `count`.
    /// If events were [removed](crate::History) before they were read, the first is an
    /// [`Opening`](crate::EventKind::Opening) that stands for them. It looks five times a second, which
    /// [`Watch::every`] changes, with a few short reads, and holds no snapshot in between. A watch of a
    /// [`Self::snapshot`] waits forever, because nothing happens there.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::{EventFilter, EventKind};
    ///
    /// let mut watch = memory.watch(EventFilter::default())?;
    /// assert_eq!(watch.ready()?, None);
    /// memory.set("a", "text")?;
    /// let kinds: Vec<_> = watch.take(2).map(|event| event.map(|event| event.kind)).collect::<Result<_, _>>()?;
    /// assert_eq!(kinds, [EventKind::Allocate, EventKind::Bind]);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::HistoryOff`]; what [any call](MemManager#errors) fails with.
    pub fn watch(&self, mut filter: EventFilter) -> Result<Watch> {
        let space = self.inner.space;
        let counts = self.inner.readers.snapshot(|tx| {
            self.opening(tx)?;
            if filter.after_id.is_none() {
                filter.after_id = events::last(tx, space)?;
            }
            event_counts::refusals(tx, space)
        })?;
        Ok(Watch {
            memory: self.clone(),
            filter,
            page: VecDeque::new(),
            counts: counts.into_iter().collect(),
            pause: PAUSE,
            is_gone: false,
        })
    }
}

/// The events of a space as they happen; see [`MemManager::watch`].
pub struct Watch {
    memory: MemManager,
    filter: EventFilter,
    page: VecDeque<Event>,
    /// How often the newest refusals have happened.
    counts: BTreeMap<EventId, u64>,
    pause: Duration,
    /// Whether an error has shown that the space is gone.
    is_gone: bool,
}

impl Watch {
    /// How long to wait before looking again, if nothing has happened.
    #[must_use]
    pub fn every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// The next event that has happened already, without waiting.
    ///
    /// # Errors
    /// [`SpaceError::Dropped`] once the space is gone; what [any call](MemManager#errors) fails with. The next
    /// call tries again.
    pub fn ready(&mut self) -> Result<Option<Event>> {
        if self.page.is_empty() {
            self.page = self.read()?;
        }
        Ok(self.page.pop_front())
    }

    fn read(&mut self) -> Result<VecDeque<Event>> {
        let (space, filter) = (self.memory.inner.space, &self.filter);
        let (counts, page) = self.memory.inner.readers.snapshot(|tx| {
            // Without this, a space that is gone would look like one without events.
            queries::spaces::get(tx, space)?;
            let page = events::page(tx, space, filter, events::ROWS)?;
            Ok((event_counts::refusals(tx, space)?, page))
        })?;
        let mut found = self.repeated(&counts)?;
        self.counts = counts.into_iter().collect();
        let last = page.events.last().map(|event| event.id);
        self.filter.after_id = page.next.or(last).or(self.filter.after_id);
        found.extend(page.events);
        Ok(found)
    }

    /// Refusals that happened again, of those that were returned before or are older than what is asked for.
    fn repeated(&self, counts: &[(EventId, u64)]) -> Result<VecDeque<Event>> {
        let again = |&(id, count): &(EventId, u64)| self.counts.get(&id).is_some_and(|&before| before < count);
        let Some(&(first, _)) = counts.iter().rev().find(|refusal| again(refusal)) else {
            return Ok(VecDeque::new());
        };
        let filter = self.filter.clone().after(EventId(first.0 - 1));
        let known = |event: &Event| self.filter.after_id.is_none_or(|after| event.id <= after);
        let found = self.memory.events(filter).filter(|event| {
            let is_again = |event: &Event| known(event) && again(&(event.id, event.count));
            event.as_ref().map_or(true, is_again)
        });
        found.collect()
    }
}

impl Iterator for Watch {
    type Item = Result<Event>;

    /// Waits for the next event. An error does not end it, and the next call tries again, unless the space is gone.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_gone {
            match self.ready() {
                Ok(None) => sleep(self.pause),
                other => {
                    self.is_gone = matches!(other, Err(Error::Space(SpaceError::Dropped { .. })));
                    return other.transpose();
                }
            }
        }
        None
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
