//! What a repair asks of a unit of work.

use super::session::WriteTx;
use super::sqlite::repair::{self, Broken};
use crate::books::change::{Change, Fix};
use crate::books::invariants::Rule;
use crate::error::Result;

impl WriteTx<'_> {
    /// The rows that break a rule, now. O(rows).
    pub fn broken(&mut self, rule: &Rule) -> Result<Vec<Broken>> {
        self.read(|conn| repair::broken(conn, rule))
    }

    /// Whether some entries are not where the keys of their objects lead. O(entries).
    pub fn has_stray_entries(&mut self) -> Result<bool> {
        self.read(repair::has_stray_entries)
    }

    /// Corrects one row, or one object.
    pub fn fix(&mut self, fix: Fix<'_>) -> Result<()> {
        self.apply(Change::Fixed(fix))
    }
}
