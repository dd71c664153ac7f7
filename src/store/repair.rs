//! Operations of a unit of work for repair.

use super::session::WriteTx;
use super::sqlite::repair::{self, Broken};
use crate::books::change::{Change, Fix};
use crate::books::rules::Rule;
use crate::error::Result;

impl WriteTx<'_> {
    /// The rows that currently break a rule. O(rows).
    pub fn broken(&mut self, rule: &Rule) -> Result<Vec<Broken>> {
        self.read(|tx| repair::broken(tx.conn()?, rule))
    }

    /// Whether some entries do not have the keys that follow their object's. O(entries).
    pub fn has_stray_entries(&mut self) -> Result<bool> {
        self.read(|tx| repair::has_stray_entries(tx.conn()?))
    }

    /// Enables the constraints again, for the check before the commit.
    pub fn enforce_constraints(&mut self) -> Result<()> {
        self.read(|tx| repair::enforce_constraints(tx.conn()?))
    }

    /// Corrects one row, or one object.
    pub fn fix(&mut self, fix: Fix<'_>) -> Result<()> {
        self.apply(Change::Fixed(fix))
    }
}
