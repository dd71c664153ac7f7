//! A transaction that is never committed.

use super::deadline::Deadline;
use super::read::ReadTx;
use super::session::WriteTx;
use super::writer::Writer;
use crate::error::{Error, Result};

/// Units of work that are done to see what comes of them, and undone when this is
/// dropped, also by a panic; see [`super::Group::rehearse`].
///
/// Each unit is flushed before the next begins, as a commit would: the pages of the
/// file are then the ones that the same units in transactions of their own would leave.
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
        self.writer.begin(self.deadline)?;
        let result = work(&mut WriteTx::new(self.writer))?;
        self.writer.finish()?;
        self.writer.write_earlier()?;
        Ok(result)
    }

    /// What sees everything that was done so far.
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
