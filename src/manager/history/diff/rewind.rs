//! Undoes the events between two moments, newest first.

use std::collections::BTreeMap;

use super::found::{Classes, Diff, ObjectSize, Side};
use crate::books::events::PieceChange;
use crate::error::Result;
use crate::manager::history::events::{known, outside};
use crate::manager::report::layout::changes_of;
use crate::manager::{Moment, unsigned};
use crate::models::{Event, EventId, EventKind, ReservationId, SizeClassTotals};
use crate::value::ObjectId;

/// Undoes events from now back to the earlier moment, and notes the objects and classes at the
/// later and at the earlier moment.
pub(super) struct Rewind {
    later: EventId,
    classes: Classes,
    touched: BTreeMap<ObjectId, Touched>,
    /// Objects whose pieces are in older events, those of an upload.
    uploads: BTreeMap<ReservationId, ObjectId>,
    /// Pieces of freed objects that newer events have given back.
    reclaimed: BTreeMap<ReservationId, Vec<PieceChange>>,
}

/// An object that was stored, moved or freed between the moments. Events come newest first.
#[derive(Default)]
struct Touched {
    size: u64,
    before: Option<Vec<PieceChange>>,
    after: Option<Vec<PieceChange>>,
    /// Whether it was stored or freed.
    seen: bool,
    /// What its moves have changed since it was last stored, the newest first.
    moves: Vec<PieceChange>,
}

impl Rewind {
    /// Starts with the current classes.
    pub fn new(now: Vec<SizeClassTotals>, later: EventId) -> Self {
        let mut classes = Classes::default();
        classes.add(now.clone(), Side::Before);
        classes.add(now, Side::After);
        Self {
            later,
            classes,
            touched: BTreeMap::new(),
            uploads: BTreeMap::new(),
            reclaimed: BTreeMap::new(),
        }
    }

    /// Undoes the newest remaining event. `earlier` is the moment at the end.
    pub fn undo(&mut self, event: &Event, earlier: Moment) -> Result<()> {
        // A repair of a single object restored its bytes and moved none.
        if event.kind == EventKind::Repair && event.object.is_none() {
            let why = format!("the books were repaired by event {}", event.id.n());
            return Err(outside(earlier, why));
        }
        let changes = changes_of(event)?;
        let mut pieces = changes.pieces;
        for piece in &pieces {
            self.classes.undo(piece, Side::Before);
            if event.id > self.later {
                self.classes.undo(piece, Side::After);
            }
        }
        let is_stored = match event.kind {
            EventKind::Allocate => true,
            EventKind::Free => false,
            EventKind::Move if event.id <= self.later => {
                let object = known(event.object.unwrap_or(ObjectId::UNKNOWN))?;
                let touched = self.touched.entry(object).or_default();
                touched.undo_move(unsigned(changes.size.unwrap_or_default()), pieces);
                return Ok(());
            }
            _ => {
                self.undo_part(event, pieces);
                return Ok(());
            }
        };
        if event.id <= self.later {
            let object = known(event.object.unwrap_or(ObjectId::UNKNOWN))?;
            if let Some(id) = event.reservation_id {
                if is_stored {
                    self.uploads.insert(id, object);
                } else {
                    pieces.extend(self.reclaimed.remove(&id).unwrap_or_default());
                }
            }
            pieces.sort_unstable();
            let touched = self.touched.entry(object).or_default();
            touched.undo(is_stored, unsigned(event.bytes), pieces);
        }
        Ok(())
    }

    /// A large object is stored in parts before it is an object, and given back in steps after it was
    /// one.
    fn undo_part(&mut self, event: &Event, pieces: Vec<PieceChange>) {
        let Some(id) = event.reservation_id else { return };
        match event.kind {
            EventKind::Reclaim => self.reclaimed.entry(id).or_default().extend(pieces),
            EventKind::Upload => {
                let object = self.uploads.get(&id);
                if let Some(after) = object.and_then(|object| self.touched.get_mut(object)?.after.as_mut()) {
                    after.extend(pieces);
                }
            }
            _ => {}
        }
    }

    pub fn diff(self) -> Diff {
        let mut diff = Diff::default();
        for (object_id, mut touched) in self.touched {
            if let Some(after) = &mut touched.after {
                shift(after, touched.moves.iter().rev().copied());
                // The pieces of an upload were added last.
                after.sort_unstable();
            }
            let object = ObjectSize {
                object_id,
                size: touched.size,
            };
            let is_elsewhere = touched.is_elsewhere();
            match (touched.before, touched.after) {
                (None, Some(_)) => diff.added.push(object),
                (Some(_), None) => diff.freed.push(object),
                (Some(before), Some(after)) if before != after => diff.moved.push(object),
                (None, None) if is_elsewhere => diff.moved.push(object),
                _ => {}
            }
        }
        diff.classes = self.classes.0.into_values().collect();
        diff.sorted()
    }
}

impl Touched {
    /// The first undone event tells the object's state after all of them, and each event tells the
    /// state before it.
    fn undo(&mut self, is_stored: bool, size: u64, mut pieces: Vec<PieceChange>) {
        self.size = size;
        if is_stored {
            if !self.seen {
                self.after = Some(pieces);
            }
            self.before = None;
        } else {
            for piece in &mut pieces {
                piece.bytes = -piece.bytes;
            }
            pieces.sort_unstable();
            self.before = Some(pieces);
        }
        self.seen = true;
    }

    /// Undoes a move; `pieces` are what it has taken out and put in.
    fn undo_move(&mut self, size: u64, pieces: Vec<PieceChange>) {
        self.size = size;
        if !self.seen {
            self.moves.extend(pieces.into_iter().rev());
        } else if let Some(before) = &mut self.before {
            shift(before, pieces.into_iter().rev().map(negative));
            before.sort_unstable();
        }
    }

    /// Whether it was only moved, and not moved back again.
    fn is_elsewhere(&self) -> bool {
        let mut sums: BTreeMap<PieceChange, i64> = BTreeMap::new();
        for change in &self.moves {
            let piece = if change.bytes < 0 { negative(*change) } else { *change };
            *sums.entry(piece).or_default() += change.bytes.signum();
        }
        !self.seen && sums.values().any(|&count| count != 0)
    }
}

fn negative(change: PieceChange) -> PieceChange {
    PieceChange {
        bytes: -change.bytes,
        ..change
    }
}

/// Takes pieces out, and puts pieces in.
fn shift(pieces: &mut Vec<PieceChange>, changes: impl Iterator<Item = PieceChange>) {
    for change in changes {
        let gone = negative(change);
        if change.bytes > 0 {
            pieces.push(change);
        } else if let Some(at) = pieces.iter().position(|piece| *piece == gone) {
            pieces.swap_remove(at);
        }
    }
}
