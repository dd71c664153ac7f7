//! Who keeps the write-ahead log from starting again.

use std::fmt;
use std::time::Duration;

/// A process that reads an old state of the heap; see [`Error::LogHeld`](super::Error::LogHeld).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogHolder {
    /// Its process id.
    pub pid: u32,
    /// The name of its program, as in `ps -o comm`; empty if it cannot be read.
    pub command: String,
    /// How long its oldest read has been running. Known only for reads of this library in the
    /// process that asks.
    pub reading_for: Option<Duration>,
}

impl LogHolder {
    /// Whether it is the process that asks.
    pub fn is_this_process(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl fmt::Display for LogHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_this_process() {
            "this process"
        } else {
            "process"
        };
        write!(f, "{what} {}", self.pid)?;
        if !self.command.is_empty() {
            write!(f, " ({})", self.command)?;
        }
        self.reading_for.map_or(Ok(()), |time| {
            write!(f, ", which has been reading for {:.1} s", time.as_secs_f64())
        })
    }
}
