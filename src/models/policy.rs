//! The policies by which objects are evicted.

use std::fmt;
use std::str::FromStr;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::sql_types::{Nullable, Text};

use super::{ShownIfAny, named_enum};

named_enum! {
    /// Which object goes first when room is needed.
    ///
    /// A decision takes O(1), and with `Largest` O(log n). SIEVE and S3-FIFO may pass objects that were
    /// used, but each pass is paid for by a use.
    ///
    /// ```
    /// use heapledger::Policy;
    ///
    /// assert_eq!("s3-fifo".parse(), Ok(Policy::S3Fifo));
    /// assert_eq!(Policy::S3Fifo.to_string(), "s3-fifo");
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum Policy {
        /// The least recently used one.
        Lru = "lru",
        /// SIEVE (NSDI 2024): the oldest one that was not used since the hand last passed it.
        Sieve = "sieve",
        /// S3-FIFO (SOSP 2023): new objects are on trial in a tenth of the space, and the ones that are
        /// used twice move to the rest.
        S3Fifo = "s3-fifo",
        /// The largest one, and of several the oldest.
        Largest = "largest",
        /// The one that was stored first.
        Oldest = "oldest",
    }
    /// Its name, as [`Self::from_str`] reads it.
    fn as_str;
}

/// A text that is not the name of a [`Policy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPolicy {
    /// The text.
    pub name: String,
}

impl Policy {
    /// Whether it goes by how objects are used, so that a space has to keep a record of that.
    pub fn is_by_use(self) -> bool {
        matches!(self, Self::Lru | Self::Sieve | Self::S3Fifo)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        let known = Self::ALL.into_iter().find(|policy| policy.as_str() == name);
        known.ok_or_else(|| UnknownPolicy { name: name.to_owned() })
    }
}

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Policy::ALL.map(Policy::as_str).join(", ");
        write!(f, "no policy is called {:?}; there are {known}", self.name)
    }
}

impl std::error::Error for UnknownPolicy {}

impl serde::Serialize for Policy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Policy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

/// The policy of a space, if it has one. A damaged file may have anything there: then nothing is evicted.
#[derive(Debug, Clone, Copy, diesel::FromSqlRow)]
pub struct PolicyIfAny(Option<Policy>);

impl<DB: Backend> FromSql<Nullable<Text>, DB> for PolicyIfAny
where
    ShownIfAny: FromSql<Nullable<Text>, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Self::from_nullable_sql(Some(bytes))
    }

    fn from_nullable_sql(bytes: Option<DB::RawValue<'_>>) -> deserialize::Result<Self> {
        let name: Option<String> = ShownIfAny::from_nullable_sql(bytes)?.into();
        Ok(Self(name.and_then(|name| name.parse().ok())))
    }
}

impl From<PolicyIfAny> for Option<Policy> {
    fn from(policy: PolicyIfAny) -> Self {
        policy.0
    }
}
