//! A query and its values, as a program gives them.

use serde::{Serialize, Serializer};

use super::signs::find_sign;
use crate::error::{Error, Result};
use crate::models::Timestamp;
use crate::store::statement::Value;
use crate::value::ObjectId;

/// A query in SQL for [`MemManager::query`](crate::MemManager::query), with a value for each `?` in its text. A
/// value needs no quotes, and nothing in it is read as SQL, so it may be what somebody else has typed.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
/// use std::ops::ControlFlow;
///
/// use heapledger::{SqlQuery, SqlValue};
///
/// memory.set("it's", "text")?;
/// let text = "SELECT o.size FROM names n JOIN objects o ON o.id = n.stored_object_id WHERE n.name = ? AND o.size < ?";
/// let query = SqlQuery::new(text).bind("it's").bind(100);
/// let mut sizes = Vec::new();
/// memory.query(query, |_, values| {
///     sizes.extend(values);
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(sizes, [SqlValue::Integer(4)]);
/// # Ok::<(), heapledger::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SqlQuery<'t> {
    pub(super) text: &'t str,
    pub(super) values: Vec<SqlValue>,
}

impl<'t> SqlQuery<'t> {
    /// A query, so far without values.
    pub fn new(text: &'t str) -> Self {
        let values = Vec::new();
        Self { text, values }
    }

    /// Adds the value of the next `?`, in the order in which they are in the text. On every engine it is written
    /// `?`, without a number or a name. One in quotes or in a comment needs no value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<SqlValue>) -> Self {
        self.values.push(value.into());
        self
    }
}

impl<'t> From<&'t str> for SqlQuery<'t> {
    fn from(text: &'t str) -> Self {
        Self::new(text)
    }
}

impl<'t> From<&'t String> for SqlQuery<'t> {
    fn from(text: &'t String) -> Self {
        Self::new(text)
    }
}

/// The pieces of a text between its parameters, one more than values.
///
/// # Errors
/// [`Error::Database`] if there are more parameters than values, or fewer, or they have numbers. A text without
/// values is not looked at on a server, where `?` may be an operator.
pub(super) fn split(text: &str, values: usize, is_operator: bool) -> Result<Vec<&str>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = find_sign(rest, |sign| sign == '?') {
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after.strip_prefix('?').unwrap_or_default();
        if rest.starts_with(|sign: char| sign.is_ascii_digit()) {
            return Err(refused(
                "write each `?` without a number; it takes the next value".to_owned(),
            ));
        }
    }
    let parameters = pieces.len();
    pieces.push(rest);
    match values {
        0 if is_operator => Ok(vec![text]),
        _ if parameters == values => Ok(pieces),
        1 => Err(refused(format!(
            "the query has {parameters} `?`, but 1 value was given"
        ))),
        _ => Err(refused(format!(
            "the query has {parameters} `?`, but {values} values were given"
        ))),
    }
}

fn refused(why: String) -> Error {
    let (what, source) = ("the query cannot be run", why.into());
    Error::Database { what, source }
}

/// A value in a row of [`MemManager::query`](crate::MemManager::query), or for a `?` of a [`SqlQuery`]. It
/// serialises to the value that JSON has for it, and bytes to text: their hexadecimal digits after `\x`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SqlValue {
    /// NULL.
    Null,
    /// A flag, which only servers have.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// Text; what is not UTF-8 in it is replaced. On a server also the text of everything else, as of bytes
    /// and times.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl<'v> From<&'v SqlValue> for Value<'v> {
    fn from(value: &'v SqlValue) -> Self {
        match value {
            SqlValue::Null => Self::Int(None),
            SqlValue::Bool(value) => Self::Bool(*value),
            SqlValue::Integer(value) => Self::Int(Some(*value)),
            SqlValue::Real(value) => Self::Real(*value),
            SqlValue::Text(text) => Self::Text(Some(text)),
            SqlValue::Bytes(bytes) => Self::Blob(Some(bytes)),
        }
    }
}

/// Each of these types becomes the variant that follows it.
macro_rules! from {
    ($($type:ty => $variant:ident,)*) => {
        $(impl From<$type> for SqlValue {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Bool,
    i32 => Integer,
    u32 => Integer,
    i64 => Integer,
    f64 => Real,
    &str => Text,
    String => Text,
    &[u8] => Bytes,
    Vec<u8> => Bytes,
}

/// Its digits, as columns of ids have them.
impl From<ObjectId> for SqlValue {
    fn from(id: ObjectId) -> Self {
        Self::Text(id.to_string())
    }
}

/// Its microseconds, as columns of times have them.
impl From<Timestamp> for SqlValue {
    fn from(time: Timestamp) -> Self {
        Self::Integer(time.as_micros())
    }
}

/// NULL if there is none.
impl<V: Into<Self>> From<Option<V>> for SqlValue {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Serialize for SqlValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Real(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.collect_str(&format_args!("\\x{}", const_hex::encode(bytes))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_outside_of_quotes_and_comments() {
        let text = "SELECT '?' -- ?\n, ? /* ? */, \"?\" + ?";
        assert_eq!(
            split(text, 2, false).unwrap(),
            ["SELECT '?' -- ?\n, ", " /* ? */, \"?\" + ", ""]
        );
    }

    #[test]
    fn parameters_and_values_must_be_as_many() {
        for (text, values) in [("?", 0), ("?", 2), ("? ?", 1), ("?1", 1)] {
            assert!(split(text, values, false).is_err(), "{text}");
        }
        assert_eq!(split("a ? b", 0, true).unwrap(), ["a ? b"]);
    }
}
