//! A transaction that is never committed.

use super::deadline::Deadline;
use super::read::ReadTx;
use super::session::WriteTx;
use super::writer::{Begin, Writer};
use crate::error::{Error, Result};

/// Units of work that run only to see their effects, and are rolled back when this is dropped, even
/// after a panic; see [`super::Group::rehearse`].
///
/// Each unit is flushed before the next begins, as at a commit, so that the pages of the file are
/// the same as if each unit had its own transaction.
pub(crate) struct Rehearsal<'w> {
    writer: &'w mut Writer,
    deadline: Deadline,
}

impl<'w> Rehearsal<'w> {
    pub(super) fn new(writer: &'w mut Writer, deadline: Deadline) -> Self {
        Self { writer, deadline }
    }

    /// Runs the next unit.
    pub fn unit<R>(&mut self, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        self.writer.begin(Begin::Locked, self.deadline)?;
        let result = work(&mut WriteTx::new(self.writer))?;
        self.writer.finish()?;
        self.writer.write_and_trim()?;
        Ok(result)
    }

    /// A read that sees everything done so far.
    pub fn read(&mut self) -> Result<ReadTx<'_>> {
        if self.writer.is_between_units() {
            Ok(self.writer.engine.read())
        } else {
            Err(Error::BatchFailed)
        }
    }
}

impl Drop for Rehearsal<'_> {
    fn drop(&mut self) {
        self.writer.abandon();
    }
}
