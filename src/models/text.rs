//! Text from a file that may not be text.
//!
//! SQLite takes any bytes for text, and one row that is not UTF-8 must not keep all the
//! others from being listed. What heapledger writes is UTF-8; for the rest, each byte that
//! is not is read as U+FFFD, and [`crate::MemManager::check`] says where it is.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::sql_types::{Binary, Nullable, Text};

/// Text as it may be shown.
#[derive(Debug, Clone, diesel::FromSqlRow)]
pub struct Shown(String);

/// The same where there may be none.
#[derive(Debug, Clone, diesel::FromSqlRow)]
pub struct ShownIfAny(Option<String>);

/// A JSON array of texts.
#[derive(Debug, Clone, diesel::FromSqlRow)]
pub struct ShownList(Vec<String>);

fn lossy<DB: Backend>(bytes: DB::RawValue<'_>) -> deserialize::Result<String>
where
    Vec<u8>: FromSql<Binary, DB>,
{
    let bytes = Vec::<u8>::from_sql(bytes)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

impl<DB: Backend> FromSql<Text, DB> for Shown
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        lossy::<DB>(bytes).map(Self)
    }
}

impl<DB: Backend> FromSql<Nullable<Text>, DB> for ShownIfAny
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        lossy::<DB>(bytes).map(|text| Self(Some(text)))
    }

    fn from_nullable_sql(bytes: Option<DB::RawValue<'_>>) -> deserialize::Result<Self> {
        bytes.map_or(Ok(Self(None)), <Self as FromSql<Nullable<Text>, DB>>::from_sql)
    }
}

impl<DB: Backend> FromSql<Text, DB> for ShownList
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(serde_json::from_str(&lossy::<DB>(bytes)?)?))
    }
}

impl From<Shown> for String {
    fn from(text: Shown) -> Self {
        text.0
    }
}

impl From<ShownIfAny> for Option<String> {
    fn from(text: ShownIfAny) -> Self {
        text.0
    }
}

impl From<ShownList> for Vec<String> {
    fn from(list: ShownList) -> Self {
        list.0
    }
}
