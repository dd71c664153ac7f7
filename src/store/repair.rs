//! Operations of a unit of work for repair.

use super::conn::on_engine;
use super::session::WriteTx;
use super::sqlite::repair::Broken;
use crate::books::change::{Change, Fix};
use crate::books::rules::Rule;
use crate::error::Result;

impl WriteTx<'_> {
    /// The rows that currently break a rule. O(rows).
    pub fn broken(&mut self, rule: &Rule) -> Result<Vec<Broken>> {
        self.read(|tx| on_engine!(tx, |conn| conn.broken(rule)))
    }

    /// Whether some entries do not have the keys that follow their object's. O(entries).
    pub fn has_stray_entries(&mut self) -> Result<bool> {
        self.read(|tx| on_engine!(tx, |conn| conn.has_stray_entries()))
    }

    /// Enables the constraints again, for the check before the commit.
    pub fn enforce_constraints(&mut self) -> Result<()> {
        self.read(|tx| on_engine!(tx, |conn| conn.enforce_constraints()))
    }

    /// Corrects one row, or one object.
    pub fn fix(&mut self, fix: Fix<'_>) -> Result<()> {
        self.apply(Change::Fixed(fix))
    }
}

/// What a repair asks of an engine's connection.
pub(in crate::store) trait RepairConn {
    /// The rows that currently break a rule.
    fn broken(&mut self, rule: &Rule) -> Result<Vec<Broken>>;

    /// Whether some entries do not have the keys that follow their object's.
    fn has_stray_entries(&mut self) -> Result<bool>;

    /// Enables the constraints again, for the check before the commit.
    fn enforce_constraints(&mut self) -> Result<()>;
}
