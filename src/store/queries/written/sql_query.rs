//! A query and its values, as a program gives them.

use serde::{Serialize, Serializer};

use super::signs::{Dialect, is_of_name, signs};
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
    /// `?`, without a number or a name. One in quotes or in a comment needs no value. In a file, a NaN becomes NULL.
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
/// [`Error::Database`] if there are more parameters than values, or fewer, or they have numbers or names. Without
/// values, a `?` is an operator on a server.
pub(super) fn split(text: &str, values: usize, dialect: Dialect) -> Result<Vec<&str>> {
    /// As many as a statement of PostgreSQL can have.
    const MOST_VALUES: usize = u16::MAX as usize;
    let (mut places, mut last) = (Vec::new(), None);
    for (at, sign) in signs(text, dialect) {
        let next = text.get(at + sign.len_utf8()..).and_then(|rest| rest.chars().next());
        let begins_name = next.is_some_and(is_of_name);
        match sign {
            '?' => places.push(at),
            ':' | '@' | '$' if dialect == Dialect::File && begins_name && !last.is_some_and(is_of_name) => {
                return Err(unnamed());
            }
            _ => {}
        }
        if sign == '?' && next.is_some_and(|next| next.is_ascii_digit()) && (dialect == Dialect::File || values > 0) {
            return Err(unnamed());
        }
        last = Some(sign);
    }
    if dialect == Dialect::Server && values == 0 {
        return Ok(vec![text]);
    }
    if dialect == Dialect::Server && values > MOST_VALUES {
        return Err(refused(format!(
            "it has {values} values, but a server takes at most {MOST_VALUES}"
        )));
    }
    if places.len() == values {
        let (mut pieces, mut from) = (Vec::with_capacity(values + 1), 0);
        for place in places {
            pieces.push(text.get(from..place).unwrap_or_default());
            from = place + 1;
        }
        pieces.push(text.get(from..).unwrap_or_default());
        return Ok(pieces);
    }
    let parameters = places.len();
    Err(refused(match values {
        1 => format!("the query has {parameters} `?`, but 1 value was given"),
        _ => format!("the query has {parameters} `?`, but {values} values were given"),
    }))
}

fn unnamed() -> Error {
    refused("write each `?` without a number or a name; it takes the next value".to_owned())
}

/// Whether a text closes a parenthesis that it has not opened, and so would end the subquery that it becomes.
pub(super) fn ends_subquery(text: &str, dialect: Dialect) -> bool {
    let depth = signs(text, dialect).try_fold(0_usize, |depth, (_, sign)| match sign {
        '(' => Some(depth + 1),
        ')' => depth.checked_sub(1),
        _ => Some(depth),
    });
    depth.is_none()
}

/// The error of such a text.
pub(super) fn ended() -> Error {
    refused("a parenthesis is closed that is not open".to_owned())
}

/// A text up to the semicolon after which nothing follows but comments.
pub(super) fn without_end(text: &str, dialect: Dialect) -> &str {
    let mut signs = signs(text, dialect).filter(|(_, sign)| !sign.is_whitespace());
    let end = signs.find(|(_, sign)| *sign == ';').map(|(end, _)| end);
    let end = end.filter(|_| signs.all(|(_, sign)| sign == ';'));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default().trim_end()
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
    /// Text; what is not UTF-8 in it is replaced. On a server also the text of everything else, such as
    /// bytes and times.
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
            split(text, 2, Dialect::File).unwrap(),
            ["SELECT '?' -- ?\n, ", " /* ? */, \"?\" + ", ""]
        );
        assert_eq!(split("ARRAY[?]", 1, Dialect::Server).unwrap(), ["ARRAY[", "]"]);
    }

    #[test]
    fn parameters_and_values_must_be_as_many() {
        for (text, values) in [
            ("?", 0),
            ("?", 2),
            ("? ?", 1),
            ("?1", 1),
            (":a, ?", 1),
            ("@a", 0),
            ("$a", 0),
        ] {
            assert!(split(text, values, Dialect::File).is_err(), "{text}");
        }
        assert_eq!(split("a ? b", 0, Dialect::Server).unwrap(), ["a ? b"]);
        assert_eq!(split("a ?1, b::text", 0, Dialect::Server).unwrap(), ["a ?1, b::text"]);
        assert!(split("?", 70_000, Dialect::Server).is_err());
    }

    #[test]
    fn a_text_cannot_leave_its_subquery() {
        for dialect in [Dialect::File, Dialect::Server] {
            for text in ["SELECT 1); DELETE FROM names --", "SELECT 1) UNION SELECT (2"] {
                assert!(ends_subquery(text, dialect), "{text}");
            }
            assert!(!ends_subquery("SELECT (1), ')' -- )", dialect));
            assert_eq!(without_end("SELECT ';' ; -- end", dialect), "SELECT ';'");
            assert_eq!(without_end("SELECT 1; SELECT 2", dialect), "SELECT 1; SELECT 2");
        }
    }
}
