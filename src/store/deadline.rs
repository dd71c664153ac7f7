//! How long one call may wait, whatever it waits for.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The moment at which a call gives up waiting. It is the same for waiting on other threads and
/// on other processes, so that a call waits for at most `busy_timeout` in total.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    started: Instant,
    /// `None`: later than the clock can represent.
    end: Option<Instant>,
}

/// The pause between attempts to lock the file, for a call that has waited for this long. Each attempt costs some
/// microseconds.
///
/// SQLite's own busy handler waits for up to 100 ms, so a process that commits in a loop hardly ever lets another one
/// in: the lock is free only between two of its commits, which is a few hundredths of the time, and less on a slow
/// disk. So a call that has waited for a while asks more often.
fn pause(waited: Duration) -> Duration {
    Duration::from_millis(if waited < Duration::from_millis(100) { 2 } else { 1 })
}

/// The pause where an attempt is expensive, and nobody else takes turns.
const LONG_PAUSE: Duration = Duration::from_millis(25);

impl Deadline {
    /// The deadline of a call that begins now and may wait for `timeout`.
    pub fn after(timeout: Duration) -> Self {
        let started = Instant::now();
        let end = started.checked_add(timeout);
        Self { started, end }
    }

    /// The time that is left; `None` if it never ends.
    pub fn remaining(self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    pub fn is_over(self) -> bool {
        self.remaining().is_some_and(|left| left.is_zero())
    }

    /// The error of a call that has waited until now.
    pub fn busy(self) -> Error {
        Error::Busy {
            waited_ms: self.waited_ms(),
        }
    }

    /// How long the call has waited, in milliseconds.
    pub fn waited_ms(self) -> u64 {
        self.waited().as_millis().try_into().unwrap_or(u64::MAX)
    }

    pub fn waited(self) -> Duration {
        self.started.elapsed()
    }

    /// Makes [`Error::Busy`] say how long this call has waited.
    pub fn stamp(self, error: Error) -> Error {
        match error {
            Error::Busy { .. } => self.busy(),
            other => other,
        }
    }

    /// Calls `ask` at least once, and again while it returns [`Error::Busy`].
    pub fn retry<R>(self, ask: impl FnMut() -> Result<R>) -> Result<R> {
        self.retry_after(pause, ask)
    }

    /// The same with long pauses.
    pub fn retry_slowly<R>(self, ask: impl FnMut() -> Result<R>) -> Result<R> {
        self.retry_after(|_| LONG_PAUSE, ask)
    }

    fn retry_after<R>(self, pause: impl Fn(Duration) -> Duration, mut ask: impl FnMut() -> Result<R>) -> Result<R> {
        loop {
            match ask() {
                Err(Error::Busy { .. }) if !self.is_over() => {}
                result => return result.map_err(|error| self.stamp(error)),
            }
            let pause = pause(self.waited());
            std::thread::sleep(self.remaining().map_or(pause, |left| left.min(pause)));
        }
    }
}
