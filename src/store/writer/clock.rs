//! Whether the clock can be right.
//!
//! One command with a wrong clock must not give back everything that will ever expire, nor remove a whole
//! history. So nothing is removed by age if the clock is far ahead of the last write, unless this process has
//! counted the time in between, or something else would be evicted.

use std::time::Duration;

use super::Writer;
use crate::clock::BothClocks;
use crate::error::Result;
use crate::models::Timestamp;
use crate::store::queries;

/// A clock that is further ahead of the last write than this is suspected.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// It stays suspected for this long, because writes made with a suspected clock say nothing about it. Then
/// it is taken for right, so that a program whose heap was idle for days continues by itself.
const SUSPECTED: Duration = Duration::from_secs(60 * 60);

/// What is known of the clock.
pub(super) struct Clock {
    /// When the writer was made.
    made: BothClocks,
    /// When the clock was found to be far ahead of the last write.
    suspected_at: Option<Timestamp>,
}

impl Clock {
    pub fn new() -> Self {
        Self {
            made: BothClocks::now(),
            suspected_at: None,
        }
    }

    /// Whether the clock was not ahead of the last write when the writer was made, and has run as it should since:
    /// then the heap was idle, and nobody has set the clock.
    fn has_counted(&self, last: Timestamp, now: Timestamp) -> bool {
        self.made.at <= last + AHEAD && now <= self.made.expects() + AHEAD
    }
}

impl Writer {
    /// Whether what has expired by the clock may be removed. O(log n).
    pub fn trusts_clock(&mut self, now: Timestamp) -> Result<bool> {
        let appended = self.known()?.appended;
        self.trusts_clock_after(now, appended)
    }

    /// The same, if this transaction has written `appended` rows of events.
    pub(super) fn trusts_clock_after(&mut self, now: Timestamp, appended: usize) -> Result<bool> {
        if self.clock.suspected_at.is_some_and(|since| now < since + SUSPECTED) {
            return Ok(false);
        }
        let (space, created_at) = (self.space, self.known()?.memram.created_at);
        let is_recording = self.known()?.is_recording();
        let tx = &mut self.engine.read();
        let last = match is_recording {
            true => queries::events::newest_at(tx, space, appended as i64),
            false => queries::objects::newest_before(tx, space, now),
        };
        let last = self.check(last)?.unwrap_or(created_at);
        // Once the clock was suspected for long enough, writes made with it count in its favour.
        let is_ahead = now > last + AHEAD && !self.clock.has_counted(last, now);
        self.clock.suspected_at = is_ahead.then_some(now);
        Ok(!is_ahead)
    }
}
