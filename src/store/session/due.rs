//! What has expired, and may be given back.

use super::WriteTx;
use crate::error::Result;
use crate::store::queries;

impl WriteTx<'_> {
    /// Whether a reservation has pieces to give back, or a reservation or a hold has expired. O(1) until one changes.
    pub fn has_due(&mut self) -> Result<bool> {
        let (space, at) = (self.space(), self.at());
        let is_due = |end| end <= at;
        let is_unwritten = self.writer.gathered().iter().any(|batch| {
            let rows = batch.rows();
            !rows.reservations.is_empty() || rows.first_end.is_some_and(is_due)
        });
        if is_unwritten {
            self.writer.flush_rows()?;
        }
        let next = match self.writer.known()?.next_due {
            Some(next) => next,
            None => {
                let next = self.read_rows(|tx| queries::reservations::next_due(tx, space))?;
                *self.writer.known()?.next_due.insert(next)
            }
        };
        Ok(next.is_some_and(is_due))
    }

    /// Lets [`Self::has_due`] look again, because what was due is done.
    pub fn forget_due(&mut self) -> Result<()> {
        self.writer.known()?.next_due = None;
        Ok(())
    }

    /// Whether what has expired by the clock may be given back: not if the clock is far ahead of the last
    /// write. O(log n) once per unit.
    pub fn trusts_clock(&mut self) -> Result<bool> {
        if let Some(trusts) = self.trusts_clock {
            return Ok(trusts);
        }
        let at = self.at();
        let trusts = self.writer.trusts_clock(at)?;
        Ok(*self.trusts_clock.insert(trusts))
    }

    /// Leaves what has expired to the next unit.
    pub fn leave_expired(&mut self) {
        self.trusts_clock = Some(false);
    }

    /// Trusts the clock in this unit, however far ahead it is.
    pub fn trust_clock(&mut self) {
        self.trusts_clock = Some(true);
    }
}
