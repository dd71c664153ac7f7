//! Nullable columns.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::sql_types::is_nullable::NotNull;
use diesel::sql_types::{Nullable, SqlType};

/// The value of a nullable column, if there is one, read as a `T`.
#[derive(Debug, Clone, Copy, diesel::FromSqlRow)]
pub struct IfAny<T>(pub(super) Option<T>);

impl<T, ST, DB: Backend> FromSql<Nullable<ST>, DB> for IfAny<T>
where
    ST: SqlType<IsNull = NotNull>,
    T: FromSql<ST, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        T::from_sql(bytes).map(|value| Self(Some(value)))
    }

    fn from_nullable_sql(bytes: Option<DB::RawValue<'_>>) -> deserialize::Result<Self> {
        let value = bytes.map(T::from_sql).transpose()?;
        Ok(Self(value))
    }
}
