//! The keys of new rows, which the crate numbers itself: a key never comes back.

use super::queries;
use super::read::ReadTx;
use crate::error::{Error, Result};

/// Tables whose keys are numbered. A ledger entry needs none: its key is its object's
/// and its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Arenas,
    Pools,
    Blocks,
    StoredObjects,
    Events,
}

impl Table {
    pub const ALL: [Self; 5] = [
        Self::Arenas,
        Self::Pools,
        Self::Blocks,
        Self::StoredObjects,
        Self::Events,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Arenas => "arenas",
            Self::Pools => "pools",
            Self::Blocks => "blocks",
            Self::StoredObjects => "stored_objects",
            Self::Events => "events",
        }
    }
}

/// The next key of each table, once it has been looked up.
#[derive(Default)]
pub(super) struct Numbers {
    next: [Option<i64>; Table::ALL.len()],
}

impl Numbers {
    /// The first of the next `count` keys of a table, which are now taken.
    pub fn take(&mut self, tx: &mut ReadTx<'_>, table: Table, count: usize) -> Result<i64> {
        let first = self.next(tx, table)?;
        let next = i64::try_from(count).ok().and_then(|count| first.checked_add(count));
        let next = next.ok_or_else(|| none_left(table))?;
        self.set(table, next);
        Ok(first)
    }

    /// A key of a table is in use; those after it may be taken.
    pub fn used(&mut self, table: Table, key: i64) -> Result<()> {
        let after = key.checked_add(1).ok_or_else(|| none_left(table))?;
        if let Some(next) = self.next.get(table as usize).copied().flatten() {
            self.set(table, next.max(after));
        }
        Ok(())
    }

    /// The next key of a table. It is looked up once.
    pub fn next(&mut self, tx: &mut ReadTx<'_>, table: Table) -> Result<i64> {
        if let Some(next) = self.next.get(table as usize).copied().flatten() {
            return Ok(next);
        }
        let last = queries::ids::last_id(tx, table)?;
        let next = last.checked_add(1).ok_or_else(|| none_left(table))?;
        self.set(table, next);
        Ok(next)
    }

    fn set(&mut self, table: Table, next: i64) {
        if let Some(slot) = self.next.get_mut(table as usize) {
            *slot = Some(next);
        }
    }
}

fn none_left(table: Table) -> Error {
    Error::Damaged {
        what: format!("no ids are left in {}", table.name()),
    }
}
