//! The ids of new rows. The crate numbers them itself, separately for each space, and never reuses
//! an id.

use super::queries;
use super::read::ReadTx;
use crate::error::{Error, Result};
use crate::models::{MemRam, Sequence, Stripe};

/// The last assigned id of each sequence, once it has been looked up.
#[derive(Default, Clone)]
pub(super) struct Numbers {
    last: [Option<i64>; Sequence::ALL.len()],
}

impl Numbers {
    /// Assigns the next `count` ids of a sequence, and returns the first.
    pub fn take(&mut self, tx: &mut ReadTx<'_>, space: &MemRam, sequence: Sequence, count: usize) -> Result<i64> {
        let last = self.last(tx, space, sequence)?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let left = Stripe::of(space.id).last() - last;
        if count > left {
            return Err(none_left(space, sequence, count, left));
        }
        self.set(sequence, last + count);
        Ok(last + 1)
    }

    /// Marks an id as used; later ones may be assigned.
    pub fn used(&mut self, space: &MemRam, sequence: Sequence, id: i64) -> Result<()> {
        if id > Stripe::of(space.id).last() {
            return Err(none_left(space, sequence, 1, 0));
        }
        if let Some(last) = self.last.get(sequence as usize).copied().flatten() {
            self.set(sequence, last.max(id));
        }
        Ok(())
    }

    /// The last id of a sequence, which is looked up once.
    pub fn last(&mut self, tx: &mut ReadTx<'_>, space: &MemRam, sequence: Sequence) -> Result<i64> {
        if let Some(last) = self.last.get(sequence as usize).copied().flatten() {
            return Ok(last);
        }
        let last = queries::ids::last_id(tx, space.id, sequence)?;
        self.set(sequence, last);
        Ok(last)
    }

    /// Looks the last id of a sequence up again when it is needed.
    pub fn forget(&mut self, sequence: Sequence) {
        if let Some(slot) = self.last.get_mut(sequence as usize) {
            *slot = None;
        }
    }

    fn set(&mut self, sequence: Sequence, last: i64) {
        if let Some(slot) = self.last.get_mut(sequence as usize) {
            *slot = Some(last);
        }
    }
}

fn none_left(space: &MemRam, sequence: Sequence, needed: i64, left: i64) -> Error {
    Error::NoIdsLeft {
        space: space.name.clone(),
        table: sequence.name(),
        needed: needed.unsigned_abs(),
        left: u64::try_from(left).unwrap_or_default(),
    }
}
