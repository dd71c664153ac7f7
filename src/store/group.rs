//! Group commit: writers that wait at the same time share one transaction.
//!
//! Each writer in turn runs its unit of work in the open transaction. If others wait for their
//! turn, it leaves the transaction open and waits for the outcome; the last one commits for all. A
//! failed unit is rolled back alone. A single writer commits immediately; one that had company in
//! the last transaction waits a moment for more, a small part of the time of a commit.
//!
//! The ideas are those of MySQL's binary-log group commit (leader and followers; the moment is its
//! `sync_delay`), except that each thread executes its own unit, so nothing is handed over.

mod turn;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use self::turn::Failed;
use super::conn::Conn;
use super::deadline::Deadline;
use super::engine::Engine;
use super::gate::{Coming, Gate};
use super::location::Location;
use super::read::ReadTx;
use super::rehearsal::Rehearsal;
use super::session::WriteTx;
use super::sqlite::ceiling::Ceiling;
use super::writer::{Begin, Writer};
use crate::books::triggers;
use crate::error::{Error, Result, ServerError};
use crate::geometry::Geometry;
use crate::models::MemRamId;

/// The writer of a heap, shared by all its threads.
pub(crate) struct Group {
    gate: Gate,
    /// Locked only by the thread that has entered the gate, so never contended.
    turn: Mutex<Turn>,
    location: Location,
    /// `None` if the heap is not in a file.
    ceiling: Option<Arc<Ceiling>>,
    /// Set when a unit begins to wait for readers of the log, and cleared once the log can be shortened.
    log_is_held: Arc<AtomicBool>,
    reads_when_idle: bool,
}

struct Turn {
    writer: Writer,
    /// The outcome of the open transaction, shared by its units.
    outcome: Arc<Outcome>,
    /// Units run in the open transaction, including failed ones.
    tried: usize,
    /// Units in the last transaction.
    company: usize,
}

/// The outcome of a transaction. Threads that wait for it do not block the next transaction, and
/// all continue at the same time.
///
/// It is always set in the end: a transaction is only left open for a thread that is certain to come
/// (see [`Gate::pass_on`]), and that adds a short unit to it or ends it.
type Outcome = OnceLock<Result<()>>;

/// At most 256 units share a commit, so that none waits for long.
const MOST_UNITS: usize = 256;
/// The longest wait for company: a third of the fastest fsync.
const MOMENT: Duration = Duration::from_micros(30);
/// How often a unit begins lazily before it waits for its turn among all writers: once, and again if it
/// finds that an object is there already, or must begin again because of somebody else.
const LAZY_TRIES: usize = 3;

impl Group {
    /// The writer of a space. With `drops`, it also writes to a space that is being dropped.
    pub(super) fn open(
        location: Location,
        engine: Box<dyn Engine>,
        space: MemRamId,
        geometry: Geometry,
        drops: bool,
    ) -> Self {
        let gate = Gate::new(location.heap_id());
        let mut writer = Writer::new(engine, space, geometry, triggers::ALL);
        writer.drops = drops;
        Self::of(writer, gate, location)
    }

    /// A writer for repair, which starts in this space, uses a separate connection without
    /// constraints, and records no events. Its thread may already have the turn for the same file.
    pub fn for_repair(location: &Location, space: MemRamId, geometry: &Geometry) -> Result<Self> {
        let mut engine = location.engine_for_repair()?;
        engine.use_reserve();
        let mut writer = Writer::new(engine, space, geometry.clone(), triggers::WITHOUT_HISTORY);
        writer.drops = true;
        Ok(Self::of(writer, Gate::new(None), location.clone()))
    }

    fn of(writer: Writer, gate: Gate, location: Location) -> Self {
        Self {
            gate,
            ceiling: writer.engine.ceiling(),
            location,
            log_is_held: writer.engine.log_is_held(),
            reads_when_idle: writer.engine.reads_when_idle(),
            turn: Mutex::new(Turn {
                writer,
                outcome: Arc::default(),
                tried: 0,
                company: 1,
            }),
        }
    }

    /// The ceiling of the file in bytes, as it was last read.
    pub fn max_file(&self) -> Option<u64> {
        self.ceiling.as_ref().and_then(|ceiling| ceiling.max_file())
    }

    /// Runs `work` on the writing connection of a file, between transactions. Others wait for it.
    pub(super) fn maintain<R>(&self, deadline: Deadline, work: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        let mut entered = self.enter(Coming::Apart, deadline)?;
        work(entered.turn.writer.engine.to_maintain()?)
    }

    /// Runs `work` on the writing connection of a file, in a transaction of its own.
    pub(super) fn transaction<R>(&self, deadline: Deadline, work: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        let mut entered = self.enter(Coming::Apart, deadline)?;
        let engine = &mut entered.turn.writer.engine;
        engine.set_deadline(deadline);
        engine.begin(MemRamId::FIRST)?;
        let done = engine.to_maintain().and_then(work);
        let done = done.and_then(|result| engine.commit().map(|()| result));
        if done.is_err() {
            engine.rollback();
        }
        engine.after_commit();
        done
    }

    /// Runs `work` while no other thread of this process writes.
    pub fn pause<R>(&self, deadline: Deadline, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let _entered = self.enter(Coming::Apart, deadline)?;
        work()
    }

    /// Waits until no checkpoint of this process is running, while others may write.
    pub(super) fn await_checkpoint(&self, deadline: Deadline) -> Result<()> {
        let now = Deadline::after(Duration::ZERO);
        while !self
            .enter(Coming::Apart, deadline)?
            .turn
            .writer
            .engine
            .await_checkpoint(now)
        {
            if deadline.is_over() {
                return Err(deadline.busy());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Takes a turn without an open transaction or a running checkpoint, so that finished units
    /// neither wait for what follows nor are rolled back with it.
    fn between_transactions(&self, deadline: Deadline) -> Result<Entered<'_>> {
        let mut entered = self.enter(Coming::Apart, deadline)?;
        if entered.turn.writer.engine.await_checkpoint(deadline) {
            Ok(entered)
        } else {
            Err(deadline.busy())
        }
    }

    /// Runs the short `read` on the writing connection if it is idle: other connections lose their
    /// page cache with each commit, but this one does not.
    pub fn read_if_idle<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Option<Result<R>> {
        if !self.reads_when_idle || !self.gate.try_enter() {
            return None;
        }
        let mut entered = self.entered();
        // Uncommitted changes must not be visible.
        (!entered.turn.writer.is_open()).then(|| read(&mut entered.turn.writer.engine.read_when_idle()))
    }

    /// Runs `work` in a separate transaction that is always rolled back: its effects are real and
    /// can be inspected, but nothing remains. Other writers wait.
    pub fn rehearse<R>(&self, deadline: Deadline, work: impl FnOnce(&mut Rehearsal<'_>) -> Result<R>) -> Result<R> {
        let mut entered = self.between_transactions(deadline)?;
        let writer = &mut entered.turn.writer;
        let result = work(&mut Rehearsal::new(writer, deadline));
        result.map_err(|error| writer.engine.explain(error))
    }

    /// Runs `work` as one unit: if this returns `Ok`, its changes are committed; if it returns an
    /// error or panics, nothing has changed.
    ///
    /// The work must be short, because finished units may have to wait for it before they commit. It may
    /// run several times, if others have changed the space or a connection is lost, until one run is
    /// committed. It stores at most `bytes` of content.
    pub fn write<R>(
        &self,
        bytes: u64,
        deadline: Deadline,
        mut work: impl FnMut(&mut WriteTx<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut tries = 0;
        loop {
            let is_lazy = tries < LAZY_TRIES && !deadline.is_over();
            let how = if is_lazy { Begin::Lazily } else { Begin::Locked };
            tries += 1;
            let mut entered = self.enter(Coming::ToJoin, deadline)?;
            // A lazy transaction of others could be outdated again and again.
            let engine = &entered.turn.writer.engine;
            let shares = engine.may_share(bytes) && (how == Begin::Lazily || !engine.is_lazy());
            if entered.turn.writer.is_open() && !shares {
                let _ = entered.turn.commit();
            }
            match self.run(entered, Some(bytes), how, deadline, &mut work) {
                // That a lazy unit was outdated tells nothing, so at least one try is not lazy.
                Err(error) if error.is_transient() && (is_lazy || !deadline.is_over()) => {}
                result => {
                    return result.map_err(|error| match error {
                        Error::Server(ServerError::Outdated) => deadline.busy(),
                        error => error,
                    });
                }
            }
        }
    }

    /// Like [`Self::write`], for work that may take long or wait for another thread: earlier units
    /// are committed before it starts.
    pub fn write_apart<R>(&self, deadline: Deadline, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        self.run(
            self.enter(Coming::Apart, deadline)?,
            None,
            Begin::Locked,
            deadline,
            work,
        )
    }

    /// Like [`Self::write_apart`], in a transaction that nobody shares and that is not synced: a power
    /// loss may undo it, until a later commit is synced.
    pub fn write_unsynced<R>(&self, deadline: Deadline, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        let mut entered = self.enter(Coming::Apart, deadline)?;
        let turn = &mut *entered.turn;
        turn.writer.engine.sync_commits(false);
        let result = turn.work(Begin::Locked, deadline, work);
        let committed = if turn.writer.is_open() { turn.commit() } else { Ok(()) };
        turn.writer.engine.sync_commits(true);
        drop(entered);
        match result {
            Ok(result) => committed.map(|()| result),
            Err(Failed::Error(error)) => Err(error),
            Err(Failed::Panic(payload)) => resume_unwind(payload),
        }
    }

    fn run<R>(
        &self,
        mut entered: Entered<'_>,
        bytes: Option<u64>,
        how: Begin,
        deadline: Deadline,
        work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>,
    ) -> Result<R> {
        let turn = &mut *entered.turn;
        let result = turn.work(how, deadline, work);
        let outcome = Arc::clone(&turn.outcome);
        turn.writer.engine.has_shared(bytes);
        // Failed units count too, or a finished writer could wait forever.
        let is_full = turn.tried >= MOST_UNITS || !turn.writer.engine.may_share(0);
        let must_commit = turn.writer.is_open() && (is_full || !self.has_company(turn));
        let committed = must_commit.then(|| turn.commit());
        drop(entered);
        let result = match result {
            Ok(result) => result,
            Err(Failed::Error(error)) => return Err(error),
            Err(Failed::Panic(payload)) => resume_unwind(payload),
        };
        let committed = committed.unwrap_or_else(|| outcome.wait().as_ref().map_err(Error::again).copied());
        committed.map(|()| result)
    }

    /// Waits for a turn. A transaction that others left open is committed, unless this thread joins
    /// it.
    fn enter(&self, coming: Coming, deadline: Deadline) -> Result<Entered<'_>> {
        self.gate.enter(coming, deadline).map_err(|error| match error {
            Error::Busy { .. } if self.log_is_held.load(Ordering::Relaxed) => self.location.log_is_held(deadline),
            other => other,
        })?;
        let mut entered = self.entered();
        if coming == Coming::Apart && entered.turn.writer.is_open() {
            // Its units learn the outcome.
            let _ = entered.turn.commit();
        }
        Ok(entered)
    }

    /// The turn of a thread that has entered the gate.
    fn entered(&self) -> Entered<'_> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let leave = Leave {
            group: self,
            is_open: false,
        };
        Entered { turn, leave }
    }

    /// Whether another thread waits for a turn, or arrives within a moment.
    fn has_company(&self, turn: &Turn) -> bool {
        if turn.writer.done < turn.company {
            let until = Instant::now() + MOMENT;
            while !self.gate.is_joined() && Instant::now() < until {
                std::thread::yield_now();
            }
        }
        self.gate.is_joined()
    }
}

/// The turn of a thread. When it ends, an open transaction is committed, unless another thread is
/// certain to continue it.
struct Entered<'g> {
    /// Unlocked before leaving the gate, or the next thread would wait for it.
    turn: MutexGuard<'g, Turn>,
    leave: Leave<'g>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.leave.is_open = self.turn.writer.is_open();
    }
}

struct Leave<'g> {
    group: &'g Group,
    /// A transaction was left open.
    is_open: bool,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let Group { gate, turn, .. } = self.group;
        if self.is_open {
            if gate.pass_on() {
                return;
            }
            let _ = turn.lock().unwrap_or_else(PoisonError::into_inner).commit();
        }
        gate.leave();
    }
}

#[cfg(test)]
mod tests;
