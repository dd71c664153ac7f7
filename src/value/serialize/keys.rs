//! Keys of maps: JSON writes all of them as text.

use serde::ser::{Impossible, Serialize, Serializer};

use super::refused::{Refused, Written};
use crate::value::float;

/// A key as written, and what it was before.
pub(super) struct KeySerializer {
    pub text: String,
    pub spelling: Spelling,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Text,
    Integer,
    Float,
    Bool,
}

impl KeySerializer {
    pub fn text(text: String) -> Self {
        let spelling = Spelling::Text;
        Self { text, spelling }
    }
}

/// Writes keys that have exactly one text: strings, numbers and bools.
pub(super) struct KeyWriter;

fn no_key<T>(what: &str) -> Written<T> {
    Err(Refused(format!(
        "a map in it has {what} as a key; keys are strings, numbers or bools"
    )))
}

fn float_key<F: Copy + Into<f64>>(number: F, text: fn(F) -> String) -> Written<KeySerializer> {
    if !number.into().is_finite() {
        return no_key("a float that is not finite");
    }
    let (text, spelling) = (text(number), Spelling::Float);
    Ok(KeySerializer { text, spelling })
}

macro_rules! integer_keys {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, number: $type) -> Written<KeySerializer> {
            Ok(KeySerializer { text: number.to_string(), spelling: Spelling::Integer })
        })*
    };
}

impl Serializer for KeyWriter {
    type Ok = KeySerializer;
    type Error = Refused;
    type SerializeSeq = Impossible<KeySerializer, Refused>;
    type SerializeTuple = Impossible<KeySerializer, Refused>;
    type SerializeTupleStruct = Impossible<KeySerializer, Refused>;
    type SerializeTupleVariant = Impossible<KeySerializer, Refused>;
    type SerializeMap = Impossible<KeySerializer, Refused>;
    type SerializeStruct = Impossible<KeySerializer, Refused>;
    type SerializeStructVariant = Impossible<KeySerializer, Refused>;

    integer_keys! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
    }

    fn serialize_bool(self, truth: bool) -> Written<KeySerializer> {
        let (text, spelling) = (truth.to_string(), Spelling::Bool);
        Ok(KeySerializer { text, spelling })
    }

    fn serialize_f32(self, number: f32) -> Written<KeySerializer> {
        float_key(number, float::text_32)
    }

    fn serialize_f64(self, number: f64) -> Written<KeySerializer> {
        float_key(number, float::text)
    }

    fn serialize_char(self, sign: char) -> Written<KeySerializer> {
        Ok(KeySerializer::text(sign.into()))
    }

    fn serialize_str(self, text: &str) -> Written<KeySerializer> {
        Ok(KeySerializer::text(text.to_owned()))
    }

    fn serialize_bytes(self, _: &[u8]) -> Written<KeySerializer> {
        no_key("bytes")
    }

    fn serialize_none(self) -> Written<KeySerializer> {
        no_key("an option")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Written<KeySerializer> {
        no_key("an option")
    }

    fn serialize_unit(self) -> Written<KeySerializer> {
        no_key("nothing")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written<KeySerializer> {
        no_key("nothing")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written<KeySerializer> {
        Ok(KeySerializer::text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written<KeySerializer> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written<KeySerializer> {
        no_key("a variant with content")
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
        no_key("a variant with content")
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
        no_key("a variant with content")
    }
}
