//! An exact JSON value: text that cannot be represented to the last digit is refused.
//!
//! serde_json's value depends on features that any crate in the program may turn on
//! (`arbitrary_precision`, `preserve_order`), and silently takes the last of two equal keys
//! and the nearest float. Ids and contents must not depend on that.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{Kind, float, parse};
use crate::error::{Error, Result};

/// The deepest nesting of lists and maps.
pub(crate) const MAX_DEPTH: u32 = 127;

/// A JSON value, nested no deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// Below 0.
    Negative(i64),
    Unsigned(u64),
    /// Finite.
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

impl Node {
    /// `None` if the number does not fit 64 bits.
    pub fn integer(number: i128) -> Option<Self> {
        let unsigned = u64::try_from(number).map(Self::Unsigned);
        unsigned.or_else(|_| i64::try_from(number).map(Self::Negative)).ok()
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::None,
            Self::Bool(_) => Kind::Bool,
            Self::Negative(_) | Self::Unsigned(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Text(_) => Kind::Str,
            Self::List(_) | Self::Map(_) => Kind::Json,
        }
    }

    /// The stored content: a string as it is, nothing for null, otherwise JSON.
    pub fn into_content(self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) => text,
            other => other.to_string(),
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Negative(number) => out.push_str(&number.to_string()),
            Self::Unsigned(number) => out.push_str(&number.to_string()),
            Self::Float(number) => out.push_str(&float::text(*number)),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Canonical JSON: sorted keys, no whitespace, escapes only where required.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|sign: char| sign < ' ' || sign == '"' || sign == '\\') {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut signs = special.chars();
        match signs.next() {
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(sign @ ('"' | '\\')) => out.extend(['\\', sign]),
            Some(sign) => out.push_str(&format!("\\u{:04x}", u32::from(sign))),
            None => {}
        }
        rest = signs.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// An exact JSON value, whichever features of `serde_json` are on.
///
/// Parsing refuses text that cannot be represented exactly: duplicate keys in a map, an
/// integer beyond 64 bits, a float with digits that no 64-bit float has, and lists and maps
/// nested more than 127 deep. It is written and stored as canonical JSON, with sorted keys
/// and no whitespace.
///
/// ```
/// use heapledger::{Json, Kind};
///
/// let json: Json = r#"{"b": [1, 2.50], "a": null}"#.parse()?;
/// assert_eq!(json.to_string(), r#"{"a":null,"b":[1,2.5]}"#);
/// assert_eq!(json.kind(), Kind::Json);
/// assert!(r#"{"a": 1, "a": 2}"#.parse::<Json>().is_err());
/// assert!("1e-400".parse::<Json>().is_err());
/// # Ok::<(), heapledger::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Json(pub(super) Node);

impl Json {
    /// The kind it is stored as: [`Kind::Json`] for lists and maps.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }
}

impl FromStr for Json {
    type Err = Error;

    /// # Errors
    /// [`Error::BadJson`] says what is wrong, and where.
    fn from_str(text: &str) -> Result<Self> {
        parse::parse(text).map(Self).map_err(|why| Error::BadJson { why })
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self(Node::Text(text))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Negative(number) => serializer.serialize_i64(*number),
            Self::Unsigned(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => serializer.collect_map(entries),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Self)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(u64::try_from(number).map_or(Node::Negative(number), Node::Unsigned))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Unsigned(number))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node, E> {
        if number.is_finite() {
            return Ok(Node::Float(number));
        }
        Err(E::custom("JSON cannot express a float that is not finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, Json(value))) = entries.next_entry::<String, Json>()? {
            if map.insert(key, value).is_some() {
                return Err(serde::de::Error::custom("a map has the same key twice"));
            }
        }
        Ok(Node::Map(map))
    }
}
