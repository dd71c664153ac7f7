//! The JSON value of the library's users.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::node::Node;
use super::{Kind, parse};
use crate::error::{Error, Result};

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
