//! Serialises a value to JSON, exactly or not at all.
//!
//! A value is walked once. Values without an exact JSON form are refused: non-finite
//! floats, integers beyond 64 bits, a `Some` whose content is written as `null` (it would
//! read back as `None`), maps with two keys of the same spelling, and values nested so
//! deeply that reading them could overflow the stack.

mod keys;
mod nested;
mod refused;

use serde::ser::{Serialize, Serializer};

use super::node::{MAX_DEPTH, Node};
use nested::{List, Map, Struct, is_private, tagged};
pub(super) use refused::Refused;
use refused::Written;

/// Limit on nested `Some`s and newtypes, which add a call but nothing to the JSON.
const MAX_WRAPPERS: u32 = 1000;

/// Serialises a value to JSON. O(value).
pub(super) fn node_of<T: Serialize + ?Sized>(value: &T) -> Result<Node, Refused> {
    value.serialize(NodeSerializer { depth: 0, wrappers: 0 })
}

#[derive(Clone, Copy)]
struct NodeSerializer {
    depth: u32,
    wrappers: u32,
}

impl NodeSerializer {
    /// The writer for the items of a list or map.
    fn deeper(self) -> Written<Self> {
        if self.depth == MAX_DEPTH {
            let why = format!("it has more than {MAX_DEPTH} nested lists and maps");
            return Err(Refused(why));
        }
        let depth = self.depth + 1;
        Ok(Self { depth, ..self })
    }

    /// The writer for the content of a `Some` or a newtype.
    fn wrapped(self) -> Written<Self> {
        if self.wrappers == MAX_WRAPPERS {
            let why = format!("it has more than {MAX_WRAPPERS} nested options and newtypes");
            return Err(Refused(why));
        }
        let wrappers = self.wrappers + 1;
        Ok(Self { wrappers, ..self })
    }

    fn list(self, variant: Option<&'static str>, length: Option<usize>) -> Written<List<Self>> {
        let outer = if variant.is_some() { self.deeper()? } else { self };
        Ok(List {
            writer: outer.deeper()?,
            variant,
            // The length is only a hint and may be wrong.
            items: Vec::with_capacity(length.unwrap_or(0).min(1024)),
        })
    }

    fn map(self, variant: Option<&'static str>) -> Written<Map<Self>> {
        let outer = if variant.is_some() { self.deeper()? } else { self };
        Ok(Map::new(outer.deeper()?, variant))
    }
}

fn integer(number: i128) -> Written {
    let beyond = || Refused(format!("it holds the integer {number}, which does not fit 64 bits"));
    Node::integer(number).ok_or_else(beyond)
}

macro_rules! integers {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, number: $type) -> Written { integer(number.into()) })*
    };
}

impl Serializer for NodeSerializer {
    type Ok = Node;
    type Error = Refused;
    type SerializeSeq = List<Self>;
    type SerializeTuple = List<Self>;
    type SerializeTupleStruct = List<Self>;
    type SerializeTupleVariant = List<Self>;
    type SerializeMap = Map<Self>;
    type SerializeStruct = Struct<Self>;
    type SerializeStructVariant = Map<Self>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
    }

    fn serialize_u128(self, number: u128) -> Written {
        integer(i128::try_from(number).unwrap_or(i128::MAX))
    }

    fn serialize_bool(self, truth: bool) -> Written {
        Ok(Node::Bool(truth))
    }

    fn serialize_f32(self, number: f32) -> Written {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Written {
        if number.is_finite() {
            return Ok(Node::Float(number));
        }
        let why = format!("it holds the float {number}, which JSON cannot express");
        Err(Refused(why))
    }

    fn serialize_char(self, sign: char) -> Written {
        Ok(Node::Text(sign.into()))
    }

    fn serialize_str(self, text: &str) -> Written {
        Ok(Node::Text(text.to_owned()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Written {
        let list = self.list(None, None)?;
        let items = bytes.iter().map(|&byte| Node::Unsigned(byte.into())).collect();
        Ok(List { items, ..list }.finish())
    }

    fn serialize_none(self) -> Written {
        Ok(Node::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        match value.serialize(self.wrapped()?)? {
            Node::Null => Err(Refused(
                "it holds a Some whose content is written as null, such as Some(None) or Some(()), and would read back as None"
                    .into(),
            )),
            node => Ok(node),
        }
    }

    fn serialize_unit(self) -> Written {
        Ok(Node::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        Ok(Node::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        Ok(Node::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self.wrapped()?)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        let node = value.serialize(self.deeper()?)?;
        Ok(tagged(Some(variant), node))
    }

    fn serialize_seq(self, length: Option<usize>) -> Written<List<Self>> {
        self.list(None, length)
    }

    fn serialize_tuple(self, length: usize) -> Written<List<Self>> {
        self.list(None, Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Written<List<Self>> {
        self.list(None, Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Written<List<Self>> {
        self.list(Some(variant), Some(length))
    }

    fn serialize_map(self, _: Option<usize>) -> Written<Map<Self>> {
        self.map(None)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Written<Struct<Self>> {
        if is_private(name) {
            return Ok(Struct::Private(None));
        }
        self.map(None).map(Struct::Map)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Written<Map<Self>> {
        self.map(Some(variant))
    }
}
