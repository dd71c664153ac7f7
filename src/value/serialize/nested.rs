//! Lists, maps and structs, whose items serde passes one at a time.

use std::collections::BTreeMap;

use serde::ser::{self, Serialize, Serializer};

use super::keys::{KeySerializer, KeyWriter, Spelling};
use super::refused::{Refused, Written};
use crate::value::node::Node;
use crate::value::parse;

/// Writes the items: the writer of their list, map or struct, one level deeper.
pub(super) trait ItemWriter: Serializer<Ok = Node, Error = Refused> + Copy {}
impl<W: Serializer<Ok = Node, Error = Refused> + Copy> ItemWriter for W {}

pub(super) struct List<W> {
    pub writer: W,
    pub variant: Option<&'static str>,
    pub items: Vec<Node>,
}

impl<W: ItemWriter> List<W> {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Written<()> {
        self.items.push(item.serialize(self.writer)?);
        Ok(())
    }

    pub fn finish(self) -> Node {
        tagged(self.variant, Node::List(self.items))
    }
}

macro_rules! lists {
    ($($trait:ident::$method:ident),* $(,)?) => {
        $(impl<W: ItemWriter> ser::$trait for List<W> {
            type Ok = Node;
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Written<()> {
                self.push(item)
            }

            fn end(self) -> Written {
                Ok(self.finish())
            }
        })*
    };
}

lists! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

/// A map, or the fields of a struct.
pub(super) struct Map<W> {
    writer: W,
    variant: Option<&'static str>,
    entries: BTreeMap<String, Node>,
    key: Option<String>,
    /// The spelling of the keys so far.
    spelling: Option<Spelling>,
}

impl<W: ItemWriter> Map<W> {
    pub fn new(writer: W, variant: Option<&'static str>) -> Self {
        Self {
            writer,
            variant,
            entries: BTreeMap::new(),
            key: None,
            spelling: None,
        }
    }

    fn begin(&mut self, key: KeySerializer) -> Written<String> {
        // Happens, for example, when a map is flattened into a struct. All keys would read back as text.
        if self
            .spelling
            .replace(key.spelling)
            .is_some_and(|before| before != key.spelling)
        {
            return Err(Refused(format!(
                "a map in it has keys of several kinds, {:?} among them; in JSON they would all become text",
                key.text
            )));
        }
        if self.entries.contains_key(&key.text) {
            return Err(Refused(format!("a map in it has two keys spelled {:?}", key.text)));
        }
        Ok(key.text)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        let key = self.begin(KeySerializer::text(name.to_owned()))?;
        self.entries.insert(key, value.serialize(self.writer)?);
        Ok(())
    }

    fn finish(self) -> Node {
        tagged(self.variant, Node::Map(self.entries))
    }
}

impl<W: ItemWriter> ser::SerializeMap for Map<W> {
    type Ok = Node;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written<()> {
        let key = self.begin(key.serialize(KeyWriter)?)?;
        self.key = Some(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        let key = self.key.take();
        let key = key.ok_or_else(|| Refused("a map in it gives a value before its key".into()))?;
        self.entries.insert(key, value.serialize(self.writer)?);
        Ok(())
    }

    fn end(self) -> Written {
        Ok(self.finish())
    }
}

impl<W: ItemWriter> ser::SerializeStructVariant for Map<W> {
    type Ok = Node;
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        self.field(name, value)
    }

    fn end(self) -> Written {
        Ok(self.finish())
    }
}

/// The struct names by which serde_json passes its own numbers (with its feature
/// `arbitrary_precision`) and unparsed JSON text. Both have one field, the text.
const NUMBER: &str = "$serde_json::private::Number";
const RAW: &str = "$serde_json::private::RawValue";

pub(super) enum Struct<W> {
    Map(Map<W>),
    /// One of serde_json's own structs, and the value of its text.
    Private(Option<Node>),
}

pub(super) fn is_private(name: &str) -> bool {
    matches!(name, NUMBER | RAW)
}

impl<W: ItemWriter> ser::SerializeStruct for Struct<W> {
    type Ok = Node;
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        match self {
            Self::Map(map) => map.field(name, value),
            Self::Private(node) => {
                let KeySerializer { text, spelling } = value.serialize(KeyWriter)?;
                if spelling != Spelling::Text {
                    return Err(Refused("it holds JSON that is not text".into()));
                }
                *node = Some(canonical(&text)?);
                Ok(())
            }
        }
    }

    fn end(self) -> Written {
        match self {
            Self::Map(map) => Ok(map.finish()),
            Self::Private(node) => node.ok_or_else(|| Refused("it holds JSON without a text".into())),
        }
    }
}

/// `{"variant": node}`, for enum variants with content.
pub(super) fn tagged(variant: Option<&'static str>, node: Node) -> Node {
    match variant {
        Some(variant) => Node::Map(BTreeMap::from([(variant.to_owned(), node)])),
        None => node,
    }
}

/// The value of unparsed JSON text, if it is spelled canonically.
fn canonical(text: &str) -> Written {
    let node = parse::parse(text).map_err(Refused)?;
    let written = node.to_string();
    if written == text {
        return Ok(node);
    }
    Err(Refused(format!(
        "it holds JSON spelled {text:.60}, which would read back as {written:.60}"
    )))
}
