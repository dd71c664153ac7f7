//! Numbers from a file that may be damaged.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::sql_types::BigInt;

use super::if_any::IfAny;

/// A size or a count, clamped on reading to a range from 0 in which sums and differences of several
/// cannot overflow `i64`.
///
/// The CHECKs of the tables keep intact files far within this range. If somebody bypasses them,
/// `violations` reports the original numbers; refusing them here would make it impossible to check
/// and repair such a file.
pub type Amount = Clamped<{ 1 << 60 }>;

/// A capacity: the same, but up to the maximum of `i64`, which a space may have.
pub type Capacity = Clamped<{ i64::MAX }>;

/// An [`Amount`] where there may be none.
pub type AmountIfAny = IfAny<Amount>;

/// A [`Capacity`] where there may be none.
pub type CapacityIfAny = IfAny<Capacity>;

/// A number that is clamped on reading to 0 to `MOST`.
#[derive(Debug, Clone, Copy, diesel::FromSqlRow)]
pub struct Clamped<const MOST: i64>(i64);

impl<const MOST: i64, DB: Backend> FromSql<BigInt, DB> for Clamped<MOST>
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        i64::from_sql(bytes).map(|number| Self(number.clamp(0, MOST)))
    }
}

impl<const MOST: i64> From<Clamped<MOST>> for i64 {
    fn from(number: Clamped<MOST>) -> Self {
        number.0
    }
}

impl<const MOST: i64> From<Clamped<MOST>> for u64 {
    fn from(number: Clamped<MOST>) -> Self {
        unsigned(number.0)
    }
}

impl<const MOST: i64> From<IfAny<Clamped<MOST>>> for Option<u64> {
    fn from(number: IfAny<Clamped<MOST>>) -> Self {
        number.0.map(u64::from)
    }
}

/// Converts a size or count, which is never negative.
pub(crate) fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

/// Converts a size or count for sums that may go below zero. Those from the file fit.
pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
