//! The clock of this process, which never runs backwards.
//!
//! What has expired once stays expired for all of the process, even if the clock of the machine is set
//! back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::models::Timestamp;

/// The latest time that anybody in this process has seen.
static LATEST: AtomicI64 = AtomicI64::new(i64::MIN);

/// How many microseconds the clock is ahead of the machine's. Only tests set it.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// How many of these microseconds have passed as if nobody had set the clock.
static PASSED: AtomicU64 = AtomicU64::new(0);

/// The current time, or the latest one that this process has seen if that is later.
pub(crate) fn now() -> Timestamp {
    let ahead = AHEAD.load(Ordering::Relaxed);
    let now = Timestamp::now().as_micros().saturating_add(ahead);
    let latest = LATEST.fetch_max(now, Ordering::Relaxed);
    Timestamp::from_micros(latest.max(now))
}

/// The time by both clocks of the machine: the one that people set, and the one that only counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BothClocks {
    pub at: Timestamp,
    counted: Duration,
}

impl BothClocks {
    pub fn now() -> Self {
        Self {
            at: now(),
            counted: counted(),
        }
    }

    /// What time it is if nobody has set the clock since.
    pub fn expects(&self) -> Timestamp {
        self.at + counted().saturating_sub(self.counted)
    }
}

/// Time since a moment that does not change while the process runs.
fn counted() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let passed = PASSED.load(Ordering::Relaxed);
    since_boot().unwrap_or_else(|| START.get_or_init(Instant::now).elapsed()) + Duration::from_micros(passed)
}

/// Also counts while the machine is suspended, unlike [`Instant`] on this system.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::Boottime).try_into().ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn since_boot() -> Option<Duration> {
    None
}

/// Lets the clock of this process jump ahead, for tests of what expires. There is no way back.
#[doc(hidden)]
pub fn advance_clock(by: Duration) {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    let add = |ahead: i64| Some(ahead.saturating_add(by));
    // It always succeeds, because there is always a new value.
    let _ = AHEAD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}

/// Lets time pass for this process: both clocks advance. For tests, like [`advance_clock`].
#[doc(hidden)]
pub fn pass_time(by: Duration) {
    let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
    PASSED.fetch_add(micros, Ordering::Relaxed);
    advance_clock(by);
}
