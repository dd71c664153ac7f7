//! The kinds of value.

use std::fmt;

/// What a stored object is. Everything but [`Kind::Bytes`] is stored as text that SQL can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// Raw bytes.
    Bytes,
    /// UTF-8 text.
    Str,
    /// A whole number from `i64::MIN` to `u64::MAX`, as decimal text.
    Int,
    /// A finite 64-bit float, as the shortest text that reads back as the same float.
    Float,
    /// `true` or `false`.
    Bool,
    /// Nothing: `None`, `()`. Its content is empty.
    None,
    /// A list, map or custom type, as canonical JSON: sorted keys, no whitespace.
    Json,
    /// None of these: the object's row is damaged, or a later version wrote it. Nothing can
    /// be stored as this.
    Unknown,
}

impl Kind {
    /// All kinds that can be stored.
    pub const ALL: [Self; 7] = [
        Self::Bytes,
        Self::Str,
        Self::Int,
        Self::Float,
        Self::Bool,
        Self::None,
        Self::Json,
    ];

    /// The kind's name in the file: `bytes`, `str`, `int`, `float`, `bool`, `none`, `json`;
    /// `unknown` for another.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::None => "none",
            Self::Json => "json",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
