//! Deserialises a value from JSON.

use std::fmt::{self, Display};
use std::vec;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::node::Node;

/// Reads a `T` from JSON. O(JSON).
pub(super) fn value_of<T: DeserializeOwned>(node: Node) -> Result<T, Unfit> {
    T::deserialize(node)
}

/// Why the JSON does not fit the type.
#[derive(Debug)]
pub(crate) struct Unfit(String);

impl Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

impl de::Error for Unfit {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl Node {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Null => Unexpected::Unit,
            Self::Bool(truth) => Unexpected::Bool(*truth),
            Self::Negative(number) => Unexpected::Signed(*number),
            Self::Unsigned(number) => Unexpected::Unsigned(*number),
            Self::Float(number) => Unexpected::Float(*number),
            Self::Text(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
            Self::Map(_) => Unexpected::Map,
        }
    }

    fn unfit<T>(&self, expected: &dyn Expected) -> Result<T, Unfit> {
        Err(de::Error::invalid_type(self.unexpected(), expected))
    }
}

fn visit_list<'de, V: Visitor<'de>>(items: Vec<Node>, visitor: V) -> Result<V::Value, Unfit> {
    let length = items.len();
    let mut items = Items(items.into_iter());
    let value = visitor.visit_seq(&mut items)?;
    match items.0.len() {
        0 => Ok(value),
        _ => Err(de::Error::invalid_length(length, &"fewer items in the list")),
    }
}

fn visit_map<'de, V: Visitor<'de>>(node: Node, visitor: V) -> Result<V::Value, Unfit> {
    let Node::Map(entries) = node else {
        return node.unfit(&visitor);
    };
    visit_entries(entries.into_iter().collect(), visitor)
}

fn visit_entries<'de, V: Visitor<'de>>(entries: Vec<(String, Node)>, visitor: V) -> Result<V::Value, Unfit> {
    let length = entries.len();
    let mut entries = MapEntries {
        entries: entries.into_iter(),
        value: None,
    };
    let value = visitor.visit_map(&mut entries)?;
    match entries.entries.len() {
        0 => Ok(value),
        _ => Err(de::Error::invalid_length(length, &"fewer entries in the map")),
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(truth) => visitor.visit_bool(truth),
            Self::Negative(number) => visitor.visit_i64(number),
            Self::Unsigned(number) => visitor.visit_u64(number),
            Self::Float(number) => visitor.visit_f64(number),
            Self::Text(text) => visitor.visit_string(text),
            Self::List(items) => visit_list(items, visitor),
            map @ Self::Map(_) => visit_map(map, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self {
            Self::Null => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Unfit> {
        if name == RAW {
            return visitor.visit_map(de::value::MapDeserializer::new([(RAW, self.to_string())].into_iter()));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match self {
            Self::Text(variant) => visitor.visit_enum(Variant { variant, value: None }),
            Self::Map(mut entries) => match (entries.pop_first(), entries.is_empty()) {
                (Some((variant, value)), true) => visitor.visit_enum(Variant {
                    variant,
                    value: Some(value),
                }),
                _ => Err(de::Error::invalid_value(
                    Unexpected::Map,
                    &"a map with one key, the variant",
                )),
            },
            other => other.unfit(&"a text or a map with one key, the variant"),
        }
    }

    /// Passes entries in the order of the fields. An adjacently tagged enum needs its tag
    /// first; content that arrives before the tag is buffered and loses its exact type.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        let Self::Map(mut entries) = self else {
            return self.deserialize_any(visitor);
        };
        let mut ordered: Vec<_> = fields.iter().filter_map(|&field| entries.remove_entry(field)).collect();
        ordered.extend(entries);
        visit_entries(ordered, visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map
    }
}

/// The name by which serde_json asks for unparsed JSON text.
const RAW: &str = "$serde_json::private::RawValue";

struct Items(vec::IntoIter<Node>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Unfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unfit> {
        self.0.next().map(|item| seed.deserialize(item)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct MapEntries {
    entries: vec::IntoIter<(String, Node)>,
    value: Option<Node>,
}

impl<'de> MapAccess<'de> for MapEntries {
    type Error = Unfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unfit> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(KeyDeserializer(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unfit> {
        let value = self.value.take();
        seed.deserialize(value.ok_or_else(|| Unfit("a value was asked for before its key".into()))?)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

struct Variant {
    variant: String,
    value: Option<Node>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Unfit;
    type Variant = VariantContent;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, VariantContent), Unfit> {
        let variant = seed.deserialize(self.variant.into_deserializer())?;
        Ok((variant, VariantContent(self.value)))
    }
}

/// The content of an enum variant, if it has any.
struct VariantContent(Option<Node>);

impl VariantContent {
    fn some(self, expected: &dyn Expected) -> Result<Node, Unfit> {
        self.0
            .ok_or_else(|| de::Error::invalid_type(Unexpected::UnitVariant, expected))
    }
}

impl<'de> VariantAccess<'de> for VariantContent {
    type Error = Unfit;

    fn unit_variant(self) -> Result<(), Unfit> {
        match self.0 {
            None | Some(Node::Null) => Ok(()),
            Some(other) => other.unfit(&"unit variant"),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unfit> {
        seed.deserialize(self.some(&"newtype variant")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        match self.some(&"tuple variant")? {
            Node::List(items) => visit_list(items, visitor),
            other => other.unfit(&"tuple variant"),
        }
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Unfit> {
        visit_map(self.some(&"struct variant")?, visitor)
    }
}

/// A key: text in JSON, possibly a number or a bool in Rust.
struct KeyDeserializer(String);

macro_rules! parsed_keys {
    ($($method:ident => $visit:ident),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            match self.0.parse() {
                Ok(key) => visitor.$visit(key),
                // Lets the visitor report what it expected.
                Err(_) => visitor.visit_string(self.0),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for KeyDeserializer {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_string(self.0)
    }

    parsed_keys! {
        deserialize_bool => visit_bool,
        deserialize_i8 => visit_i8, deserialize_i16 => visit_i16, deserialize_i32 => visit_i32,
        deserialize_i64 => visit_i64, deserialize_i128 => visit_i128,
        deserialize_u8 => visit_u8, deserialize_u16 => visit_u16, deserialize_u32 => visit_u32,
        deserialize_u64 => visit_u64, deserialize_u128 => visit_u128,
        deserialize_f32 => visit_f32, deserialize_f64 => visit_f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.0.into_deserializer().deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
