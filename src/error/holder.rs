//! Who keeps the write-ahead log from starting again.

use std::fmt;
use std::time::Duration;

use super::figures::{bytes, grouped};

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

/// Why the log cannot take more; see [`Error::LogHeld`](super::Error::LogHeld).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldLog {
    /// Bytes of the log.
    pub log: u64,
    /// Its limit in bytes.
    pub limit: u64,
    /// Who reads from it, as far as the system tells.
    pub holders: Vec<LogHolder>,
    /// How long this call waited, in milliseconds.
    pub waited_ms: u64,
}

impl fmt::Display for HeldLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the write-ahead log is full: it has {} of {}, and cannot start again because {}; waited {} ms, and \
             nothing was changed",
            grouped(self.log),
            bytes(self.limit),
            reading(&self.holders),
            self.waited_ms
        )
    }
}

/// Who reads from the log: `process 17 (sqlite3) and process 18 (python3) read an old state from it`.
fn reading(holders: &[LogHolder]) -> String {
    let names: Vec<_> = holders.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => "somebody reads an old state from it, or still copies it".into(),
        [one] => format!("an old state is read from it by {one}"),
        several => format!("old states are read from it by {}", several.join(" and ")),
    }
}
