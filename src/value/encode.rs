//! Converts Rust values to stored content and back.

use std::any::type_name;
use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::node::Node;
use super::{Hasher, Kind, ObjectId, deserialize, parse, serialize};
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

    /// Serialises `value`; its kind follows from what it serialises to.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Encoded<'static>> {
        let refuse = |why: String| Error::NotStorable {
            type_name: type_name::<T>(),
            why,
        };
        let node = serialize::node_of(value).map_err(|error| refuse(error.to_string()))?;
        let (kind, content) = (node.kind(), node.into_content());
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

impl ObjectId {
    /// The id that `value` has when it is stored with `allocate`.
    ///
    /// # Errors
    /// [`Error::NotStorable`] if the value has no exact encoding (NaN, infinities,
    /// integers beyond 64 bits, map keys other than strings, numbers and bools).
    #[doc(alias = "generate_object_id")]
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        Ok(Encoded::of(value)?.object_id())
    }
}

/// Reads a `T` from `content` of `kind`.
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
            what: format!("object {id} is of kind {kind}, but its content is not UTF-8 text"),
        })
    };
    let node = match kind {
        Kind::Bytes => return Err(wrong_type("read it with get_bytes".into())),
        Kind::Unknown => {
            return Err(Error::Damaged {
                what: format!("object {id} is of a kind that this version does not know"),
            });
        }
        Kind::None => Node::Null,
        Kind::Str => Node::Text(text()?),
        Kind::Int | Kind::Float | Kind::Bool | Kind::Json => {
            let node = parse::parse(&text()?).ok().filter(|node| node.kind() == kind);
            node.ok_or_else(|| Error::Damaged {
                what: format!("the content of object {id} cannot be read as {kind}"),
            })?
        }
    };
    deserialize::value_of(node).map_err(|error| wrong_type(error.to_string()))
}

/// Reads a `T` from JSON text, whichever features of serde_json are on.
///
/// # Errors
/// What is wrong, as part of a sentence.
pub(crate) fn read_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    deserialize::value_of(parse::parse(text)?).map_err(|error| error.to_string())
}
