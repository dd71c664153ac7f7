//! Group commit: writers that wait at the same time share one transaction.
//!
//! Each writer in turn does its unit of work in the open transaction. As long as
//! others wait for their turn it leaves the transaction open and waits for the
//! outcome; the last one commits for all. A unit that fails is undone alone. A lone
//! writer commits at once; one that had company in the last transaction waits a moment
//! for it to come back, a small part of what a commit takes.
//!
//! The ideas are those of MySQL's binary-log group commit (leader and followers; its
//! `sync_delay` is the moment), with the difference that each thread executes its own
//! unit, so that nothing is handed over.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::conn::{Conn, Settings};
use super::rehearsal::Rehearsal;
use super::tx::WriteTx;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::MemRamId;
use crate::triggers::{self, Trigger};

/// The writer of a heap, shared by all its threads.
pub(crate) struct Group {
    /// Threads that will take a turn.
    waiting: AtomicUsize,
    turn: Mutex<Turn>,
}

struct Turn {
    writer: Writer,
    /// How the open transaction ends; shared by the units in it.
    outcome: Arc<Outcome>,
    /// Units that were tried in the open transaction.
    tried: usize,
    /// Units in the last transaction.
    company: usize,
}

/// How a transaction ended, once it has. Those who wait for it stay out of the way of
/// the next one, and all go on at once.
type Outcome = OnceLock<Result<(), String>>;

/// So many units share a commit at most, so that none waits for long.
const MOST_UNITS: usize = 256;
/// How long a writer waits for company at most: a third of the fastest fsync.
const MOMENT: Duration = Duration::from_micros(30);
/// How long a thread asks for its turn before it sleeps until it has it: some units of
/// work, each of which is shorter than a thread takes to wake.
const ASKING: Duration = Duration::from_micros(60);

impl Group {
    /// The writer of a space, on a connection that may write.
    pub fn open(settings: Settings, conn: Conn, space: MemRamId, geometry: Geometry) -> Self {
        Self::with_triggers(settings, conn, space, geometry, triggers::ALL)
    }

    /// Like [`Self::open`], with these triggers alone.
    pub fn with_triggers(
        settings: Settings,
        conn: Conn,
        space: MemRamId,
        geometry: Geometry,
        triggers: &'static [Trigger],
    ) -> Self {
        let writer = Writer::new(settings, conn, space, geometry, triggers);
        Self {
            waiting: AtomicUsize::new(0),
            turn: Mutex::new(Turn {
                writer,
                outcome: Arc::default(),
                tried: 0,
                company: 1,
            }),
        }
    }

    /// Runs `work` on the writing connection, between transactions.
    pub fn maintain<R>(&self, work: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        work(&mut self.between_transactions().writer.conn)
    }

    /// A turn without an open transaction or a checkpoint under way: units that wait for
    /// others to commit need not wait for what comes now, and are not undone with it.
    fn between_transactions(&self) -> MutexGuard<'_, Turn> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.writer.is_open() {
            let _ = turn.commit();
        }
        turn.writer.checkpoints.wait();
        turn
    }

    /// Runs `read`, which is short, on the writing connection if nobody writes: other
    /// connections lose the pages they have read with each commit, and this one does not.
    pub fn read_if_idle<R>(&self, read: impl FnOnce(&mut Conn) -> Result<R>) -> Option<Result<R>> {
        let mut turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        // What is not committed must not be seen.
        (!turn.writer.is_open()).then(|| read(&mut turn.writer.conn))
    }

    /// Runs `work` in a transaction of its own that is never committed: what it does is
    /// done in earnest, can be looked at, and leaves nothing behind. Other writers wait.
    pub fn rehearse<R>(&self, work: impl FnOnce(&mut Rehearsal<'_>) -> Result<R>) -> Result<R> {
        work(&mut Rehearsal::new(&mut self.between_transactions().writer))
    }

    /// Runs `work` as one unit: when this returns `Ok`, its changes are committed; when
    /// it returns an error or panics, it has changed nothing.
    pub fn write<R>(&self, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut turn = self.take_turn();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let result = turn.work(work);
        // Those that failed count, too: who is done would wait for ever for more of them.
        let must_commit = turn.tried >= MOST_UNITS || !self.has_company(&turn);
        if turn.writer.is_open() && must_commit {
            let own = turn.commit();
            return match result {
                Ok(result) => own.map(|()| result),
                Err(failed) => failed.raise(),
            };
        }
        let outcome = Arc::clone(&turn.outcome);
        drop(turn);
        match result {
            Ok(result) => match outcome.wait() {
                Ok(()) => Ok(result),
                Err(why) => Err(Error::CommitFailed { why: why.clone() }),
            },
            Err(failed) => failed.raise(),
        }
    }

    /// Waits for a turn.
    fn take_turn(&self) -> MutexGuard<'_, Turn> {
        let sleeps = Instant::now() + ASKING;
        while Instant::now() < sleeps {
            match self.turn.try_lock() {
                Ok(turn) => return turn,
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
                Err(TryLockError::Poisoned(_)) => break,
            }
        }
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody waits for a turn, or comes for one in a moment.
    fn has_company(&self, turn: &Turn) -> bool {
        let waits = || self.waiting.load(Ordering::SeqCst) > 0;
        if turn.writer.is_open() && turn.writer.done < turn.company {
            let until = Instant::now() + MOMENT;
            while !waits() && Instant::now() < until {
                std::thread::yield_now();
            }
        }
        waits()
    }
}

enum Failed {
    Error(Error),
    Panic(Box<dyn std::any::Any + Send>),
}

impl Failed {
    fn raise<R>(self) -> Result<R> {
        match self {
            Self::Error(error) => Err(error),
            Self::Panic(payload) => resume_unwind(payload),
        }
    }
}

impl Turn {
    fn work<R>(&mut self, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R, Failed> {
        self.tried = if self.writer.is_open() { self.tried + 1 } else { 1 };
        let begun = self.writer.begin();
        if let Err(error) = begun {
            if !self.writer.is_open() {
                // The units that wait for the transaction have lost it.
                self.end(Err(error.to_string()));
            }
            return Err(Failed::Error(error));
        }
        // A panic must not leave this turn without its end: others may be in the transaction.
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut WriteTx::new(&mut self.writer))));
        let failed = match done {
            Ok(Ok(result)) => match self.writer.keep() {
                Ok(()) => return Ok(result),
                Err(error) => Failed::Error(error),
            },
            Ok(Err(error)) => Failed::Error(error),
            Err(panic) => Failed::Panic(panic),
        };
        if let Err(lost) = self.writer.undo() {
            self.end(Err(match (lost, &failed) {
                (Error::BatchFailed, Failed::Error(error)) => error.to_string(),
                (lost, _) => lost.to_string(),
            }));
        }
        Err(failed)
    }

    /// Commits for all units of the transaction.
    fn commit(&mut self) -> Result<()> {
        self.company = self.writer.done;
        let result = self.writer.commit();
        self.end(match &result {
            Ok(()) => Ok(()),
            Err(error) => Err(error.to_string()),
        });
        self.writer.tend_log();
        result
    }

    /// Tells the outcome to those that wait for it. The next transaction has another.
    fn end(&mut self, outcome: Result<(), String>) {
        let _ = std::mem::take(&mut self.outcome).set(outcome);
    }
}

#[cfg(test)]
mod tests;
