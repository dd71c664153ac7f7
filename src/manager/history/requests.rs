//! The history as a trace, for a replay.

use crate::books::eviction::trace::TraceRequest;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::manager::MemManager;
use crate::manager::history::events::known;
use crate::models::{Event, EventKind, unsigned};
use crate::store::queries::event_filter::EventFilter;
use crate::value::ObjectId;

impl MemManager {
    /// The history of the space as requests, for a [`Replay`](crate::Replay).
    ///
    /// Each time a value was stored counts as a request for it, whether it was new or already
    /// stored. What was freed is freed in the replay, too; leave these requests out if a program
    /// freed only to make room. Objects are told apart by the first 64 bits of their ids.
    ///
    /// A replay can only be as good as this record: reads are not in the history, and neither is what
    /// happened before it begins, so the first request for an object is a miss. A trace of a
    /// program's own reads tells more. The events are read page by page, in constant memory, and what
    /// happens in the meantime is included; O(events).
    ///
    /// # Errors
    /// [`Error::HistoryOff`]; what [any call](MemManager#errors) fails with, also later.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::{Policy, Replay};
    ///
    /// for page in ["home", "news", "home", "about", "home"] {
    ///     memory.allocate(page)?;
    /// }
    /// let replayed = Replay::new([9]).policies([Policy::Lru]).run(memory.requests()?)?;
    /// assert_eq!((replayed.requests, replayed.runs[0].hits), (5, 2));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn requests(&self) -> Result<impl Iterator<Item = Result<TraceRequest>> + use<>> {
        self.inner.readers.snapshot(|tx| self.opening(tx))?;
        let kinds = [
            EventKind::Allocate,
            EventKind::DedupHit,
            EventKind::Free,
            EventKind::Evict,
        ];
        let events = self.events(EventFilter::default().kinds(kinds));
        let mut evicted = None;
        Ok(events.filter_map(move |event| match event {
            // The space made room here; each cache of the replay does that by itself.
            Ok(event) if event.kind == EventKind::Evict => {
                evicted = event.object;
                None
            }
            Ok(event) if event.kind == EventKind::Free && evicted.is_some() && event.object == evicted.take() => None,
            event => Some(event.and_then(|event| request(&event))),
        }))
    }
}

fn request(event: &Event) -> Result<TraceRequest> {
    let object = number(known(event.object.unwrap_or(ObjectId::UNKNOWN))?);
    Ok(match event.kind {
        EventKind::Free => TraceRequest::Free { object },
        _ => TraceRequest::Use {
            object,
            size: unsigned(event.bytes),
        },
    })
}

/// The first 64 bits of an id.
fn number(id: ObjectId) -> u64 {
    let first = id.as_bytes().first_chunk().copied();
    u64::from_be_bytes(first.unwrap_or_default())
}
