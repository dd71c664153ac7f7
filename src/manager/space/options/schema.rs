//! Checking and restoring the schema of a heap that may not open.

use std::path::Path;

use super::Options;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::manager::Correction;
#[cfg(doc)]
use crate::manager::MemManager;
use crate::store::Deadline;
use crate::store::queries::audit::Violation;

impl Options {
    /// The differences between the schema of a heap file and that of this version: tables, views,
    /// triggers and indexes that are missing, altered or added. Works even if [`Self::open`] refuses
    /// the file. Runs nothing of the schema and reads nothing else; empty if nothing is wrong.
    ///
    /// # Errors
    /// Those of [`Self::open`] for a file that is not a heap of this version; [`Error::Damaged`] if
    /// SQLite cannot read the schema.
    pub fn check_schema(&self, path: impl AsRef<Path>) -> Result<Vec<Violation>> {
        let deadline = Deadline::after(self.busy_timeout);
        let checked = self.location(deadline, path.as_ref());
        let checked = checked.and_then(|location| location.check_schema());
        checked.map_err(|error| deadline.stamp(error))
    }

    /// Recreates altered and missing views, triggers and indexes of a heap, in one transaction, and
    /// returns which. Altered ones never run. [`MemManager::repair`] does not need this: a heap that
    /// opens has all of them.
    ///
    /// # Errors
    /// [`Error::AlteredSchema`] if more than that is wrong: an altered or missing table, or a foreign
    /// trigger. Nothing has changed then. Otherwise as [`Self::check_schema`], [`Error::Busy`] and
    /// [`Error::NotWritable`].
    pub fn restore_schema(&self, path: impl AsRef<Path>) -> Result<Vec<Correction>> {
        let deadline = Deadline::after(self.busy_timeout);
        let restored = self.location(deadline, path.as_ref());
        let restored = restored.and_then(|location| location.restore_schema());
        let restored = restored.map_err(|error| deadline.stamp(error))?;
        Ok(restored.into_iter().map(Correction::from).collect())
    }
}
