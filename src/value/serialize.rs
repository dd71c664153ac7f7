//! From what serde says of a value to JSON: exactly, or not at all.
//!
//! A value is walked once. What JSON has no exact form for is refused: floats that are not
//! finite, integers beyond 64 bits, `Some` of what is written as `null` (it reads back as
//! `None`), maps in which two keys are spelled alike, and values so deep that reading them
//! could run out of stack.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::ser::{self, Impossible, Serialize, Serializer};

use super::json::{MAX_DEPTH, Node};
use super::{float, parse};

/// Calls within each other that add nothing to the JSON, `Some` and newtypes, at most.
const MAX_WRAPPERS: u32 = 1000;

/// The JSON of a value. O(value).
pub(super) fn node_of<T: Serialize + ?Sized>(value: &T) -> Result<Node, Refused> {
    value.serialize(Writer { depth: 0, wrappers: 0 })
}

/// Why a value was refused.
#[derive(Debug)]
pub(super) struct Refused(String);

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Written<T = Node> = Result<T, Refused>;

#[derive(Clone, Copy)]
struct Writer {
    depth: u32,
    wrappers: u32,
}

impl Writer {
    /// For what is within a list or a map.
    fn deeper(self) -> Written<Self> {
        if self.depth == MAX_DEPTH {
            let why = format!("it has more than {MAX_DEPTH} lists and maps within each other");
            return Err(Refused(why));
        }
        let depth = self.depth + 1;
        Ok(Self { depth, ..self })
    }

    /// For what is within a `Some` or a newtype.
    fn wrapped(self) -> Written<Self> {
        if self.wrappers == MAX_WRAPPERS {
            let why = format!("it has more than {MAX_WRAPPERS} options and newtypes within each other");
            return Err(Refused(why));
        }
        let wrappers = self.wrappers + 1;
        Ok(Self { wrappers, ..self })
    }

    fn list(self, variant: Option<&'static str>, length: Option<usize>) -> Written<List> {
        let outer = if variant.is_some() { self.deeper()? } else { self };
        Ok(List {
            writer: outer.deeper()?,
            variant,
            // A length is a hint, and may lie.
            items: Vec::with_capacity(length.unwrap_or(0).min(1024)),
        })
    }

    fn map(self, variant: Option<&'static str>) -> Written<Map> {
        let outer = if variant.is_some() { self.deeper()? } else { self };
        Ok(Map {
            writer: outer.deeper()?,
            variant,
            entries: BTreeMap::new(),
            key: None,
            spelling: None,
        })
    }
}

fn integer(number: i128) -> Written {
    let beyond = || Refused(format!("it holds the integer {number}, which goes beyond 64 bits"));
    Node::integer(number).ok_or_else(beyond)
}

/// `{"variant": node}`, for variants of enums that hold something.
fn tagged(variant: Option<&'static str>, node: Node) -> Node {
    match variant {
        Some(variant) => Node::Map(BTreeMap::from([(variant.to_owned(), node)])),
        None => node,
    }
}

/// Numbers of up to 64 bits.
macro_rules! integers {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, number: $type) -> Written { integer(number.into()) })*
    };
}

impl Serializer for Writer {
    type Ok = Node;
    type Error = Refused;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Map;
    type SerializeStruct = Struct;
    type SerializeStructVariant = Map;

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
        let why = format!("it holds the float {number}, which has no exact text in JSON");
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
                "it holds a Some of what is written as null, such as Some(None) or Some(()), which would read back as None"
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

    fn serialize_seq(self, length: Option<usize>) -> Written<List> {
        self.list(None, length)
    }

    fn serialize_tuple(self, length: usize) -> Written<List> {
        self.list(None, Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Written<List> {
        self.list(None, Some(length))
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, length: usize) -> Written<List> {
        self.list(Some(variant), Some(length))
    }

    fn serialize_map(self, _: Option<usize>) -> Written<Map> {
        self.map(None)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Written<Struct> {
        match name {
            NUMBER | RAW => Ok(Struct::Private(None)),
            _ => self.map(None).map(Struct::Map),
        }
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Written<Map> {
        self.map(Some(variant))
    }
}

/// A list whose items come one by one.
struct List {
    writer: Writer,
    variant: Option<&'static str>,
    items: Vec<Node>,
}

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Written<()> {
        self.items.push(item.serialize(self.writer)?);
        Ok(())
    }

    fn finish(self) -> Node {
        tagged(self.variant, Node::List(self.items))
    }
}

macro_rules! lists {
    ($($trait:ident::$method:ident),* $(,)?) => {
        $(impl ser::$trait for List {
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

/// A map, or the fields of a struct, whose entries come one by one.
struct Map {
    writer: Writer,
    variant: Option<&'static str>,
    entries: BTreeMap<String, Node>,
    key: Option<String>,
    /// How the keys so far are spelled.
    spelling: Option<Spelling>,
}

impl Map {
    fn begin(&mut self, key: Key) -> Written<String> {
        // Keys of maps that are flattened into a struct, for one: read back, they are texts.
        if self
            .spelling
            .replace(key.spelling)
            .is_some_and(|before| before != key.spelling)
        {
            return Err(Refused(format!(
                "a map in it has keys of several kinds, of which {:?} is one; JSON would make them texts",
                key.text
            )));
        }
        if self.entries.contains_key(&key.text) {
            return Err(Refused(format!(
                "a map in it has two keys that are spelled {:?}",
                key.text
            )));
        }
        Ok(key.text)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        let key = self.begin(Key::text(name.to_owned()))?;
        self.entries.insert(key, value.serialize(self.writer)?);
        Ok(())
    }

    fn finish(self) -> Node {
        tagged(self.variant, Node::Map(self.entries))
    }
}

impl ser::SerializeMap for Map {
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

impl ser::SerializeStructVariant for Map {
    type Ok = Node;
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        self.field(name, value)
    }

    fn end(self) -> Written {
        Ok(self.finish())
    }
}

/// What serde_json calls its own numbers where its feature `arbitrary_precision` is on, and
/// JSON text that it has not read: a struct with one field, the text.
const NUMBER: &str = "$serde_json::private::Number";
const RAW: &str = "$serde_json::private::RawValue";

enum Struct {
    Map(Map),
    Private(Option<Node>),
}

impl ser::SerializeStruct for Struct {
    type Ok = Node;
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        match self {
            Self::Map(map) => map.field(name, value),
            Self::Private(node) => {
                let Node::Text(text) = node_of(value)? else {
                    return Err(Refused("it holds JSON that is not text".into()));
                };
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

/// The value of JSON text that is kept as it is spelled.
fn canonical(text: &str) -> Written {
    let node = parse::parse(text).map_err(Refused)?;
    let written = node.to_string();
    if written == text {
        return Ok(node);
    }
    Err(Refused(format!(
        "it holds JSON that is spelled {text:.60} and would read back as {written:.60}"
    )))
}

/// A key as it is written, and what it was.
struct Key {
    text: String,
    spelling: Spelling,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Text,
    Integer,
    Float,
    Bool,
}

impl Key {
    fn text(text: String) -> Self {
        let spelling = Spelling::Text;
        Self { text, spelling }
    }
}

/// Writes keys: texts, and what has one text.
struct KeyWriter;

fn no_key<T>(what: &str) -> Written<T> {
    Err(Refused(format!(
        "a map in it has {what} for a key; keys are texts, numbers or bools"
    )))
}

fn float_key<F: Copy + Into<f64>>(number: F, text: fn(F) -> String) -> Written<Key> {
    if !number.into().is_finite() {
        return no_key("a float that is not finite");
    }
    let (text, spelling) = (text(number), Spelling::Float);
    Ok(Key { text, spelling })
}

macro_rules! integer_keys {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, number: $type) -> Written<Key> {
            Ok(Key { text: number.to_string(), spelling: Spelling::Integer })
        })*
    };
}

impl Serializer for KeyWriter {
    type Ok = Key;
    type Error = Refused;
    type SerializeSeq = Impossible<Key, Refused>;
    type SerializeTuple = Impossible<Key, Refused>;
    type SerializeTupleStruct = Impossible<Key, Refused>;
    type SerializeTupleVariant = Impossible<Key, Refused>;
    type SerializeMap = Impossible<Key, Refused>;
    type SerializeStruct = Impossible<Key, Refused>;
    type SerializeStructVariant = Impossible<Key, Refused>;

    integer_keys! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
    }

    fn serialize_bool(self, truth: bool) -> Written<Key> {
        let (text, spelling) = (truth.to_string(), Spelling::Bool);
        Ok(Key { text, spelling })
    }

    fn serialize_f32(self, number: f32) -> Written<Key> {
        float_key(number, float::text_32)
    }

    fn serialize_f64(self, number: f64) -> Written<Key> {
        float_key(number, float::text)
    }

    fn serialize_char(self, sign: char) -> Written<Key> {
        Ok(Key::text(sign.into()))
    }

    fn serialize_str(self, text: &str) -> Written<Key> {
        Ok(Key::text(text.to_owned()))
    }

    fn serialize_bytes(self, _: &[u8]) -> Written<Key> {
        no_key("bytes")
    }

    fn serialize_none(self) -> Written<Key> {
        no_key("an option")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Written<Key> {
        no_key("an option")
    }

    fn serialize_unit(self) -> Written<Key> {
        no_key("nothing")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written<Key> {
        no_key("nothing")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written<Key> {
        Ok(Key::text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written<Key> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written<Key> {
        no_key("a variant that holds something")
    }

    fn serialize_seq(self, _: Option<usize>) -> Written<Self::SerializeSeq> {
        no_key("a list")
    }

    fn serialize_tuple(self, _: usize) -> Written<Self::SerializeTuple> {
        no_key("a tuple")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Written<Self::SerializeTupleStruct> {
        no_key("a tuple")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Written<Self::SerializeTupleVariant> {
        no_key("a variant that holds something")
    }

    fn serialize_map(self, _: Option<usize>) -> Written<Self::SerializeMap> {
        no_key("a map")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Written<Self::SerializeStruct> {
        no_key("a struct")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Written<Self::SerializeStructVariant> {
        no_key("a variant that holds something")
    }
}
