//! Group commit: writers that wait at the same time share one transaction.
//!
//! Each writer in turn does its unit of work in the open transaction. As long as
//! others wait for their turn it leaves the transaction open and waits for the
//! outcome; the last one commits for all. A unit that fails is undone alone, by its
//! savepoint. Nobody waits for company: a lone writer commits at once.
//!
//! The idea is MySQL's binary-log group commit (leader and followers), with the
//! difference that each thread executes its own unit, so that nothing is handed over.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

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
    committed: Condvar,
}

struct Turn {
    writer: Writer,
    /// How the open transaction ends; shared by the units in it.
    outcome: Arc<Outcome>,
}

type Outcome = OnceLock<Result<(), String>>;

/// So many units share a commit at most, so that none waits for long.
const MOST_UNITS: usize = 256;

impl Group {
    /// Opens the writer of a space.
    pub fn open(settings: Settings, space: MemRamId, geometry: Geometry) -> Result<Self> {
        Self::with_triggers(settings, space, geometry, triggers::ALL)
    }

    /// Like [`Self::open`], with these triggers alone.
    pub fn with_triggers(
        settings: Settings,
        space: MemRamId,
        geometry: Geometry,
        triggers: &'static [Trigger],
    ) -> Result<Self> {
        let writer = Writer::open(settings, space, geometry, triggers)?;
        Ok(Self {
            waiting: AtomicUsize::new(0),
            turn: Mutex::new(Turn {
                writer,
                outcome: Arc::default(),
            }),
            committed: Condvar::new(),
        })
    }

    /// Runs `work` on the writing connection, between transactions.
    pub fn maintain<R>(&self, work: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Units that wait for others to commit need not wait for this.
        if turn.writer.is_open() {
            let _ = turn.commit(&self.committed);
        }
        work(&mut turn.writer.conn)
    }

    /// Runs `work` in a transaction of its own that is never committed: what it does is
    /// done in earnest, can be looked at, and leaves nothing behind. Other writers wait.
    pub fn rehearse<R>(&self, work: impl FnOnce(&mut Rehearsal<'_>) -> Result<R>) -> Result<R> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // What others have done meanwhile must not be undone with it.
        if turn.writer.is_open() {
            let _ = turn.commit(&self.committed);
        }
        work(&mut Rehearsal::new(&mut turn.writer))
    }

    /// Runs `work` as one unit: when this returns `Ok`, its changes are committed; when
    /// it returns an error or panics, it has changed nothing.
    pub fn write<R>(&self, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let others = self.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
        let result = turn.work(work);
        let must_commit = others == 0 || turn.writer.done >= MOST_UNITS;
        if turn.writer.is_open() && must_commit {
            let own = turn.commit(&self.committed);
            return match result {
                Ok(result) => own.map(|()| result),
                Err(failed) => failed.raise(),
            };
        }
        if !turn.writer.is_open() {
            // The failed unit took the whole transaction with it.
            self.committed.notify_all();
        }
        match result {
            Ok(result) => self.wait(turn).map(|()| result),
            Err(failed) => failed.raise(),
        }
    }

    /// Waits until somebody has committed the transaction that this unit is in.
    fn wait(&self, mut turn: MutexGuard<'_, Turn>) -> Result<()> {
        let outcome = Arc::clone(&turn.outcome);
        loop {
            if let Some(outcome) = outcome.get() {
                return outcome.clone().map_err(|why| Error::CommitFailed { why });
            }
            turn = self.committed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
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
            self.end(Err(lost.to_string()));
        }
        Err(failed)
    }

    /// Commits for all units of the transaction; the outcome is told to those that wait.
    fn commit(&mut self, committed: &Condvar) -> Result<()> {
        let result = self.writer.commit();
        self.end(match &result {
            Ok(()) => Ok(()),
            Err(error) => Err(error.to_string()),
        });
        committed.notify_all();
        result
    }

    fn end(&mut self, outcome: Result<(), String>) {
        // Set once per transaction: whoever ends it takes a new one for the next.
        let _ = self.outcome.set(outcome);
        self.outcome = Arc::default();
    }
}

#[cfg(test)]
mod tests;
