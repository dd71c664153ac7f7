//! The oldest events of a history that has become too large.

use super::Writer;
use crate::books::batch::Batch;
use crate::books::change::Change;
use crate::clock;
use crate::error::{Error, Result};
use crate::store::queries;
use crate::store::queries::trim::{Due, Old};

impl Writer {
    /// Writes everything that is gathered, and what follows from it, in a transaction that goes on.
    pub fn write_and_trim(&mut self) -> Result<()> {
        self.write_earlier()?;
        self.trim_history()
    }

    /// Removes the oldest events if the history has become too large, as part of the transaction that
    /// has made it so, or if events would fill the reserve of a full file. O(log n + removed), where what
    /// is removed is about what was added.
    pub(super) fn trim_history(&mut self) -> Result<()> {
        let Some(known) = &mut self.known else { return Ok(()) };
        let (now, appended) = (clock::now(), known.appended);
        let (due, is_recording) = (known.due_to_trim(now), known.is_recording());
        let due = match due {
            Some(due) if due.before.is_some() && !self.trusts_clock_after(now, appended)? => return Ok(()),
            Some(due) => due,
            None if is_recording && self.engine.eats_reserve()? => Due::FOR_ROOM,
            None => return Ok(()),
        };
        let old = queries::trim::old(&mut self.engine.read(), self.space, &due);
        let Some(Old { last, bytes, .. }) = self.check(old)? else {
            return Ok(());
        };
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        let mut batch = Batch::default();
        let trimmed = Change::HistoryTrimmed { last, bytes };
        batch.apply(trimmed, self.triggers, &self.geometry, &mut known.room)?;
        self.write(batch, false).map(drop)
    }
}
