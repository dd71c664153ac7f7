//! What goes next in a space that evicts, as far as its writer has read ahead.
//!
//! In a full cache almost every put evicts. If each one searched the rows for what goes, everything that is
//! gathered would have to be written first: the puts of a batch, and those that share a commit, would be
//! written one by one. So the writer keeps the first rows of each queue, and follows the changes that it
//! applies, whether they are written or not.

use std::collections::{BTreeMap, HashMap};

use crate::books::change::Change;
use crate::models::{Lifetime, Rank, RankQueue, Ranked, StoredObject, StoredObjectId};

/// An order of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// As they were stored: the position of an object is its key.
    Stored,
    /// A queue of the order of eviction.
    Ranked(RankQueue),
}

/// Rows of a line that are read at a time.
pub(super) const PAGE: i64 = 128;
/// The most rows of a line that are kept.
const MOST: usize = 1024;

/// The first rows of each line. It is part of what is known of the space, and so is forgotten with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ahead {
    stored: Part,
    trial: Part,
    main: Part,
    gone: Part,
    /// Where each object of these parts is.
    places: HashMap<StoredObjectId, (Line, i64)>,
    /// How many more evictions do not ask it, because it did not help.
    rests: u32,
}

/// All rows of a line with positions after `from`, up to `to`.
#[derive(Debug, Clone, Default)]
struct Part {
    from: i64,
    to: i64,
    rows: BTreeMap<i64, Waiting>,
}

/// An object in a line.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub ranked: Ranked,
    /// Its row, unless it is gone.
    pub object: Option<StoredObject>,
}

impl Waiting {
    pub fn stored(object: StoredObject) -> Self {
        let rank = Rank::at(RankQueue::Main, object.id.0, 0);
        Self {
            ranked: Ranked {
                object: object.id,
                rank,
            },
            object: Some(object),
        }
    }
}

impl Ahead {
    /// Follows a change.
    pub fn follow(&mut self, change: &Change<'_>) {
        match change {
            Change::ObjectRemoved { object, .. } | Change::ObjectVacated { object, .. } => drop(self.take(*object)),
            Change::Ranked { object, after, .. } => self.put(*object, *after),
            Change::Held { object, lifetime }
            | Change::Released { object, lifetime, .. }
            | Change::Expired {
                name: None,
                object,
                lifetime,
                ..
            }
            | Change::NameUnbound {
                object,
                lifetime: Some(lifetime),
                ..
            } => self.hold(*object, *lifetime),
            Change::NameBound {
                binding,
                lifetime: Some(lifetime),
                ..
            }
            | Change::NameLasts {
                binding,
                lifetime: Some(lifetime),
                ..
            } => self.hold(binding.object, *lifetime),
            // Its key was set aside early, so it may be among the rows that are known.
            Change::ObjectPosted { object, .. } if self.stored.has(object.id.0) => self.forget(),
            Change::SpaceChanged(_) | Change::Fixed(_) => self.forget(),
            // Other objects join the end of a line, which is not among its first rows.
            _ => {}
        }
    }

    /// Adds rows that were read from a line, after the position `after`.
    pub fn add(&mut self, line: Line, after: i64, rows: Vec<Waiting>) {
        let Some(to) = rows.last().map(|last| last.ranked.rank.position) else {
            return;
        };
        let is_stored = |line: Line| line == Line::Stored;
        let other = self.places.values().next().map(|&(other, _)| is_stored(other));
        if other.is_some_and(|other| other != is_stored(line)) {
            // An object has one place here, but somebody evicts by a policy other than that of the space.
            self.forget();
        }
        let part = self.part(line);
        if part.to != after || part.rows.len() + rows.len() > MOST {
            let before = std::mem::take(part);
            part.from = after;
            for waiting in before.rows.into_values() {
                self.places.remove(&waiting.ranked.object);
            }
        }
        for waiting in &rows {
            let Ranked { object, rank } = waiting.ranked;
            self.places.insert(object, (line, rank.position));
        }
        let part = self.part(line);
        part.to = to;
        let rows = rows.into_iter().map(|waiting| (waiting.ranked.rank.position, waiting));
        part.rows.extend(rows);
    }

    /// The place of an object that is in a queue.
    pub fn rank(&self, object: StoredObjectId) -> Option<Rank> {
        let &(line, position) = self.places.get(&object)?;
        let waiting = self.known_part(line).rows.get(&position)?;
        (line != Line::Stored).then_some(waiting.ranked.rank)
    }

    /// Whether it is worth asking.
    pub fn may_help(&mut self) -> bool {
        self.rests = self.rests.saturating_sub(1);
        self.rests == 0
    }

    /// Notes that it did not help: too many rows are needed, or too many objects cannot go. It is
    /// asked again after a while.
    pub fn rest(&mut self) {
        self.rests = 256;
    }

    fn forget(&mut self) {
        let rests = self.rests;
        *self = Self {
            rests,
            ..Self::default()
        };
    }

    fn take(&mut self, object: StoredObjectId) -> Option<Waiting> {
        let (line, position) = self.places.remove(&object)?;
        self.part(line).rows.remove(&position)
    }

    fn put(&mut self, object: StoredObjectId, rank: Option<Rank>) {
        let before = self.take(object);
        let Some(rank) = rank else { return };
        let line = Line::Ranked(rank.queue);
        if !self.part(line).has(rank.position) {
            return;
        }
        let Some(before) = before else {
            // The row of this object is not known.
            return self.forget();
        };
        let ranked = Ranked { object, rank };
        self.places.insert(object, (line, rank.position));
        let rows = &mut self.part(line).rows;
        rows.insert(rank.position, Waiting { ranked, ..before });
    }

    fn hold(&mut self, object: StoredObjectId, lifetime: Lifetime) {
        let Some(&(line, position)) = self.places.get(&object) else {
            return;
        };
        let waiting = self.part(line).rows.get_mut(&position);
        if let Some(object) = waiting.and_then(|waiting| waiting.object.as_mut()) {
            object.set_lifetime(lifetime);
        }
    }

    fn part(&mut self, line: Line) -> &mut Part {
        match line {
            Line::Stored => &mut self.stored,
            Line::Ranked(RankQueue::Trial) => &mut self.trial,
            Line::Ranked(RankQueue::Main) => &mut self.main,
            Line::Ranked(RankQueue::Gone | RankQueue::Unknown) => &mut self.gone,
        }
    }

    fn known_part(&self, line: Line) -> &Part {
        match line {
            Line::Stored => &self.stored,
            Line::Ranked(RankQueue::Trial) => &self.trial,
            Line::Ranked(RankQueue::Main) => &self.main,
            Line::Ranked(RankQueue::Gone | RankQueue::Unknown) => &self.gone,
        }
    }
}

impl Part {
    fn has(&self, position: i64) -> bool {
        self.from < position && position <= self.to
    }
}

/// A view of what is known. If that is not enough, it says what would have to be read.
pub(crate) struct View<'a> {
    ahead: &'a Ahead,
    missed: Option<(Line, i64)>,
}

impl<'a> View<'a> {
    pub(super) fn of(ahead: &'a Ahead) -> Self {
        let missed = None;
        Self { ahead, missed }
    }

    /// What is not known: the rows of a line after a position.
    pub fn missed(&self) -> Option<(Line, i64)> {
        self.missed
    }

    /// Notes that a question has no answer here.
    pub fn miss(&mut self, line: Line, after: i64) {
        self.missed.get_or_insert((line, after));
    }

    /// The rows of a line after a position, and the position up to which they are complete.
    pub fn after(&mut self, line: Line, after: i64) -> (impl Iterator<Item = &'a Waiting> + use<'a>, i64) {
        let part = self.ahead.known_part(line);
        let is_known = part.from <= after && after < part.to;
        if !is_known {
            self.miss(line, after);
        }
        let rows = is_known.then(|| part.rows.range(after.saturating_add(1)..).map(|(_, waiting)| waiting));
        (rows.into_iter().flatten(), if is_known { part.to } else { i64::MAX })
    }

    /// An object that is in a line.
    pub fn object(&self, object: StoredObjectId) -> Option<&'a StoredObject> {
        let &(line, position) = self.ahead.places.get(&object)?;
        self.ahead.known_part(line).rows.get(&position)?.object.as_ref()
    }
}
