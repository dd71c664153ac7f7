//! What `heapledger top` shows: figures of now and of a moment before, and what was chosen with keys.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use heapledger::{
    Event, EventCounts, EventFilter, EventId, EventKind, Layout, MemManager, Moment, ObjectId, Stats, Timestamp,
};
use serde::Serialize;

/// The figures at one time.
#[derive(Serialize)]
pub struct Sample {
    pub at: Timestamp,
    pub rates: Rates,
    pub stats: Stats,
    /// The processes that read from the write-ahead log.
    pub log_holders: Vec<String>,
    /// The objects that most bytes of the newest events are about, most first.
    pub movers: Vec<Mover>,
    /// The newest events, oldest first.
    pub events: Vec<Event>,
}

/// What happens in a second, since the sample before.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Rates {
    /// The seconds since then; without any, nothing is known yet.
    pub seconds: f64,
    /// Reads are not events, so nobody knows.
    pub gets: Option<f64>,
    pub puts: f64,
    pub frees: f64,
    pub stored_bytes: f64,
    pub freed_bytes: f64,
    pub refusals: f64,
    pub evictions: f64,
}

#[derive(Clone, Serialize)]
pub struct Mover {
    pub object_id: ObjectId,
    /// The name that it was last bound to among these events.
    pub name: Option<String>,
    pub bytes: u64,
    pub events: u64,
    #[serde(skip)]
    last: EventId,
}

/// Events that are looked at in each sample.
const EVENTS: usize = 200;

/// Takes samples of a space.
pub struct Source {
    pub memory: MemManager,
    counts: EventCounts,
    before: Option<(Instant, Totals)>,
}

/// What only grows: puts, frees, bytes stored and freed, refusals and evictions.
type Totals = [u64; 6];

impl Source {
    pub fn new(memory: MemManager) -> Self {
        let counts = EventCounts::default();
        Self {
            memory,
            counts,
            before: None,
        }
    }

    pub fn sample(&mut self) -> Result<Sample> {
        let memory = &self.memory;
        memory.count_events(&mut self.counts)?;
        let (stats, now) = (memory.stats()?, Instant::now());
        let events = memory.newest_events(&EventFilter::default(), EVENTS)?;
        let counts = &self.counts;
        let totals = [
            stats.allocations + stats.dedup_hits,
            stats.frees,
            counts.bytes_of(EventKind::Allocate),
            counts.bytes_of(EventKind::Free),
            counts.of(EventKind::Refusal),
            counts.of(EventKind::Evict),
        ];
        let rates = self.before.map_or(Rates::default(), |(then, before)| {
            rates(now.duration_since(then).as_secs_f64(), before, totals)
        });
        self.before = Some((now, totals));
        Ok(Sample {
            at: Timestamp::now(),
            rates,
            log_holders: memory.log_holders().iter().map(ToString::to_string).collect(),
            movers: movers(&events),
            stats,
            events,
        })
    }
}

fn rates(seconds: f64, before: Totals, now: Totals) -> Rates {
    let mut each = before
        .iter()
        .zip(now)
        .map(|(&before, now)| now.saturating_sub(before) as f64 / seconds.max(0.001));
    let mut next = || each.next().unwrap_or_default();
    Rates {
        seconds,
        gets: None,
        puts: next(),
        frees: next(),
        stored_bytes: next(),
        freed_bytes: next(),
        refusals: next(),
        evictions: next(),
    }
}

fn movers(events: &[Event]) -> Vec<Mover> {
    let mut movers = HashMap::<ObjectId, Mover>::new();
    for event in events {
        let Some(object_id) = event.object else { continue };
        let mover = movers.entry(object_id).or_insert(Mover {
            object_id,
            name: None,
            bytes: 0,
            events: 0,
            last: event.id,
        });
        mover.bytes = mover.bytes.saturating_add(moved(event));
        mover.events += 1;
        mover.last = event.id;
        if event.name.is_some() {
            mover.name.clone_from(&event.name);
        }
    }
    let mut movers: Vec<_> = movers.into_values().collect();
    Sort::Bytes.sort(&mut movers);
    movers
}

/// Bytes of content that an event of an object is about. The pieces of a large one come and go with other events.
fn moved(event: &Event) -> u64 {
    match event.kind {
        EventKind::Allocate | EventKind::Free => event.bytes.unsigned_abs(),
        _ => event.payload.unsigned_abs(),
    }
}

/// The order of the movers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Bytes,
    Events,
    Newest,
}

impl Sort {
    pub fn word(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Events => "events",
            Self::Newest => "newest",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Bytes => Self::Events,
            Self::Events => Self::Newest,
            Self::Newest => Self::Bytes,
        }
    }

    pub fn sort(self, movers: &mut [Mover]) {
        movers.sort_by_key(|mover| {
            let first = match self {
                Self::Bytes => mover.bytes,
                Self::Events => mover.events,
                Self::Newest => 0,
            };
            std::cmp::Reverse((first, mover.last))
        });
    }
}

/// A moment of the history to look at.
pub struct Then {
    pub event: Option<Event>,
    pub layout: Layout,
}

/// What is shown, and how.
pub struct State {
    pub sample: Sample,
    pub paused: bool,
    pub sort: Sort,
    pub then: Option<Then>,
    /// Why the last key did nothing.
    pub trouble: Option<String>,
}

/// What a key asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Quit,
    Pause,
    Sort,
    Back,
    Forth,
    Live,
}

impl State {
    pub fn new(sample: Sample) -> Self {
        Self {
            sample,
            paused: false,
            sort: Sort::Bytes,
            then: None,
            trouble: None,
        }
    }

    /// Whether new samples are wanted.
    pub fn is_live(&self) -> bool {
        !self.paused && self.then.is_none()
    }

    /// Does what was asked; false to end.
    pub fn ask(&mut self, ask: Ask, memory: &MemManager) -> bool {
        self.trouble = None;
        match ask {
            Ask::Quit => return false,
            Ask::Pause => self.paused = !self.paused,
            Ask::Sort => self.sort = self.sort.next(),
            Ask::Live => (self.paused, self.then) = (false, None),
            Ask::Back => self.step(-1, memory),
            Ask::Forth => self.step(1, memory),
        }
        true
    }

    fn step(&mut self, by: i64, memory: &MemManager) {
        let last = self.sample.events.last().map(|event| event.id);
        let from = self.then.as_ref().map(|then| then.layout.event_id);
        let Some(last) = last else {
            self.trouble = Some("there are no events".to_owned());
            return;
        };
        // From now, the first step back is to the last event.
        let to = from.map_or(EventId(last.0 + 1 + by.min(0)), |from| EventId(from.0 + by));
        if to > last {
            self.then = None;
            return;
        }
        match then(to, memory) {
            Ok(then) => self.then = Some(then),
            Err(error) => self.trouble = Some(crate::cli::exit::in_words(&error)),
        }
    }
}

fn then(to: EventId, memory: &MemManager) -> heapledger::Result<Then> {
    let layout = memory.layout_at(Moment::Event(to))?;
    // Before the first event, it is the first one.
    let id = layout.event_id;
    let filter = EventFilter::default().after(EventId(id.0 - 1));
    let event = memory.events(filter).next().transpose()?;
    Ok(Then {
        event: event.filter(|event| event.id == id),
        layout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_by_the_second() {
        let rates = rates(2.0, [0; 6], [10, 4, 2048, 0, 1, 0]);
        assert_eq!(
            (rates.puts, rates.frees, rates.stored_bytes, rates.refusals),
            (5.0, 2.0, 1024.0, 0.5)
        );
        assert_eq!(rates.gets, None);
    }
}
