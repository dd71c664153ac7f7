//! The keys of new rows.

use super::Writer;
use crate::error::{Error, Result};
use crate::models::Sequence;

impl Writer {
    /// The last key assigned in a table.
    pub fn last_number(&mut self, sequence: Sequence) -> Result<i64> {
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        let tx = &mut self.engine.read();
        let last = known.numbers.last(tx, &known.memram, sequence);
        self.check(last)
    }

    /// Assigns the next `count` keys of a table, and returns the first. Keys are never reused.
    pub fn take_numbers(&mut self, sequence: Sequence, count: usize) -> Result<i64> {
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        let tx = &mut self.engine.read();
        let taken = known.numbers.take(tx, &known.memram, sequence, count);
        self.check(taken)
    }
}
