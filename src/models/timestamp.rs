//! Timestamps.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time in microseconds since 1970 UTC, as stored in the file.
///
/// `Display` gives ISO 8601 in UTC, with as many digits as needed: `2026-01-31T12:00:00.25Z`, or
/// whole seconds with `{:.0}`. A value outside the calendar, from a damaged file, is shown as the
/// number. It serialises as the number.
///
/// ```
/// use std::time::Duration;
/// use heapledger::Timestamp;
///
/// let time = Timestamp::from_micros(1_769_860_800_250_000);
/// assert_eq!(time.to_string(), "2026-01-31T12:00:00.25Z");
/// assert_eq!(format!("{time:.0}"), "2026-01-31T12:00:00Z");
/// assert!(time - Duration::from_secs(1) < time);
/// ```
#[derive(
    Debug,
    Default,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    diesel_derive_newtype::DieselNewType,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time that is `micros` microseconds after the start of 1970 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start of 1970 UTC.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The same as a [`SystemTime`], or `None` if that cannot represent it, as on some systems for times long ago.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use heapledger::Timestamp;
    ///
    /// let time = Timestamp::from_micros(1_500_000);
    /// assert_eq!(time.as_system_time(), Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)));
    /// ```
    pub fn as_system_time(self) -> Option<SystemTime> {
        let since = Duration::from_micros(self.0.unsigned_abs());
        match self.0 {
            0.. => UNIX_EPOCH.checked_add(since),
            _ => UNIX_EPOCH.checked_sub(since),
        }
    }

    /// The current time of this machine's clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

/// Saturates at the latest possible time.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(micros(time)))
    }
}

/// Saturates at the earliest possible time.
impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(micros(time)))
    }
}

/// Times before 1970 become its start.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => time.fmt(f),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
