//! The events of a space, and the moments between them.

use std::collections::VecDeque;

use crate::clock;
use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::manager::objects::read::LEAST_DIGITS;
use crate::models::{Event, EventId, HistoryMode, Timestamp};
use crate::store::queries::event_filter::EventFilter;
use crate::store::queries::events::{self, Mark};
use crate::store::{ReadTx, queries};
use crate::value::ObjectId;

/// A point in the history of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Just after this event. If it was trimmed, the last event before it counts. An event of
    /// another space stands for its time.
    Event(EventId),
    /// At this time: just after the event with the highest number at or before it. Before its
    /// creation a space is empty.
    Time(Timestamp),
}

impl MemManager {
    /// The events of the space that pass the filter, in order. They are read page by page, in
    /// constant memory, and events that happen in the meantime are included.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::{EventFilter, EventKind, Moment};
    ///
    /// let id = memory.because("a test").allocate_bytes(&[7; 3000])?;
    /// let stored = memory.events(EventFilter::default()).last().unwrap()?;
    /// assert_eq!((stored.kind, stored.payload), (EventKind::Allocate, 3000));
    ///
    /// memory.free(&id)?;
    /// assert_eq!(memory.layout_at(Moment::Event(stored.id))?.mem, 3000);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn events(&self, filter: EventFilter) -> Events {
        Events {
            memory: self.clone(),
            filter,
            page: VecDeque::new(),
            ended: false,
        }
    }

    /// The newest `limit` events that pass the filter, in order.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn newest_events(&self, filter: &EventFilter, limit: usize) -> Result<Vec<Event>> {
        let space = self.inner.space;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.inner.readers.single(|tx| events::newest(tx, space, filter, limit))
    }

    /// The object that `text` refers to or once referred to: like [`Self::find`], but if there is
    /// none it also searches freed objects. O(log n), or O(events) for freed objects.
    ///
    /// # Errors
    /// [`Error::UnknownReference`] if no event concerns such an object; [`Error::AmbiguousPrefix`];
    /// what [any call](MemManager#errors) fails with.
    pub fn find_ever(&self, text: &str) -> Result<ObjectId> {
        let unknown = match self.find(text) {
            Err(unknown @ Error::UnknownReference { .. }) => unknown,
            other => return other,
        };
        let space = self.inner.space;
        let digits = text.to_ascii_lowercase();
        // The least and the greatest id with this prefix.
        let filled = |fill: &str| format!("{digits}{}", fill.repeat(64_usize.saturating_sub(digits.len())));
        let range = match ["0", "f"].map(|fill| filled(fill).parse::<ObjectId>()) {
            [Ok(low), Ok(high)] if digits.len() >= LEAST_DIGITS => Some([low, high]),
            _ => None,
        };
        let found = self.inner.readers.snapshot(|tx| {
            if let Some(object) = events::named(tx, space, text)? {
                return Ok(vec![object]);
            }
            match &range {
                Some(range) => events::objects_between(tx, space, range, 100),
                None => Ok(Vec::new()),
            }
        })?;
        match found.as_slice() {
            [] => Err(unknown),
            [object] => known(*object),
            several => Err(Error::AmbiguousPrefix {
                text: digits,
                count: several.len(),
            }),
        }
    }

    /// The last opening, where the usable history begins.
    pub(in crate::manager) fn opening(&self, tx: &mut ReadTx<'_>) -> Result<Mark> {
        let off = || Error::HistoryOff {
            space: self.space().to_owned(),
        };
        let memram = queries::spaces::get(tx, self.inner.space)?;
        if memram.history == HistoryMode::Off {
            return Err(off());
        }
        events::opening(tx, self.inner.space)?.ok_or_else(off)
    }

    /// The last event of the space up to a moment, or its first.
    pub(in crate::manager) fn mark(&self, tx: &mut ReadTx<'_>, moment: Moment) -> Result<Mark> {
        let opening = self.opening(tx)?;
        let space = self.inner.space;
        let mark = match moment {
            Moment::Event(id) => {
                let unknown = || outside(moment, "no such event has happened yet".into());
                if id.space() != space {
                    let at = events::find(tx, id)?.ok_or_else(unknown)?.at;
                    events::last_until(tx, space, opening.id, at)?
                } else if Some(id) > events::last(tx, space)? {
                    return Err(unknown());
                } else {
                    events::last_through(tx, space, id)?
                }
            }
            Moment::Time(time) => {
                if time > clock::now() {
                    return Err(outside(moment, "it is in the future".into()));
                }
                events::last_until(tx, space, opening.id, time)?
            }
        };
        if let Some(mark) = mark.filter(|mark| mark.id >= opening.id) {
            return Ok(mark);
        }
        // Before its creation, a space was as empty as at its creation. Other openings
        // summarise a history that is no longer known.
        if opening.mem == 0 && opening.at == queries::spaces::get(tx, space)?.created_at {
            return Ok(opening);
        }
        let (id, at, space) = (opening.id.n(), opening.at, self.space());
        let why = format!(
            "the history of space {space} begins later, with event {id} of {at}; of what was before, it has only the sums"
        );
        Err(outside(moment, why))
    }
}

pub(in crate::manager) fn outside(moment: Moment, why: String) -> Error {
    let moment = match moment {
        Moment::Event(id) => format!("event {}", id.n()),
        Moment::Time(at) => at.to_string(),
    };
    Error::OutsideHistory { moment, why }
}

/// The id of an event's object.
///
/// # Errors
/// [`Error::Damaged`] if the event has something else there.
pub(in crate::manager) fn known(object: ObjectId) -> Result<ObjectId> {
    if object == ObjectId::UNKNOWN {
        return Err(Error::Damaged {
            what: "an event refers to an object by something other than its SHA-256".into(),
        });
    }
    Ok(object)
}

/// The events of a space; see [`MemManager::events`].
pub struct Events {
    memory: MemManager,
    filter: EventFilter,
    page: VecDeque<Event>,
    ended: bool,
}

impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() && !self.ended {
            if let Err(error) = self.read() {
                self.ended = true;
                return Some(Err(error));
            }
        }
        self.page.pop_front().map(Ok)
    }
}

impl Events {
    fn read(&mut self) -> Result<()> {
        let (space, filter) = (self.memory.inner.space, &self.filter);
        let page = self
            .memory
            .inner
            .readers
            .single(|tx| events::page(tx, space, filter, events::ROWS))?;
        self.ended = page.next.is_none();
        self.filter.after_id = page.next.or(self.filter.after_id);
        self.page = page.events.into();
        Ok(())
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
