//! When holds end.

use std::time::Duration;

use crate::error::{ExpiryError, Result};
use crate::models::{Term, Timestamp};
use crate::value::ObjectId;

/// The last microsecond of the year 9999.
const LATEST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

/// When a hold ends: a name, or the anonymous hold of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Expiry {
    /// It does not end by itself.
    #[default]
    Never,
    /// At this time.
    At(Timestamp),
    /// This long after the call.
    In(Duration),
    /// This long after the call, or after the last time that it was read; see
    /// [`refresh_on_get`](crate::HoldWith::refresh_on_get).
    Idle(Duration),
}

impl From<Duration> for Expiry {
    fn from(time: Duration) -> Self {
        Self::In(time)
    }
}

impl From<Timestamp> for Expiry {
    fn from(at: Timestamp) -> Self {
        Self::At(at)
    }
}

impl Expiry {
    /// The end, for a call at `now`.
    ///
    /// # Errors
    /// [`ExpiryError::Passed`], [`ExpiryError::AtOnce`], [`ExpiryError::TooLate`].
    pub(in crate::manager) fn ends(self, now: Timestamp) -> Result<Option<Timestamp>> {
        let at = match self {
            Self::Never => return Ok(None),
            Self::At(at) if at <= now => return Err(ExpiryError::Passed { at, now }.into()),
            Self::At(at) => at,
            Self::In(time) | Self::Idle(time) if time < Duration::from_micros(1) => {
                return Err(ExpiryError::AtOnce.into());
            }
            Self::In(time) | Self::Idle(time) => now + time,
        };
        match self {
            _ if at <= LATEST => Ok(Some(at)),
            Self::In(by) | Self::Idle(by) => Err(ExpiryError::too_far(now, by).into()),
            _ => Err(ExpiryError::TooLate { at }.into()),
        }
    }

    /// How long a hold lasts that is taken at `now`.
    ///
    /// # Errors
    /// As [`Self::ends`].
    pub(in crate::manager) fn term(self, now: Timestamp) -> Result<Term> {
        Ok(Term {
            ends: self.ends(now)?,
            refresh: match self {
                Self::Idle(time) => Some(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
                _ => None,
            },
        })
    }
}

/// An existing hold: `&str` is a name, `&ObjectId` the anonymous hold of that object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<'a> {
    /// A bound name.
    Name(&'a str),
    /// The anonymous hold of an object.
    Anonymous(&'a ObjectId),
}

impl<'a> From<&'a str> for Held<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a String> for Held<'a> {
    fn from(name: &'a String) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a ObjectId> for Held<'a> {
    fn from(id: &'a ObjectId) -> Self {
        Self::Anonymous(id)
    }
}
