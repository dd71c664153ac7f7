//! Keeps the log below its limit before a transaction.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::SqliteEngine;
use crate::error::Result;
use crate::store::deadline::Deadline;
use crate::store::sqlite::log_limit;

impl SqliteEngine {
    /// Whether the log is below its limit, in an open transaction, where nobody else can lengthen it.
    pub(super) fn log_has_room(&mut self) -> Result<bool> {
        let version = self.ask_version()?;
        if version != self.version {
            self.version = version;
            // The other connection may have changed it.
            self.read_ceiling()?;
        }
        let length = if self.log_known == Some(self.version) {
            self.log.length()
        } else {
            // More than what is in use.
            self.location.log_size()
        };
        Ok(length < self.location.log_limit)
    }

    pub(super) fn make_room_in_log(&mut self) -> Result<()> {
        self.log_is_held.store(true, Ordering::Relaxed);
        // Copying is work of this process, and ends; the deadline is for others.
        self.checkpoints.wait(Deadline::after(Duration::MAX));
        let version = self.ask_version()?;
        let room = log_limit::make_room(&mut self.conn, &self.location, self.deadline);
        self.log_is_held.store(room.is_err(), Ordering::Relaxed);
        self.log.shortened(room?);
        self.log_known = Some(version);
        Ok(())
    }
}
