//! The units of a turn, and the end of their transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Turn;
use crate::error::{Error, Result, ServerError};
use crate::instruments::Timed;
use crate::store::deadline::Deadline;
use crate::store::session::WriteTx;
use crate::store::writer::Begin;

pub(super) enum Failed {
    Error(Error),
    Panic(Box<dyn std::any::Any + Send>),
}

impl Turn {
    pub(super) fn work<R>(
        &mut self,
        how: Begin,
        deadline: Deadline,
        work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>,
    ) -> Result<R, Failed> {
        self.tried = if self.writer.is_open() { self.tried + 1 } else { 1 };
        let begun = self.writer.begin(how, deadline);
        if let Err(error) = begun {
            let error = self.writer.engine.explain(error);
            if !self.writer.is_open() {
                // The waiting units have lost their transaction.
                self.end(Err(error.again()));
            }
            return Err(Failed::Error(error));
        }
        // After a panic the turn must still end properly, because other units may be in the transaction.
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut WriteTx::new(&mut self.writer))));
        let failed = match done {
            Ok(Ok(result)) => match self.writer.finish() {
                Ok(()) => return Ok(result),
                Err(error) => Failed::Error(self.writer.engine.explain(error)),
            },
            // What it saw may have been outdated.
            Ok(Err(_)) if self.writer.engine.is_lazy() => Failed::Error(ServerError::Outdated.into()),
            Ok(Err(error)) => Failed::Error(self.writer.engine.explain(error)),
            Err(panic) => Failed::Panic(panic),
        };
        if let Err(lost) = self.writer.undo() {
            self.end(Err(match (lost, &failed) {
                (Error::BatchFailed, Failed::Error(error)) => error.again(),
                (Error::BatchFailed, Failed::Panic(_)) => Error::Database {
                    what: "the shared transaction was lost",
                    source: "another thread panicked in it".into(),
                },
                (lost, _) => lost,
            }));
        }
        Err(failed)
    }

    /// Commits for all units of the transaction.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.company = self.writer.done;
        let timed = Timed::commit(self.writer.done);
        let result = self.writer.commit();
        let result = result.map_err(|error| self.writer.engine.explain(error));
        timed.end(result.is_ok());
        self.end(match &result {
            Ok(()) => Ok(()),
            Err(error) => Err(error.again()),
        });
        self.writer.engine.after_commit();
        result
    }

    /// Sets the outcome for waiting units, and starts a new one for the next transaction.
    fn end(&mut self, outcome: Result<()>) {
        let _ = std::mem::take(&mut self.outcome).set(outcome);
    }
}
