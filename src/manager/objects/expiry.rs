//! When holds end.

use std::time::Duration;

use super::hold::Hold;
use crate::error::{ExpiryError, Result};
#[cfg(doc)]
use crate::manager::MemManager;
use crate::models::Timestamp;
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
            Self::In(time) if time < Duration::from_micros(1) => return Err(ExpiryError::AtOnce.into()),
            Self::In(time) => now + time,
        };
        match self {
            _ if at <= LATEST => Ok(Some(at)),
            Self::In(by) => Err(ExpiryError::too_far(now, by).into()),
            _ => Err(ExpiryError::TooLate { at }.into()),
        }
    }
}

/// A hold, and when it ends; made from a [`Hold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiringHold<'a> {
    pub(in crate::manager) hold: Hold<'a>,
    pub(in crate::manager) expiry: Expiry,
}

impl<'a> From<Hold<'a>> for ExpiringHold<'a> {
    /// A hold that never ends by itself.
    fn from(hold: Hold<'a>) -> Self {
        let expiry = Expiry::Never;
        Self { hold, expiry }
    }
}

impl<'a> Hold<'a> {
    /// The hold, which ends this long after the call that takes it.
    ///
    /// At that time the name is bound to nothing, and an object without another hold is gone: no call
    /// returns it, although its bytes are given back only when they are needed, when
    /// [garbage is collected](MemManager::collect_garbage), or a few at a time by other writes.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use std::time::Duration;
    /// use heapledger::{Expiry, Hold};
    ///
    /// let minute = Duration::from_secs(60);
    /// memory.store("a token", Hold::Name("session").expires_in(minute))?;
    /// assert!(memory.names(&memory.resolve("session")?.unwrap())?[0].expires_at.is_some());
    ///
    /// memory.touch("session", 2 * minute)?;
    /// memory.expire("session", Expiry::Never)?;
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    #[must_use = "it is a hold to pass to a call"]
    pub const fn expires_in(self, time: Duration) -> ExpiringHold<'a> {
        ExpiringHold {
            hold: self,
            expiry: Expiry::In(time),
        }
    }

    /// The hold, which ends at this time; see [`Self::expires_in`].
    #[must_use = "it is a hold to pass to a call"]
    pub const fn expires_at(self, at: Timestamp) -> ExpiringHold<'a> {
        ExpiringHold {
            hold: self,
            expiry: Expiry::At(at),
        }
    }

    /// The hold, which ends like this; see [`Self::expires_in`].
    #[must_use = "it is a hold to pass to a call"]
    pub fn expires(self, expiry: impl Into<Expiry>) -> ExpiringHold<'a> {
        ExpiringHold {
            hold: self,
            expiry: expiry.into(),
        }
    }
}

/// A hold that something has: `&str` is a name, `&ObjectId` the anonymous hold of that object.
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
