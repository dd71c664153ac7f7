//! What a unit of work will write, as one value.
//!
//! [`Batch::apply`] is the only way to add changes: it runs every trigger, updates the room, and
//! gathers the rows. The store reads the batch and writes it as its engine does best.

mod events;
mod lookups;

use std::mem::take;

use super::change::Change;
use super::effects::Effects;
use super::event_rows::EventRow;
use super::events::Signature;
use super::fix::Fix;
use super::history_change::{HistoryChange, HistorySetting};
use super::limits::Limits;
use super::room::Room;
use super::rows::{MovedPiece, ObjectGone, Rows};
use super::triggers::Trigger;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::{HistoryMode, LedgerId, NewEntry, Owner, Sequence, unsigned};

/// A batch with this many rows of one table is full.
const MOST_ROWS: usize = 4096;

/// What one unit of work, or several that share a commit, will write.
#[derive(Debug, Default)]
pub(crate) struct Batch<'d> {
    rows: Rows<'d>,
    effects: Effects,
    /// Rows of events, which get their numbers at the end.
    events: Vec<EventRow>,
    history: HistoryChange,
    /// The new ceiling of the file, if it changes.
    ceiling: Option<Option<i64>>,
    /// The highest key of each table from which rows are removed, so that no key is reused.
    last_ids: Vec<(Sequence, i64)>,
    /// A correction, always alone in its batch.
    fix: Option<Fix<'d>>,
    limits: Limits,
}

impl Batch<'static> {
    /// Runs every trigger on a change, updates the room, and gathers what to write. Returns what is
    /// better written immediately as a separate batch that borrows from the change, so that the
    /// bytes of a large piece are not copied.
    ///
    /// # Errors
    /// What a trigger fails with; the unit of work must then be rolled back.
    pub fn apply<'c>(
        &mut self,
        change: Change<'c>,
        triggers: &[Trigger],
        geometry: &Geometry,
        room: &mut Room,
    ) -> Result<Option<Batch<'c>>> {
        for trigger in triggers {
            trigger(&change, &mut self.effects)?;
        }
        room.follow(&change, geometry, &self.effects)?;
        Ok(self.gather(change))
    }

    fn gather<'c>(&mut self, change: Change<'c>) -> Option<Batch<'c>> {
        let rows = &mut self.rows;
        match change {
            Change::SpaceMade(space) => {
                let is_recorded = space.history.mode != HistoryMode::Off;
                rows.space = Some(space);
                if is_recorded {
                    self.open_books();
                }
            }
            Change::SpaceChanged(change) => rows.space_change = Some(change),
            Change::ArenaAdded(arena) => rows.arenas.push(arena),
            Change::PoolAdded(pool) => rows.pools.push(pool),
            Change::BlockAdded(block) => rows.blocks.push(block),
            Change::ObjectStored(object) | Change::ObjectPosted { object, .. } => rows.store(object),
            Change::EntryAdded { entry, .. } if entry.data.len() >= self.limits.direct => {
                return Some(Batch::of_entry(entry));
            }
            Change::EntryAdded { entry, .. } => {
                rows.bytes += entry.data.len();
                rows.entries.push(entry.into_owned());
            }
            Change::PieceRepaired { object, seq, data } => {
                return Some(Batch::of_piece(LedgerId::of(object.id, seq), data));
            }
            Change::PiecesMoved {
                object,
                seq,
                entries,
                block,
                joined,
                ..
            } => {
                rows.move_piece(LedgerId::of(object, seq), MovedPiece::new(object, &block, joined));
                if entries.len() > 1 {
                    rows.pieces_gone.push((object, seq + 1, entries.len() as i64 - 1));
                }
            }
            Change::ArenaRemoved(arena) => {
                self.effects.arenas.remove(&arena.id);
                rows.arenas_gone.push(arena.id);
            }
            Change::PoolRemoved(pool) => {
                self.effects.pools.remove(&pool.id);
                rows.pools_gone.push(pool.id);
            }
            Change::BlockRemoved(block) => {
                self.effects.blocks.remove(&block.id);
                rows.blocks_gone.push(block.id);
            }
            Change::ObjectRemoved {
                object,
                object_id: id,
                entries,
                ..
            } => rows.remove(object, ObjectGone { id, entries }),
            Change::ObjectVacated { object, object_id, .. } => rows.remove(object, ObjectGone::vacated(object_id)),
            Change::ReservationSet { after, .. } => drop(rows.reservations.insert(after.id, Some(after))),
            Change::ReservationRemoved { reservation } => drop(rows.reservations.insert(reservation.id, None)),
            Change::PiecesReclaimed {
                reservation,
                seq,
                entries,
            } => {
                let (object, count) = (reservation.stored_object_id, entries.len() as i64);
                rows.pieces_gone.extend(object.map(|object| (object, seq, count)));
            }
            Change::Held { object, lifetime } | Change::Released { object, lifetime, .. } => {
                rows.hold(object, lifetime)
            }
            Change::Expired {
                name, object, lifetime, ..
            } => match name {
                Some(name) => rows.unbind(name, object),
                None => rows.hold(object, lifetime),
            },
            Change::NameBound {
                name,
                binding,
                lifetime,
                ..
            } => {
                rows.bind(name, binding);
                rows.hold_if_any(binding.object, lifetime);
            }
            Change::NameLasts {
                name,
                binding,
                lifetime,
            } => {
                rows.rebind(name, binding);
                rows.hold_if_any(binding.object, lifetime);
            }
            Change::NameUnbound {
                name, object, lifetime, ..
            } => {
                rows.unbind(name, object);
                rows.hold_if_any(object, lifetime);
            }
            Change::Tagged { tag, .. } => drop(rows.tags.insert(tag.into(), Some(tag.value.to_owned()))),
            Change::Untagged(tag) => drop(rows.tags.insert(tag.into(), None)),
            Change::QuotaSet { quota, .. } => {
                let owner = Owner::of(&quota.key, &quota.value);
                rows.quotas.insert(owner, Some(quota));
            }
            Change::QuotaRemoved(owner) => drop(rows.quotas.insert(owner, None)),
            Change::Ranked { object, after, .. } => rows.rank(object, after),
            Change::HistorySet { mode, keep, max_bytes } => {
                self.set_history(HistorySetting { mode, keep, max_bytes });
            }
            Change::BooksOpened => self.open_books(),
            Change::HistoryTrimmed { last, .. } => self.history.trimmed = Some(last),
            Change::CeilingSet { max_file } => self.ceiling = Some(max_file),
            Change::Fixed(fix) => return Some(Batch::of_fix(fix)),
            // Entries are removed with their object, by the next change; the others have only effects.
            Change::EntriesRemoved { .. }
            | Change::PartBegun { .. }
            | Change::PlanApplied { .. }
            | Change::Evicted { .. }
            | Change::Refused(_)
            | Change::QuotaUsed { .. }
            | Change::HandMoved { .. }
            | Change::DedupHit { .. }
            | Change::Resized { .. } => {}
        }
        None
    }

    /// Begins a unit of work, with or without recording events.
    pub fn begin(&mut self, recording: bool, limits: Limits) {
        self.effects.recording = recording;
        self.limits = limits;
    }

    /// Sets the actor, time and reason of this unit of work.
    pub fn sign(&mut self, signature: Signature) {
        self.effects.signature = signature;
    }

    /// The actor, time and reason of this unit of work.
    pub fn signature(&self) -> &Signature {
        &self.effects.signature
    }

    /// Takes the rows, to make them visible to statements. Totals and events stay until the end, so
    /// that a row touched by many changes is written only once.
    pub fn take_rows(&mut self) -> Self {
        self.settle();
        let mut rows = take(&mut self.rows);
        rows.renamed.clear();
        Self {
            rows,
            ..Self::default()
        }
    }

    /// Takes everything. An unfinished allocation keeps its event.
    pub fn take(&mut self) -> Self {
        let rows = self.take_rows();
        Self {
            effects: self.effects.take(),
            history: take(&mut self.history),
            ceiling: self.ceiling.take(),
            ..rows
        }
    }

    /// Adds what a later unit has gathered.
    pub fn absorb(&mut self, later: Self) {
        self.rows.absorb(later.rows);
        self.effects.absorb(later.effects);
        self.ceiling = later.ceiling.or(self.ceiling);
    }

    /// Whether the limits are reached.
    pub fn is_full(&self) -> bool {
        let rows = &self.rows;
        let lengths = [
            rows.objects.rows().len(),
            rows.objects_gone.len(),
            rows.names.len(),
            rows.tags.len(),
            rows.ranks.len(),
            rows.holds.len(),
            rows.moved.len(),
        ];
        rows.bytes >= self.limits.bytes || lengths.into_iter().any(|length| length >= MOST_ROWS)
    }
}

impl Batch<'_> {
    /// Merges effects into the new rows that they concern, including rows of earlier units that it has
    /// absorbed. An engine that writes everything in one statement could not update a row that the same
    /// statement inserts.
    pub fn settle(&mut self) {
        let (rows, effects) = (&mut self.rows, &mut self.effects);
        for arena in &mut rows.arenas {
            if let Some(delta) = effects.arenas.remove(&arena.id) {
                arena.mem = arena.mem.saturating_add_signed(delta.mem);
                arena.reserved = arena.reserved.saturating_add_signed(delta.reserved);
            }
        }
        for pool in &mut rows.pools {
            if let Some(delta) = effects.pools.remove(&pool.id) {
                pool.mem = pool.mem.saturating_add_signed(delta.mem);
                pool.reserved = pool.reserved.saturating_add_signed(delta.reserved);
            }
        }
        for block in &mut rows.blocks {
            if let Some(after) = effects.blocks.remove(&block.id) {
                block.mem = unsigned(after.mem);
                block.is_free = after.is_free;
            }
        }
        effects.settle();
    }
}

/// What an engine reads.
impl<'d> Batch<'d> {
    fn of_entry(entry: NewEntry<'d>) -> Self {
        let mut batch = Self::default();
        batch.rows.entries.push(entry);
        batch
    }

    fn of_piece(id: LedgerId, data: &'d [u8]) -> Self {
        let mut batch = Self::default();
        batch.rows.pieces.push((id, data));
        batch
    }

    fn of_fix(fix: Fix<'d>) -> Self {
        Self {
            fix: Some(fix),
            ..Self::default()
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.fix.is_none()
            && self.effects.is_empty()
            && self.events.is_empty()
            && self.history.setting.is_none()
            && self.history.trimmed.is_none()
            && self.ceiling.is_none()
            && self.history.repeated.is_empty()
    }

    /// Notes the highest key ever assigned in each table from which rows are, or may be, removed, unless the row
    /// that has it comes with this batch: then the table itself says so.
    pub fn keep_last_ids(&mut self, mut last: impl FnMut(Sequence) -> Result<i64>) -> Result<()> {
        for sequence in Sequence::ALL {
            let loses_rows = match sequence {
                Sequence::Arenas => !self.rows.arenas_gone.is_empty(),
                Sequence::Pools => !self.rows.pools_gone.is_empty(),
                Sequence::Blocks => !self.rows.blocks_gone.is_empty(),
                Sequence::StoredObjects => !self.rows.objects_gone.is_empty() || !self.rows.pieces_gone.is_empty(),
                Sequence::Reservations => self.rows.reservations.values().any(Option::is_none),
                // The newest trimmed event stays, as an opening.
                Sequence::Events => false,
            };
            if loses_rows || self.fix.is_some() {
                let last = last(sequence)?;
                if sequence != Sequence::StoredObjects || self.last_new_key() != Some(last) {
                    self.last_ids.push((sequence, last));
                }
            }
        }
        Ok(())
    }

    /// The highest key of its new objects and their entries.
    fn last_new_key(&self) -> Option<i64> {
        let object = self.rows.objects.rows().last().map(|object| object.id.0);
        object.max(self.rows.entries.last().map(|entry| entry.id().0))
    }

    pub fn rows(&self) -> &Rows<'d> {
        &self.rows
    }

    pub fn fix(&self) -> Option<&Fix<'d>> {
        self.fix.as_ref()
    }

    pub fn effects(&self) -> &Effects {
        &self.effects
    }

    /// The rows of the numbered events.
    pub fn events(&self) -> &[EventRow] {
        &self.events
    }

    pub fn history(&self) -> &HistoryChange {
        &self.history
    }

    /// The new ceiling of the file, if it changes.
    pub fn ceiling(&self) -> Option<Option<i64>> {
        self.ceiling
    }

    pub fn last_ids(&self) -> &[(Sequence, i64)] {
        &self.last_ids
    }
}
