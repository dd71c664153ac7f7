//! Numbers from a file that may be damaged.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::sql_types::{BigInt, Nullable};

/// A size or a count, clamped on reading to a range from 0 in which sums and differences of several
/// cannot overflow `i64`.
///
/// The CHECKs of the tables keep intact files far within this range. If somebody bypasses them,
/// `violations` reports the original numbers; refusing them here would make it impossible to check
/// and repair such a file.
#[derive(Debug, Clone, Copy, diesel::FromSqlRow)]
pub struct Amount(i64);

const MOST: i64 = 1 << 60;

impl<DB: Backend> FromSql<BigInt, DB> for Amount
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        i64::from_sql(bytes).map(|number| Self(number.clamp(0, MOST)))
    }
}

impl From<Amount> for i64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl From<Amount> for u64 {
    fn from(amount: Amount) -> Self {
        unsigned(amount.0)
    }
}

/// A capacity: the same, but up to the maximum of `i64`, which a space may have.
#[derive(Debug, Clone, Copy, diesel::FromSqlRow)]
pub struct Capacity(i64);

impl<DB: Backend> FromSql<BigInt, DB> for Capacity
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        i64::from_sql(bytes).map(|number| Self(number.max(0)))
    }
}

impl From<Capacity> for i64 {
    fn from(capacity: Capacity) -> Self {
        capacity.0
    }
}

impl From<Capacity> for u64 {
    fn from(capacity: Capacity) -> Self {
        unsigned(capacity.0)
    }
}

/// An [`Amount`] where there may be none.
#[derive(Debug, Clone, Copy, diesel::FromSqlRow)]
pub struct AmountIfAny(Option<Amount>);

impl<DB: Backend> FromSql<Nullable<BigInt>, DB> for AmountIfAny
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Amount::from_sql(bytes).map(|amount| Self(Some(amount)))
    }

    fn from_nullable_sql(bytes: Option<DB::RawValue<'_>>) -> deserialize::Result<Self> {
        bytes.map_or(Ok(Self(None)), <Self as FromSql<Nullable<BigInt>, DB>>::from_sql)
    }
}

impl From<AmountIfAny> for Option<u64> {
    fn from(amount: AmountIfAny) -> Self {
        amount.0.map(u64::from)
    }
}

/// A [`Capacity`] where there may be none.
#[derive(Debug, Clone, Copy, diesel::FromSqlRow)]
pub struct CapacityIfAny(Option<Capacity>);

impl<DB: Backend> FromSql<Nullable<BigInt>, DB> for CapacityIfAny
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Capacity::from_sql(bytes).map(|capacity| Self(Some(capacity)))
    }

    fn from_nullable_sql(bytes: Option<DB::RawValue<'_>>) -> deserialize::Result<Self> {
        bytes.map_or(Ok(Self(None)), <Self as FromSql<Nullable<BigInt>, DB>>::from_sql)
    }
}

impl From<CapacityIfAny> for Option<u64> {
    fn from(capacity: CapacityIfAny) -> Self {
        capacity.0.map(u64::from)
    }
}

/// Converts a size or count, which is never negative.
pub(crate) fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

/// A size or a count for sums with what may be below zero. Those from the file fit.
pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
