//! Text columns that may not be valid.
//!
//! SQLite accepts any bytes as text, and one row that is not UTF-8 must not prevent the others from
//! being listed. heapledger writes UTF-8; invalid bytes are read as U+FFFD, and
//! [`crate::MemManager::check`] reports them.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, Queryable};
use diesel::serialize::{Output, ToSql};
use diesel::sql_types::{Binary, SingleValue, Text};
use diesel::sqlite::Sqlite;

use super::Timestamp;
use super::if_any::IfAny;
use crate::value::{Kind, ObjectId};

/// An enum that a column stores as text. Any other text is read as `Unknown`: a later version, or
/// another tool, may have written it.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, diesel::FromSqlRow, diesel::AsExpression)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// Any other value: the row is damaged, or a later version wrote it.
            Unknown,
        }

        impl $name {
            /// All values except `Unknown`.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The text in the file, or `unknown`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown => "unknown",
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<DB: diesel::backend::Backend> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            Vec<u8>: diesel::deserialize::FromSql<diesel::sql_types::Binary, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = <Vec<u8> as diesel::deserialize::FromSql<diesel::sql_types::Binary, DB>>::from_sql(bytes)?;
                let known = Self::ALL.iter().find(|value| value.as_str().as_bytes() == text);
                Ok(known.copied().unwrap_or(Self::Unknown))
            }
        }

        impl<DB: diesel::backend::Backend> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
                self.as_str().to_sql(out)
            }
        }
    };
}
pub(crate) use text_enum;

/// An enum whose values have names.
macro_rules! named_enum {
    (
        $(#[$doc:meta])* $vis:vis enum $enum:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }
        $(#[$method_doc:meta])* fn $method:ident;
    ) => {
        $(#[$doc])*
        $vis enum $enum {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $enum {
            /// All of them, in order.
            $vis const ALL: [Self; [$($name,)*].len()] = [$(Self::$variant,)*];

            $(#[$method_doc])*
            $vis fn $method(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}
pub(crate) use named_enum;

impl<DB: Backend> FromSql<Text, DB> for Kind
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <Vec<u8> as FromSql<Binary, DB>>::from_sql(bytes)?;
        let known = Self::ALL.into_iter().find(|kind| kind.as_str().as_bytes() == text);
        Ok(known.unwrap_or(Self::Unknown))
    }
}

impl<ST: SingleValue, DB: Backend> Queryable<ST, DB> for Kind
where
    Self: FromSql<ST, DB>,
{
    type Row = Self;

    fn build(row: Self) -> deserialize::Result<Self> {
        Ok(row)
    }
}

/// [`ObjectId::UNKNOWN`] if the text is not an id.
impl<DB: Backend> FromSql<Text, DB> for ObjectId
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <Vec<u8> as FromSql<Binary, DB>>::from_sql(bytes)?;
        // Lookups would not find an id in upper case.
        let text = str::from_utf8(&text).ok();
        let text = text.filter(|text| !text.bytes().any(|digit| digit.is_ascii_uppercase()));
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(Self::UNKNOWN))
    }
}

/// [`ObjectId::UNKNOWN`] if the bytes are not a digest.
impl<DB: Backend> FromSql<Binary, DB> for ObjectId
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let digest = <Vec<u8> as FromSql<Binary, DB>>::from_sql(bytes)?;
        Ok(Self::try_from(digest.as_slice()).unwrap_or(Self::UNKNOWN))
    }
}

impl<ST: SingleValue, DB: Backend> Queryable<ST, DB> for ObjectId
where
    Self: FromSql<ST, DB>,
{
    type Row = Self;

    fn build(row: Self) -> deserialize::Result<Self> {
        Ok(row)
    }
}

impl ToSql<Text, Sqlite> for ObjectId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> diesel::serialize::Result {
        out.set_value(self.to_hex());
        Ok(diesel::serialize::IsNull::No)
    }
}

#[cfg(feature = "postgres")]
impl ToSql<Text, diesel::pg::Pg> for ObjectId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::pg::Pg>) -> diesel::serialize::Result {
        use std::io::Write;
        out.write_all(self.digits().as_bytes())?;
        Ok(diesel::serialize::IsNull::No)
    }
}

/// A time as the views write it: in ISO 8601 or, outside the calendar, in microseconds.
#[derive(Debug, Clone, Copy, diesel::FromSqlRow)]
pub struct WrittenTime(Timestamp);

impl<DB: Backend> FromSql<Text, DB> for WrittenTime
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let text = lossy::<DB>(bytes)?;
        let micros = match text.parse::<jiff::Timestamp>() {
            Ok(time) => time.as_microsecond(),
            Err(_) => text.parse().unwrap_or_default(),
        };
        Ok(Self(Timestamp::from_micros(micros)))
    }
}

impl From<WrittenTime> for Timestamp {
    fn from(time: WrittenTime) -> Self {
        time.0
    }
}

/// Text with invalid bytes replaced.
#[derive(Debug, Clone, diesel::FromSqlRow)]
pub struct Shown(String);

/// The same for a nullable column.
pub type ShownIfAny = IfAny<Shown>;

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
        text.0.map(String::from)
    }
}

impl From<ShownList> for Vec<String> {
    fn from(list: ShownList) -> Self {
        list.0
    }
}
