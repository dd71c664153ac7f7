//! The clock of this process, which never runs backwards.
//!
//! What has expired once stays expired for all of the process, even if the clock of the machine is set
//! back.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::models::Timestamp;

/// The latest time that anybody in this process has seen.
static LATEST: AtomicI64 = AtomicI64::new(i64::MIN);

/// By how many microseconds the clock is ahead of that of the machine. Only tests set it.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// The current time, or the latest one that this process has seen if that is later.
pub(crate) fn now() -> Timestamp {
    let ahead = AHEAD.load(Ordering::Relaxed);
    let now = Timestamp::now().as_micros().saturating_add(ahead);
    let latest = LATEST.fetch_max(now, Ordering::Relaxed);
    Timestamp::from_micros(latest.max(now))
}

/// Lets the clock of this process jump ahead, for tests of what expires. There is no way back.
#[doc(hidden)]
pub fn advance_clock(by: Duration) {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    let add = |ahead: i64| Some(ahead.saturating_add(by));
    // It always succeeds, because there is always a new value.
    let _ = AHEAD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}
