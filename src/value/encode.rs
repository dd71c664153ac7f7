//! From a Rust value to its stored content and back.

use std::any::type_name;
use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Hasher, Kind, ObjectId, finite};
use crate::error::{Error, Result};

/// A value ready to be stored: its kind, its content, and for JSON the name of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded<'a> {
    pub kind: Kind,
    pub type_name: Option<Cow<'a, str>>,
    pub content: Cow<'a, [u8]>,
}

impl<'a> Encoded<'a> {
    pub fn bytes(content: &'a [u8]) -> Self {
        Self {
            kind: Kind::Bytes,
            type_name: None,
            content: Cow::Borrowed(content),
        }
    }

    /// Finds the kind of `value` from what it serialises to, and its content.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Encoded<'static>> {
        let refuse = |why: String| Error::NotStorable {
            type_name: type_name::<T>(),
            why,
        };
        finite::check(value).map_err(|error| refuse(error.to_string()))?;
        let mut json = serde_json::to_value(value).map_err(|error| refuse(error.to_string()))?;
        // serde_json sorts keys by itself unless another crate turns its
        // `preserve_order` feature on.
        json.sort_all_objects();
        let text = |json: &Value| serde_json::to_string(json).map_err(|error| refuse(error.to_string()));
        let (kind, content) = match json {
            Value::Null => (Kind::None, String::new()),
            Value::Bool(_) => (Kind::Bool, text(&json)?),
            Value::Number(ref number) if number.is_f64() => (Kind::Float, text(&json)?),
            Value::Number(_) => (Kind::Int, text(&json)?),
            Value::String(string) => (Kind::Str, string),
            Value::Array(_) | Value::Object(_) => (Kind::Json, text(&json)?),
        };
        Ok(Encoded {
            kind,
            type_name: (kind == Kind::Json).then(|| Cow::Borrowed(type_name::<T>())),
            content: Cow::Owned(content.into_bytes()),
        })
    }

    pub fn object_id(&self) -> ObjectId {
        let mut hasher = Hasher::new(self.kind);
        hasher.update(&self.content);
        hasher.finish()
    }
}

/// The value of type `T` that `content` of `kind` stands for.
pub(crate) fn decode<T: DeserializeOwned>(
    id: &ObjectId,
    kind: Kind,
    stored_type: Option<&str>,
    content: Vec<u8>,
) -> Result<T> {
    let wrong_type = |why: String| Error::WrongType {
        id: *id,
        stored: stored_type.map_or_else(|| kind.to_string(), |name| format!("json ({name})")),
        wanted: type_name::<T>(),
        why,
    };
    let text = || {
        String::from_utf8(content).map_err(|_| Error::Damaged {
            what: format!("object {id} is of kind {kind}, but its content is no UTF-8 text"),
        })
    };
    let json = match kind {
        Kind::Bytes => return Err(wrong_type("read it with get_bytes".into())),
        Kind::None => Value::Null,
        Kind::Str => Value::String(text()?),
        Kind::Int | Kind::Float | Kind::Bool | Kind::Json => {
            serde_json::from_str(&text()?).map_err(|_| Error::Damaged {
                what: format!("the content of object {id} cannot be read as {kind}"),
            })?
        }
    };
    serde_json::from_value(json).map_err(|error| wrong_type(error.to_string()))
}
