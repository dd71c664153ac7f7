//! The ids of new rows, which the crate numbers itself, each space for itself: an id never
//! comes back.

use super::queries;
use super::read::ReadTx;
use super::table::Table;
use crate::error::{Error, Result};
use crate::models::{MemRam, Stripe};

/// The last id that the space has given out in each table, once it has been looked up.
#[derive(Default)]
pub(super) struct Numbers {
    last: [Option<i64>; Table::ALL.len()],
}

impl Numbers {
    /// The first of the next `count` ids of a table, which are now taken.
    pub fn take(&mut self, tx: &mut ReadTx<'_>, space: &MemRam, table: Table, count: usize) -> Result<i64> {
        let last = self.last(tx, space, table)?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let left = Stripe::of(space.id).last() - last;
        if count > left {
            return Err(none_left(space, table, count, left));
        }
        self.set(table, last + count);
        Ok(last + 1)
    }

    /// An id of a table is in use; those after it may be taken.
    pub fn used(&mut self, space: &MemRam, table: Table, id: i64) -> Result<()> {
        if id > Stripe::of(space.id).last() {
            return Err(none_left(space, table, 1, 0));
        }
        if let Some(last) = self.last.get(table as usize).copied().flatten() {
            self.set(table, last.max(id));
        }
        Ok(())
    }

    /// The last id of a table. It is looked up once.
    pub fn last(&mut self, tx: &mut ReadTx<'_>, space: &MemRam, table: Table) -> Result<i64> {
        if let Some(last) = self.last.get(table as usize).copied().flatten() {
            return Ok(last);
        }
        let last = queries::ids::last_id(tx, space.id, table)?;
        self.set(table, last);
        Ok(last)
    }

    fn set(&mut self, table: Table, last: i64) {
        if let Some(slot) = self.last.get_mut(table as usize) {
            *slot = Some(last);
        }
    }
}

fn none_left(space: &MemRam, table: Table, needed: i64, left: i64) -> Error {
    Error::NoIdsLeft {
        space: space.name.clone(),
        table: table.name(),
        needed: needed.unsigned_abs(),
        left: u64::try_from(left).unwrap_or_default(),
    }
}
