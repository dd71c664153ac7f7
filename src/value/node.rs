//! An exact JSON value: text that cannot be represented to the last digit is refused.
//!
//! serde_json's value depends on features that any crate in the program may turn on
//! (`arbitrary_precision`, `preserve_order`), and silently takes the last of two equal keys
//! and the nearest float. Ids and contents must not depend on that.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{Serialize, Serializer};

use super::{Kind, float};

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
