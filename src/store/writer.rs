//! The one that writes: its states, and what it remembers between transactions.

use super::deadline::Deadline;
use super::known::KnownSpace;
use super::queries;
use super::sqlite::engine::Engine;
use crate::books::batch::Batch;
use crate::books::change::Change;
use crate::books::placement::RoomLevel;
use crate::books::room::Room;
use crate::books::triggers::Trigger;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::{EventId, MemRamId, Sequence, StoredObjectId, signed};

/// Executes units of work. Several units may share one transaction (see `group`); each
/// is undone alone when it fails.
///
/// What a unit gathers is written when something must read it, and at the latest with the
/// commit, together with what the other units of the transaction have gathered. Only a
/// unit that writes before needs a savepoint.
pub(super) struct Writer {
    pub engine: Engine,
    pub space: MemRamId,
    pub geometry: Geometry,
    triggers: &'static [Trigger],
    state: State,
    /// Units that are done in the open transaction.
    pub done: usize,
    /// What those have gathered.
    earlier: Batch<'static>,
    /// What the unit under way has gathered.
    pub own: Batch<'static>,
    known: Option<KnownSpace>,
}

/// What the writer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No transaction is open. A unit that has lost its transaction finds this, too.
    Idle,
    /// A transaction is open, and no unit is under way.
    Open,
    /// A unit is under way that has written nothing: to forget it is to undo it.
    Gathering,
    /// A unit is under way that has written, behind a savepoint or as the first of its
    /// transaction.
    Written,
    /// The unit failed half-way, and can only be undone.
    Failed {
        /// It had written.
        wrote: bool,
    },
}

impl Writer {
    pub fn new(engine: Engine, space: MemRamId, geometry: Geometry, triggers: &'static [Trigger]) -> Self {
        Self {
            engine,
            space,
            geometry,
            triggers,
            state: State::Idle,
            done: 0,
            earlier: Batch::default(),
            own: Batch::default(),
            known: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.state != State::Idle
    }

    /// Starts a unit of work: with a transaction, or in the one that is open.
    pub fn begin(&mut self, deadline: Deadline) -> Result<()> {
        self.engine.set_deadline(deadline);
        if self.state == State::Idle {
            self.engine.begin()?;
            self.state = State::Gathering;
            return self.refresh().inspect_err(|_| self.abandon());
        }
        self.state = State::Gathering;
        let recording = self.known()?.is_recording();
        self.own.begin(recording);
        Ok(())
    }

    /// The unit is complete; its changes stay unless the transaction fails.
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

    /// Undoes the unit. An error means that the whole transaction is gone: SQLite
    /// itself rolls it back after some failures, such as a full disk. That it was gone
    /// before is [`Error::BatchFailed`].
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
        // What is known follows the unit; what the others did must be there to be read.
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

    /// Writes everything and commits. After an error nothing of the transaction is left.
    pub fn commit(&mut self) -> Result<()> {
        let committed = self.write_earlier().and_then(|()| self.engine.commit());
        if committed.is_err() {
            self.abandon();
        }
        self.state = State::Idle;
        self.done = 0;
        committed
    }

    /// Rolls the whole transaction back.
    pub fn abandon(&mut self) {
        self.engine.rollback();
        self.own = Batch::default();
        self.earlier = Batch::default();
        self.known = None;
        self.state = State::Idle;
        self.done = 0;
    }

    /// Writes what is gathered and goes on in another space, or in this one with what
    /// its row says now.
    pub fn enter(&mut self, space: MemRamId, geometry: Geometry) -> Result<()> {
        self.flush()?;
        self.space = space;
        self.geometry = geometry;
        self.known = None;
        self.refresh()
    }

    /// Reads the space again if another connection has committed since.
    fn refresh(&mut self) -> Result<()> {
        let version = self.engine.version()?;
        let known = match self.known.take().filter(|known| known.version == version) {
            Some(known) => known,
            None => KnownSpace::read(&mut self.engine, version, self.space, &self.geometry)?,
        };
        self.own.begin(known.is_recording());
        self.known = Some(known);
        Ok(())
    }

    pub fn known(&mut self) -> Result<&mut KnownSpace> {
        self.known.as_mut().ok_or(Error::BatchFailed)
    }

    fn known_and_engine(&mut self) -> Result<(&mut KnownSpace, &mut Engine)> {
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        Ok((known, &mut self.engine))
    }

    pub fn geometry_and_room(&mut self) -> Result<(&Geometry, &Room)> {
        let known = self.known.as_ref().ok_or(Error::BatchFailed)?;
        Ok((&self.geometry, &known.room))
    }

    /// Reads the next page of what has room at one level.
    pub fn load_room(&mut self, level: RoomLevel) -> Result<()> {
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        let tx = &mut self.engine.read();
        let loaded = queries::room::load(tx, self.space, &self.geometry, &mut known.room, level);
        self.check(loaded)
    }

    /// What is gathered in the open transaction and not written, the newest first.
    pub fn gathered(&self) -> [&Batch<'static>; 2] {
        [&self.own, &self.earlier]
    }

    /// Whether something of an object is gathered, and so not in its table yet.
    pub fn brings(&self, object: StoredObjectId) -> bool {
        self.gathered().iter().any(|batch| batch.brings(object))
    }

    /// Fails unless a unit is under way that can still be completed. After some failures,
    /// such as a full disk, SQLite has rolled back and would commit whatever is written
    /// next on its own: nothing must be.
    pub fn not_failed(&self) -> Result<()> {
        match self.state {
            State::Gathering | State::Written => Ok(()),
            State::Idle | State::Open | State::Failed { .. } => Err(Error::BatchFailed),
        }
    }

    /// Whether what is written of the open transaction is all of it.
    pub fn is_between_units(&self) -> bool {
        self.state == State::Open
    }

    /// The unit can only be undone.
    pub fn fail(&mut self) {
        self.state = match self.state {
            State::Gathering => State::Failed { wrote: false },
            State::Written => State::Failed { wrote: true },
            other => other,
        };
    }

    /// A read that failed may have cost the transaction, as a failed write does: what
    /// comes after it must not be committed.
    pub fn check<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(Error::DiskFull | Error::DiskFailed { .. } | Error::Database { .. }) = result {
            self.fail();
        }
        result
    }

    /// Runs every trigger on a change, and gathers or writes what it changes.
    pub fn apply(&mut self, change: Change<'_>) -> Result<()> {
        let apart = change.stands_apart();
        if apart {
            self.flush()?;
        }
        match &change {
            Change::EntryAdded { entry, .. } => {
                let key = entry.id().0;
                let known = self.known()?;
                known.numbers.used(&known.memram, Sequence::StoredObjects, key)?;
            }
            // Within a batch, what goes comes first.
            Change::ObjectRemoved { object, .. } if self.brings(*object) => self.flush_rows()?,
            _ => {}
        }
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        let at_once = self.own.apply(change, self.triggers, &self.geometry, &mut known.room)?;
        if let Some(batch) = at_once {
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

    /// Writes the rows that are gathered, so that statements see them.
    pub fn flush_rows(&mut self) -> Result<()> {
        self.not_failed()?;
        let rows = self.own.take_rows();
        self.write_own(rows)
    }

    /// Writes everything that is gathered: afterwards the tables are as the books say.
    pub fn flush(&mut self) -> Result<()> {
        self.not_failed()?;
        let batch = self.own.take();
        self.write_own(batch)
    }

    fn write_own(&mut self, batch: Batch<'_>) -> Result<()> {
        if batch.is_empty() {
            // Those before may still have something to be read.
            return self.before_read();
        }
        self.before_write()?;
        self.write(batch).inspect_err(|_| self.fail())
    }

    fn before_read(&mut self) -> Result<()> {
        // What fails here fails the units before: half of what they wrote may be lost.
        self.write_earlier().inspect_err(|_| self.abandon())
    }

    /// Must come before the unit writes anything: what the others have gathered is
    /// written first, and stays when the unit is undone.
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

    /// Writes what the units before have gathered.
    pub fn write_earlier(&mut self) -> Result<()> {
        let earlier = std::mem::take(&mut self.earlier);
        self.write(earlier)
    }

    fn write(&mut self, mut batch: Batch<'_>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        // A key never comes back, and what says which were given out are the rows that go.
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        let tx = &mut self.engine.read();
        let kept = batch.keep_last_ids(|sequence| known.numbers.last(tx, &known.memram, sequence));
        self.check(kept)?;
        if batch.drafts() > 0 {
            let first = self.take_numbers(Sequence::Events, batch.drafts())?;
            batch.number_events(EventId(first), signed(self.known()?.memram.mem));
        }
        self.engine.write(self.space, &batch)?;
        self.known()?.follow(&batch);
        Ok(())
    }

    /// The first of the next `count` keys of a table; a key never comes back.
    pub fn take_numbers(&mut self, sequence: Sequence, count: usize) -> Result<i64> {
        let (known, engine) = self.known_and_engine()?;
        let taken = known.numbers.take(&mut engine.read(), &known.memram, sequence, count);
        self.check(taken)
    }
}
