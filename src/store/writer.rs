//! The writer: its states, and its cache between transactions.

mod clock;
mod keys;
mod lookups;
mod trim;

use self::clock::Clock;
use self::lookups::LookedUp;
use super::deadline::Deadline;
use super::engine::Engine;
use super::known::KnownSpace;
use super::queries;
use crate::books::batch::Batch;
use crate::books::change::Change;
use crate::books::triggers::Trigger;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::{EventId, MemRamId, Sequence, StoredObjectId, signed};

/// Executes units of work. Several units may share one transaction (see `group`); a failed one is
/// rolled back alone.
///
/// What a unit gathers is written when it must be read, and otherwise with the commit, together with
/// what the other units of the transaction have gathered. Only a unit that writes earlier needs a
/// savepoint.
pub(super) struct Writer {
    pub engine: Box<dyn Engine>,
    pub space: MemRamId,
    pub geometry: Geometry,
    triggers: &'static [Trigger],
    /// Whether it also writes to a space that is being dropped.
    pub drops: bool,
    state: State,
    /// Finished units in the open transaction.
    pub done: usize,
    /// What they have gathered.
    earlier: Batch<'static>,
    /// What the running unit has gathered.
    pub own: Batch<'static>,
    known: Option<KnownSpace>,
    /// What was known when a transaction began lazily, in case the transaction must run again.
    before: Option<KnownSpace>,
    pub looked_up: LookedUp,
    clock: Clock,
}

/// How a transaction begins, if none is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Without a statement, if possible: its units can be run again if something has changed.
    Lazily,
    /// After everybody else who writes to the space.
    Locked,
}

/// The state of the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No transaction is open. Also the state after a unit has lost its transaction.
    Idle,
    /// A transaction is open, but no unit is running.
    Open,
    /// The running unit has written nothing, so discarding it rolls it back.
    Gathering,
    /// The running unit has written, after a savepoint or as the first of its transaction.
    Written,
    /// The unit failed halfway, and can only be rolled back.
    Failed {
        /// Whether it had written.
        wrote: bool,
    },
}

impl Writer {
    pub fn new(engine: Box<dyn Engine>, space: MemRamId, geometry: Geometry, triggers: &'static [Trigger]) -> Self {
        Self {
            engine,
            space,
            geometry,
            triggers,
            drops: false,
            state: State::Idle,
            done: 0,
            earlier: Batch::default(),
            own: Batch::default(),
            known: None,
            before: None,
            looked_up: LookedUp::default(),
            clock: Clock::new(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.state != State::Idle
    }

    /// Starts a unit of work, in a new transaction or in the open one.
    pub fn begin(&mut self, how: Begin, deadline: Deadline) -> Result<()> {
        self.engine.set_deadline(deadline);
        if self.state == State::Idle {
            if how == Begin::Locked || !self.begin_lazily() {
                self.looked_up = LookedUp::default();
                self.engine.begin(self.space)?;
                if self.engine.forgets() {
                    self.known = None;
                }
            }
            self.state = State::Gathering;
            return self.refresh().inspect_err(|_| self.abandon());
        }
        self.state = State::Gathering;
        let recording = self.known()?.is_recording();
        self.own.begin(recording, self.engine.limits());
        Ok(())
    }

    fn begin_lazily(&mut self) -> bool {
        let Some(known) = &self.known else { return false };
        let is_lazy = self.engine.begin_lazily(self.space, known.version);
        self.before = is_lazy.then(|| known.clone());
        is_lazy
    }

    /// Completes the unit; its changes stay unless the transaction fails.
    pub fn finish(&mut self) -> Result<()> {
        self.not_failed()?;
        if self.state == State::Written && self.done > 0 {
            self.engine.release_savepoint()?;
        }
        self.state = State::Open;
        let own = std::mem::take(&mut self.own);
        if self.done == 0 {
            self.earlier = own;
        } else {
            self.earlier.absorb(own);
        }
        self.done += 1;
        if self.earlier.is_full() {
            self.write_earlier().inspect_err(|_| self.abandon())?;
        }
        Ok(())
    }

    /// Rolls back the unit. An error means that the whole transaction is lost: SQLite itself rolls it
    /// back after some failures, such as a full disk. [`Error::BatchFailed`] means that it was lost
    /// before.
    pub fn undo(&mut self) -> Result<()> {
        self.own = Batch::default();
        let wrote = matches!(self.state, State::Written | State::Failed { wrote: true });
        if self.state == State::Idle {
            return Err(Error::BatchFailed);
        }
        if self.done == 0 {
            self.abandon();
            return Ok(());
        }
        self.state = State::Open;
        // The cache is read again without this unit's changes, so the earlier units' rows must be
        // in the tables.
        let undone = if wrote {
            self.engine.rollback_to_savepoint().map_err(|_| Error::BatchFailed)
        } else if self.engine.is_in_transaction() {
            self.write_earlier()
        } else {
            Err(Error::BatchFailed)
        };
        self.known = None;
        undone.and_then(|()| self.refresh()).inspect_err(|_| self.abandon())
    }

    /// Writes everything and commits. After an error nothing of the transaction remains.
    pub fn commit(&mut self) -> Result<()> {
        let written = self.write_all();
        let promised = self.known.as_ref().map_or(0, |known| known.memram.promised);
        let written = written.and_then(|()| self.engine.check_promised(promised));
        let committed = written.and_then(|()| self.engine.commit());
        match &committed {
            Ok(()) => {
                if let Some(known) = &mut self.known {
                    known.version = self.engine.version();
                }
                self.looked_up = LookedUp::default();
                self.before = None;
            }
            Err(_) => self.abandon_for_objects_present(),
        }
        self.state = State::Idle;
        self.done = 0;
        committed
    }

    /// Writes everything that is gathered, and what follows from it.
    fn write_all(&mut self) -> Result<()> {
        let earlier = std::mem::take(&mut self.earlier);
        let was_last = self.write(earlier, self.engine.is_lazy())?;
        if was_last { Ok(()) } else { self.trim_history() }
    }

    /// Rolls the whole transaction back.
    pub fn abandon(&mut self) {
        self.engine.rollback();
        self.own = Batch::default();
        self.earlier = Batch::default();
        self.known = None;
        self.before = None;
        self.looked_up = LookedUp::default();
        self.state = State::Idle;
        self.done = 0;
    }

    /// Writes what is gathered, and switches to another space, or to this one with its current row.
    pub fn enter(&mut self, space: MemRamId, geometry: Geometry) -> Result<()> {
        self.flush()?;
        self.engine.enter(space)?;
        self.space = space;
        self.looked_up = LookedUp::default();
        self.geometry = geometry;
        self.known = None;
        self.refresh()
    }

    /// Reads the space again if another connection has committed since.
    fn refresh(&mut self) -> Result<()> {
        let version = self.engine.version();
        let known = match self.known.take().filter(|known| known.version == version) {
            Some(known) => known,
            None => KnownSpace::read(&mut *self.engine, version, self.space, &self.geometry)?,
        };
        if !self.drops {
            known.memram.is_kept()?;
        }
        self.own.begin(known.is_recording(), self.engine.limits());
        self.known = Some(known);
        Ok(())
    }

    pub fn known(&mut self) -> Result<&mut KnownSpace> {
        self.known.as_mut().ok_or(Error::BatchFailed)
    }

    /// What is gathered in the open transaction but not written, newest first.
    pub fn gathered(&self) -> [&Batch<'static>; 2] {
        [&self.own, &self.earlier]
    }

    /// Whether a row of an object is gathered, and so not yet in its table.
    pub fn brings(&self, object: StoredObjectId) -> bool {
        self.gathered().iter().any(|batch| batch.brings(object))
    }

    /// Fails unless a unit is running that can still complete. After some failures, such as a full
    /// disk, SQLite has rolled back and would commit each further statement by itself, so nothing
    /// must be written.
    pub fn not_failed(&self) -> Result<()> {
        match self.state {
            State::Gathering | State::Written => Ok(()),
            State::Idle | State::Open | State::Failed { .. } => Err(Error::BatchFailed),
        }
    }

    /// Whether everything of the open transaction is written.
    pub fn is_between_units(&self) -> bool {
        self.state == State::Open
    }

    /// Marks the unit as failed, so that it can only be rolled back.
    pub fn fail(&mut self) {
        self.state = match self.state {
            State::Gathering => State::Failed { wrote: false },
            State::Written => State::Failed { wrote: true },
            other => other,
        };
    }

    /// A failed read may have lost the transaction, like a failed write, so nothing after it may be
    /// committed.
    pub fn check<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(Error::DiskFull | Error::DiskFailed { .. } | Error::Database { .. } | Error::Server(_)) = result {
            self.fail();
        }
        result
    }

    /// Runs every trigger on a change, and gathers or writes what it changes.
    pub fn apply(&mut self, change: Change<'_>) -> Result<()> {
        let apart = change.stands_apart();
        if change.grows() {
            self.engine.will_grow();
        }
        if apart {
            self.flush()?;
        }
        match &change {
            Change::EntryAdded { entry, .. } => {
                let key = entry.id().0;
                let known = self.known()?;
                known.numbers.used(&known.memram, Sequence::StoredObjects, key)?;
            }
            // Within a batch, removals are written first.
            Change::ObjectRemoved { object, .. } if self.brings(*object) => self.flush_rows()?,
            _ => {}
        }
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        known.ahead.follow(&change);
        let separate = self.own.apply(change, self.triggers, &self.geometry, &mut known.room)?;
        if let Some(batch) = separate {
            self.flush_rows()?;
            return self.write_own(batch);
        }
        if apart {
            self.flush()
        } else if self.own.is_full() {
            self.flush_rows()
        } else {
            Ok(())
        }
    }

    /// Writes the gathered rows, so that statements see them.
    pub fn flush_rows(&mut self) -> Result<()> {
        self.not_failed()?;
        let rows = self.own.take_rows();
        self.write_own(rows)
    }

    /// Writes everything that is gathered; afterwards the tables are up to date.
    pub fn flush(&mut self) -> Result<()> {
        self.not_failed()?;
        let batch = self.own.take();
        self.write_own(batch)
    }

    fn write_own(&mut self, batch: Batch<'_>) -> Result<()> {
        if batch.is_empty() {
            // Earlier units may still have rows to read.
            return self.before_read();
        }
        self.before_write()?;
        self.write(batch, false).map(drop).inspect_err(|_| self.fail())
    }

    fn before_read(&mut self) -> Result<()> {
        // A failure here also fails the earlier units, because half of their rows may be lost.
        self.write_earlier().inspect_err(|_| self.abandon())
    }

    /// Called before the unit's first write: the rows gathered by the other units are written first,
    /// so that they stay if the unit is rolled back.
    fn before_write(&mut self) -> Result<()> {
        if self.state == State::Gathering {
            if self.done > 0 {
                self.before_read()?;
                self.engine.savepoint().inspect_err(|_| self.abandon())?;
            }
            self.state = State::Written;
        }
        Ok(())
    }

    /// Writes what the earlier units have gathered.
    pub fn write_earlier(&mut self) -> Result<()> {
        let earlier = std::mem::take(&mut self.earlier);
        self.write(earlier, false).map(drop)
    }

    /// Writes a batch, as the last one of the transaction if it may be and nothing follows from it.
    /// Returns whether it was.
    fn write(&mut self, mut batch: Batch<'_>, may_be_last: bool) -> Result<bool> {
        if batch.is_empty() {
            return Ok(may_be_last);
        }
        batch.settle();
        // Keys are never reused, but only the removed rows show which ones were assigned.
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        let tx = &mut self.engine.read();
        let kept = batch.keep_last_ids(|sequence| known.numbers.last(tx, &known.memram, sequence));
        self.check(kept)?;
        if batch.begins_with_refusal() {
            let newest = queries::events::newest_refusals(&mut self.engine.read(), self.space);
            batch.count_refusals(self.check(newest)?);
        }
        if batch.drafts() > 0 {
            let first = self.take_numbers(Sequence::Events, batch.drafts())?;
            batch.number_events(EventId(first), signed(self.known()?.memram.mem));
        }
        let is_last = may_be_last && !self.known()?.trims_after(&batch);
        if is_last {
            self.engine.write_last(self.space, &batch)?;
        } else {
            self.engine.write(self.space, &batch)?;
            self.looked_up.forget_changed(&batch);
        }
        self.known()?.follow(&batch);
        if batch.changes_eviction() {
            self.read_space()?;
        }
        Ok(is_last)
    }
}
