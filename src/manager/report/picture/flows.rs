//! What came and went, summed up from events.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::models::{Event, EventId, EventKind, Timestamp};
use crate::value::ObjectId;

/// What came and went in the history of a report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Flows {
    /// Bytes of content that came and that went, for each step of [`Report::usage`](crate::Report::usage).
    pub steps: Vec<(u64, u64)>,
    /// By kind of event, those that moved most first.
    pub kinds: Vec<KindFlow>,
    /// By who did it, those that moved most first; at most 12.
    pub actors: Vec<ActorFlow>,
    /// The largest objects that came, even if they went again.
    pub came: Vec<Mover>,
    /// The largest objects that went.
    pub went: Vec<Mover>,
}

/// Events of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KindFlow {
    /// The kind.
    pub kind: EventKind,
    /// How many, each repetition of a refusal included.
    pub events: u64,
    /// Bytes of content that came.
    pub came: u64,
    /// Bytes of content that went.
    pub went: u64,
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ActorFlow {
    /// Who, if given.
    pub actor: Option<String>,
    /// How many events.
    pub events: u64,
    /// Bytes of content that came.
    pub came: u64,
    /// Bytes of content that went.
    pub went: u64,
}

/// An object that came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mover {
    /// The object.
    pub object_id: ObjectId,
    /// Bytes of its content.
    pub size: u64,
    /// The event.
    pub event_id: EventId,
    /// When.
    pub at: Timestamp,
    /// Who did it, if given.
    pub actor: Option<String>,
    /// The name that it got when it came, or the last one that it lost before it went.
    pub name: Option<String>,
}

/// How many of the largest objects that came and went are listed.
const MOVERS: usize = 10;
/// How many actors are listed, and how many are told apart.
const ACTORS: usize = 12;
const KNOWN_ACTORS: usize = 10_000;

/// Sums, while events are read, the newest first.
#[derive(Debug, Default)]
pub(super) struct Summing {
    steps: Vec<(u64, u64)>,
    kinds: BTreeMap<EventKind, KindFlow>,
    actors: BTreeMap<Option<String>, ActorFlow>,
    came: Vec<Mover>,
    went: Vec<Mover>,
    /// The last name that was bound, and its object.
    bound: Option<(ObjectId, String)>,
}

impl Summing {
    pub fn new(steps: usize) -> Self {
        Self {
            steps: vec![(0, 0); steps],
            ..Self::default()
        }
    }

    pub fn add(&mut self, event: &Event, step: usize) {
        let moved = event.payload.unsigned_abs();
        let (came, went) = if event.payload > 0 { (moved, 0) } else { (0, moved) };
        if let Some(step) = self.steps.get_mut(step) {
            *step = (step.0.saturating_add(came), step.1.saturating_add(went));
        }
        let kind = self.kinds.entry(event.kind).or_insert(KindFlow {
            kind: event.kind,
            events: 0,
            came: 0,
            went: 0,
        });
        kind.events = kind.events.saturating_add(event.count);
        (kind.came, kind.went) = (kind.came.saturating_add(came), kind.went.saturating_add(went));
        if self.actors.len() < KNOWN_ACTORS || self.actors.contains_key(&event.actor) {
            let actor = self.actors.entry(event.actor.clone()).or_insert_with(|| ActorFlow {
                actor: event.actor.clone(),
                events: 0,
                came: 0,
                went: 0,
            });
            actor.events = actor.events.saturating_add(event.count);
            (actor.came, actor.went) = (actor.came.saturating_add(came), actor.went.saturating_add(went));
        }
        self.note(event);
    }

    /// Notes objects that came or went. An object gets its name just after it came, and loses it before it goes.
    fn note(&mut self, event: &Event) {
        match event.kind {
            EventKind::Bind => self.bound = event.object.zip(event.name.clone()),
            EventKind::Allocate => {
                let bound = self.bound.take().filter(|(object, _)| Some(*object) == event.object);
                take(&mut self.came, event, bound.map(|(_, name)| name));
            }
            EventKind::Free => take(&mut self.went, event, None),
            EventKind::Unbind | EventKind::Expire | EventKind::Evict => {
                let lost = |mover: &&mut Mover| Some(mover.object_id) == event.object && mover.name.is_none();
                if let (Some(mover), Some(name)) = (self.went.iter_mut().find(lost), &event.name) {
                    mover.name = Some(name.clone());
                }
            }
            _ => {}
        }
    }

    pub fn flows(self) -> Flows {
        let mut kinds: Vec<_> = self.kinds.into_values().collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse((kind.came.saturating_add(kind.went), kind.events)));
        let mut actors: Vec<_> = self.actors.into_values().collect();
        actors.sort_by_key(|actor| std::cmp::Reverse((actor.came.saturating_add(actor.went), actor.events)));
        actors.truncate(ACTORS);
        Flows {
            steps: self.steps,
            kinds,
            actors,
            came: self.came,
            went: self.went,
        }
    }
}

/// Puts an object where it belongs among the largest, if it does.
fn take(largest: &mut Vec<Mover>, event: &Event, name: Option<String>) {
    let Some(object_id) = event.object else { return };
    let size = event.bytes.unsigned_abs();
    let at = largest.partition_point(|mover| mover.size >= size);
    if at >= MOVERS {
        return;
    }
    let mover = Mover {
        object_id,
        size,
        event_id: event.id,
        at: event.at,
        actor: event.actor.clone(),
        name,
    };
    largest.insert(at, mover);
    largest.truncate(MOVERS);
}
