//! Values read back exactly, under an id that depends on the content alone, or are refused.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use crate::common::{Heap, assert_balanced, dump};
use heapledger::{Error, Hold, Json, Kind, ObjectId};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Person {
    name: String,
    born: i16,
    pets: Vec<Pet>,
    remarks: Option<HashMap<String, f64>>,
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
enum Pet {
    None,
    Cat(String),
    Dog { name: String, tricks: u8 },
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Metres(f64);

fn round_trip<T: Serialize + DeserializeOwned + Debug + PartialEq>(heap: &Heap, kind: Kind, value: T) {
    let id = heap.allocate(&value).unwrap();
    assert_eq!(heap.object(&id).unwrap().kind, kind, "{value:?}");
    assert_eq!(heap.get::<T>(&id).unwrap(), value);
    assert_eq!(ObjectId::of(&value).unwrap(), id, "{value:?}");
}

#[test]
fn whole_numbers_come_back_to_the_last_digit() {
    let heap = Heap::new();
    for number in [i64::MIN, i64::MIN + 1, -1, 0, 1, (1 << 53) + 1, i64::MAX] {
        round_trip(&heap, Kind::Int, number);
    }
    for number in [i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX] {
        round_trip(&heap, Kind::Int, number);
    }
    round_trip(&heap, Kind::Int, i128::from(i64::MIN));
    round_trip(&heap, Kind::Int, u8::MAX);
    assert_balanced(&heap);
}

#[test]
fn a_number_beyond_64_bits_is_refused() {
    let heap = Heap::new();
    for number in [i128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1, i128::MAX] {
        assert!(
            matches!(heap.allocate(&number), Err(Error::NotStorable { .. })),
            "{number}"
        );
    }
    assert_eq!(heap.memram().unwrap().allocations, 0);
}

#[test]
fn floats_come_back_bit_by_bit() {
    let heap = Heap::new();
    let edges = [
        0.0,
        -0.0,
        0.1,
        1.0,
        1e16,
        1e300,
        f64::MIN_POSITIVE,
        5e-324,
        -2.225_073_858_507_201e-308,
        f64::MAX,
        f64::MIN,
        f64::EPSILON,
    ];
    for float in edges {
        let id = heap.allocate(&float).unwrap();
        assert_eq!(heap.get::<f64>(&id).unwrap().to_bits(), float.to_bits(), "{float:e}");
        assert_eq!(heap.object(&id).unwrap().kind, Kind::Float);
    }
    for float in [0.1f32, -0.0, f32::MAX, f32::MIN_POSITIVE, 1e-45] {
        let id = heap.allocate(&float).unwrap();
        assert_eq!(heap.get::<f32>(&id).unwrap().to_bits(), float.to_bits(), "{float:e}");
    }
}

#[test]
fn a_float_without_exact_text_is_refused_at_any_depth() {
    let heap = Heap::new();
    let before = dump(&heap.sql());
    let refused = |result: Result<ObjectId, Error>| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::NotStorable { .. }), "{error}");
    };
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(heap.allocate(&float));
        refused(heap.allocate(&(float as f32)));
        refused(heap.allocate(&Some(float)));
        refused(heap.allocate(&vec![1.0, float]));
        refused(heap.allocate(&(1, "a", float)));
        refused(heap.allocate(&Metres(float)));
        refused(heap.allocate(&BTreeMap::from([("a", BTreeMap::from([("b", vec![float])]))])));
        refused(ObjectId::of(&float));
    }
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn text_comes_back_as_it_was() {
    let heap = Heap::new();
    let long = "żółw ".repeat(10_000);
    for text in [
        "",
        " ",
        "hello",
        "\0",
        "a\0b",
        "\"quoted\" \\ \n\r\t",
        "日本語",
        "🦀",
        "e\u{301}",
        "é",
        &long,
    ] {
        round_trip(&heap, Kind::Str, text.to_owned());
    }
    round_trip(&heap, Kind::Str, 'ß');
    assert_balanced(&heap);
}

#[test]
fn bools_and_none_come_back() {
    let heap = Heap::new();
    round_trip(&heap, Kind::Bool, true);
    round_trip(&heap, Kind::Bool, false);
    round_trip(&heap, Kind::None, ());
    round_trip(&heap, Kind::None, None::<String>);
    round_trip(&heap, Kind::Str, Some("some".to_owned()));
    round_trip(&heap, Kind::Int, Some(1));
    assert_balanced(&heap);
}

#[test]
fn lists_maps_and_custom_types_come_back() {
    let heap = Heap::new();
    round_trip(&heap, Kind::Json, Vec::<u8>::new());
    round_trip(&heap, Kind::Json, vec![1u8, 2, 3]);
    round_trip(&heap, Kind::Json, (1, "two".to_owned(), 3.0, [None, Some(true)]));
    round_trip(&heap, Kind::Json, HashMap::from([(1, 'a'), (-2, 'b')]));
    round_trip(
        &heap,
        Kind::Json,
        BTreeMap::from([("a".to_owned(), BTreeMap::from([("b".to_owned(), vec![u64::MAX])]))]),
    );
    round_trip(
        &heap,
        Kind::Json,
        Person {
            name: "Ada".into(),
            born: 1815,
            pets: vec![
                Pet::None,
                Pet::Cat("Puff".into()),
                Pet::Dog {
                    name: "".into(),
                    tricks: 3,
                },
            ],
            remarks: Some(HashMap::from([("zest".into(), -0.0), ("awe".into(), 1e-320)])),
        },
    );
    round_trip(&heap, Kind::Str, Pet::None);
    round_trip(&heap, Kind::Json, Pet::Cat("Tom".into()));
    round_trip(&heap, Kind::Float, Metres(1.5));
    assert_balanced(&heap);
}

#[test]
fn json_is_canonical_so_that_equal_maps_are_one_object() {
    let heap = Heap::new();
    let person = Person {
        name: "Ada".into(),
        born: 1815,
        pets: vec![Pet::Dog {
            name: "Rex".into(),
            tricks: 0,
        }],
        remarks: None,
    };
    let id = heap.allocate(&person).unwrap();
    let canonical = r#"{"born":1815,"name":"Ada","pets":[{"Dog":{"name":"Rex","tricks":0}}],"remarks":null}"#;
    assert_eq!(heap.get_bytes(&id).unwrap(), canonical.as_bytes());

    let keys = 0..100;
    let sorted: BTreeMap<_, _> = keys.clone().map(|key| (format!("key {key}"), key)).collect();
    let shuffled: HashMap<_, _> = keys.rev().map(|key| (format!("key {key}"), key)).collect();
    assert_eq!(heap.allocate(&sorted).unwrap(), heap.allocate(&shuffled).unwrap());
}

#[test]
fn json_records_the_type_that_was_stored() {
    let heap = Heap::new();
    let id = heap.allocate(&Pet::Cat("Tom".into())).unwrap();
    let type_name = heap.object(&id).unwrap().type_name.unwrap();
    assert!(type_name.ends_with("Pet"), "{type_name}");
    let text = heap.allocate("text").unwrap();
    assert_eq!(heap.object(&text).unwrap().type_name, None);
}

#[test]
fn bytes_come_back_and_empty_values_need_no_piece() {
    let heap = Heap::new();
    for bytes in [&b""[..], b"\0", b"raw \xff\xfe", &[0xaa; 70_000]] {
        let stored = heap.store_bytes(bytes, Hold::Anonymous).unwrap();
        assert_eq!(heap.get_bytes(&stored.id).unwrap(), bytes);
        assert_eq!(heap.object(&stored.id).unwrap().kind, Kind::Bytes);
        assert_eq!(stored.pieces == 0, bytes.is_empty());
    }
    let empty_text = heap.store("", Hold::Anonymous).unwrap();
    let nothing = heap.store(&(), Hold::Anonymous).unwrap();
    assert_eq!((empty_text.pieces, nothing.pieces), (0, 0));
    assert_ne!(empty_text.id, nothing.id);
    assert_balanced(&heap);
}

#[test]
fn the_id_of_bytes_is_their_sha256_and_of_others_that_of_kind_and_content() {
    let heap = Heap::new();
    let digest = |bytes: &[u8]| -> String { Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect() };
    assert_eq!(heap.allocate_bytes(b"hello").unwrap().to_hex(), digest(b"hello"));
    assert_eq!(heap.allocate_bytes(b"").unwrap().to_hex(), digest(b""));
    assert_eq!(heap.allocate("hello").unwrap().to_hex(), digest(b"str\0hello"));
    assert_eq!(heap.allocate(&-7).unwrap().to_hex(), digest(b"int\0-7"));
    assert_eq!(heap.allocate(&0.5).unwrap().to_hex(), digest(b"float\x000.5"));
    assert_eq!(heap.allocate(&true).unwrap().to_hex(), digest(b"bool\0true"));
    assert_eq!(heap.allocate(&()).unwrap().to_hex(), digest(b"none\0"));
    assert_eq!(heap.allocate(&[1, 2]).unwrap().to_hex(), digest(b"json\0[1,2]"));
}

#[test]
fn reading_as_another_type_names_both() {
    let heap = Heap::new();
    let text = heap.allocate("twelve").unwrap();
    let error = heap.get::<i64>(&text).unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error}");
    assert!(error.to_string().contains("stored as str"), "{error}");
    assert!(error.to_string().contains("i64"), "{error}");

    let pet = heap.allocate(&Pet::Cat("Tom".into())).unwrap();
    let error = heap.get::<Person>(&pet).unwrap_err().to_string();
    assert!(error.contains("Pet") && error.contains("Person"), "{error}");

    let bytes = heap.allocate_bytes(b"12").unwrap();
    assert!(matches!(heap.get::<i64>(&bytes), Err(Error::WrongType { .. })));
    let large = heap.allocate(&300).unwrap();
    assert!(matches!(heap.get::<u8>(&large), Err(Error::WrongType { .. })));
    assert_eq!(heap.get::<i64>(&large).unwrap(), 300);
}

#[test]
fn an_id_taken_by_another_kind_is_refused_in_both_directions() {
    for bytes_first in [true, false] {
        let heap = Heap::new();
        let spelled = b"str\0hello";
        if bytes_first {
            heap.allocate_bytes(spelled).unwrap();
        } else {
            heap.allocate("hello").unwrap();
        }
        let before = dump(&heap.sql());
        let error = if bytes_first {
            heap.allocate("hello")
        } else {
            heap.allocate_bytes(spelled)
        }
        .unwrap_err();
        assert!(matches!(error, Error::KindConflict { .. }), "{error}");
        assert!(heap.store("hello", Hold::Name("it")).is_err() == bytes_first);
        if bytes_first {
            assert_eq!(dump(&heap.sql()), before);
        }
        assert_balanced(&heap);
    }
}

#[test]
fn the_content_of_any_kind_can_be_read_as_bytes() {
    let heap = Heap::new();
    let id = heap.allocate("text").unwrap();
    assert_eq!(heap.get_bytes(&id).unwrap(), b"text");
    let id = heap.allocate(&BTreeMap::from([("b", 1), ("a", 2)])).unwrap();
    assert_eq!(heap.get_bytes(&id).unwrap(), br#"{"a":2,"b":1}"#);
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        finite().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn finite() -> impl Strategy<Value = f64> {
    any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter("finite", |float| float.is_finite())
}

proptest! {
    #![proptest_config(crate::common::cases(24))]

    #[test]
    fn any_finite_float_comes_back_bit_by_bit(floats in prop::collection::vec(finite(), 1..64)) {
        let heap = Heap::new();
        let one = heap.allocate(&floats[0]).unwrap();
        prop_assert_eq!(heap.get::<f64>(&one).unwrap().to_bits(), floats[0].to_bits());
        let many = heap.allocate(&floats).unwrap();
        let bits = |floats: &[f64]| floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&heap.get::<Vec<f64>>(&many).unwrap()), bits(&floats));
    }

    #[test]
    fn any_value_comes_back(value in tree()) {
        let heap = Heap::new();
        let id = heap.allocate(&value).unwrap();
        prop_assert_eq!(ObjectId::of(&value).unwrap(), id);
        prop_assert_eq!(heap.get::<serde_json::Value>(&id).unwrap(), value);
        assert_balanced(&heap);
    }
}

/// A float in every position that a value can have.
#[derive(Serialize)]
enum Placed {
    Newtype(f64),
    Tuple(u8, f64),
    Struct { at: u8, of: f64 },
}

#[derive(Serialize)]
struct Tuple(f64, u8);

#[derive(Serialize)]
struct Fields {
    of: f64,
}

#[test]
fn a_float_without_exact_text_is_refused_in_every_kind_of_value() {
    fn each_place(of: f64) -> [(&'static str, Result<ObjectId, Error>); 10] {
        [
            ("newtype variant", ObjectId::of(&Placed::Newtype(of))),
            ("tuple variant", ObjectId::of(&Placed::Tuple(1, of))),
            ("struct variant", ObjectId::of(&Placed::Struct { at: 1, of })),
            ("tuple struct", ObjectId::of(&Tuple(of, 1))),
            ("struct", ObjectId::of(&Fields { of })),
            ("tuple", ObjectId::of(&(1, of))),
            ("array", ObjectId::of(&[1.0, of])),
            ("list", ObjectId::of(&vec![of])),
            ("map", ObjectId::of(&BTreeMap::from([("of", of)]))),
            ("option in a list", ObjectId::of(&vec![Some(of)])),
        ]
    }
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (place, refused) in each_place(float) {
            assert!(
                matches!(refused, Err(Error::NotStorable { .. })),
                "{place}: {refused:?}"
            );
        }
    }
    for (place, stored) in each_place(1.5) {
        assert!(stored.is_ok(), "{place}: {stored:?}");
    }
}

/// A float compared by its bits.
#[derive(Serialize, Deserialize, Debug, Clone, Copy)]
#[serde(transparent)]
struct Bits(f64);

#[derive(Serialize, Deserialize, Debug, Clone, Copy)]
#[serde(transparent)]
struct Bits32(f32);

macro_rules! by_bits {
    ($($type:ident),*) => {
        $(impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.0.to_bits() == other.0.to_bits()
            }
        }

        impl Eq for $type {}

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.0.to_bits().cmp(&other.0.to_bits())
            }
        })*
    };
}

by_bits!(Bits, Bits32);

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Nothing;

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct NoFields {}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct NoItems();

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Newtype<T>(T);

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Pair(Box<Any>, Option<Box<Any>>);

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Text(String);

#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    One,
    #[serde(rename = "1")]
    Digit,
    #[serde(rename = "")]
    Empty,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    One(Box<Any>),
    Fields { any: Box<Any> },
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(tag = "tag")]
enum Tagged {
    Unit,
    Fields {
        small: i8,
        text: String,
        flag: Option<bool>,
        floats: Vec<Bits>,
    },
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Flat {
    own: i64,
    #[serde(flatten)]
    flattened: Flattened,
    #[serde(flatten)]
    rest: BTreeMap<String, i32>,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Flattened {
    small: Option<i8>,
    float: Bits,
}

/// One of every sort that serde distinguishes.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
enum Any {
    Unit,
    EmptyTuple(),
    EmptyFields {},
    Fields { first: Box<Any>, second: Option<Box<Any>> },
    Two(u8, Box<Any>),
    Bool(bool),
    I8(i8),
    I64(i64),
    I128(i128),
    U64(u64),
    U128(u128),
    F32(Bits32),
    F64(Bits),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    Nothing(Nothing),
    NoFields(NoFields),
    NoItems(NoItems),
    OptionUnit(Option<()>),
    OptionStruct(Option<Nothing>),
    OptionOption(Option<Option<Bits>>),
    OptionNewtype(Option<Newtype<Option<bool>>>),
    Boxed(Newtype<Box<Any>>),
    Pair(Pair),
    Tuple((i16, String, (), Option<char>)),
    Array([u32; 3]),
    EmptyArray([u8; 0]),
    List(Vec<Any>),
    Result(Result<u16, Nothing>),
    ByText(BTreeMap<String, Any>),
    ByNewtype(BTreeMap<Text, i8>),
    ByChar(BTreeMap<char, ()>),
    ByBool(BTreeMap<bool, u8>),
    ByI8(BTreeMap<i8, Any>),
    ByU64(BTreeMap<u64, bool>),
    ByI128(BTreeMap<i128, u8>),
    ByU128(BTreeMap<u128, u8>),
    ByF32(BTreeMap<Bits32, u8>),
    ByF64(BTreeMap<Bits, u8>),
    ByWord(BTreeMap<Word, Word>),
    ByOption(BTreeMap<Option<u8>, u8>),
    ByPair(BTreeMap<(u8, u8), u8>),
    Adjacent(Adjacent),
    Tagged(Tagged),
    Flat(Flat),
    Json(serde_json::Value),
    Own(Json),
}

fn any_float() -> impl Strategy<Value = f64> {
    let edges = [
        0.0,
        -0.0,
        5e-324,
        -1e-320,
        f64::MIN_POSITIVE,
        f64::MAX,
        0.1,
        1e16,
        123_456_789.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        prop::sample::select(edges.to_vec())
    ]
}

fn any_float_32() -> impl Strategy<Value = f32> {
    let edges = [0.1, -0.0, 1e-45, f32::MAX, 16_777_216.0, f32::NAN, f32::INFINITY];
    prop_oneof![
        any::<u32>().prop_map(f32::from_bits),
        prop::sample::select(edges.to_vec())
    ]
}

fn any_integer() -> impl Strategy<Value = i128> {
    let small = any::<i64>().prop_map(i128::from);
    let edge = (-2i128..3).prop_flat_map(|by| {
        prop::sample::select(&[0, i64::MIN as i128, i64::MAX as i128, u64::MAX as i128][..]).prop_map(move |at| at + by)
    });
    prop_oneof![3 => small, 2 => edge, 1 => any::<i128>()]
}

fn any_tagged() -> impl Strategy<Value = Tagged> {
    let fields = (
        any::<i8>(),
        any::<String>(),
        any::<Option<bool>>(),
        prop::collection::vec(any_float(), 0..3),
    );
    prop_oneof![
        Just(Tagged::Unit),
        fields.prop_map(|(small, text, flag, floats)| Tagged::Fields {
            small,
            text,
            flag,
            floats: floats.into_iter().map(Bits).collect(),
        }),
    ]
}

fn any_leaf() -> BoxedStrategy<Any> {
    use prop::collection::btree_map;
    let units = prop::sample::select(vec![
        Any::Unit,
        Any::EmptyTuple(),
        Any::EmptyFields {},
        Any::Nothing(Nothing),
        Any::NoFields(NoFields {}),
        Any::NoItems(NoItems()),
        Any::EmptyArray([]),
        Any::OptionUnit(None),
        Any::OptionUnit(Some(())),
        Any::OptionStruct(None),
        Any::OptionStruct(Some(Nothing)),
        Any::OptionOption(None),
        Any::OptionOption(Some(None)),
        Any::OptionNewtype(None),
        Any::OptionNewtype(Some(Newtype(None))),
        Any::OptionNewtype(Some(Newtype(Some(true)))),
        Any::Result(Err(Nothing)),
    ]);
    let numbers = prop_oneof![
        any::<i8>().prop_map(Any::I8),
        any::<i64>().prop_map(Any::I64),
        any::<u64>().prop_map(Any::U64),
        any_integer().prop_map(Any::I128),
        any::<u128>().prop_map(Any::U128),
        any::<u64>().prop_map(|number| Any::U128(number.into())),
        any_float().prop_map(|float| Any::F64(Bits(float))),
        any_float_32().prop_map(|float| Any::F32(Bits32(float))),
        any_float().prop_map(|float| Any::OptionOption(Some(Some(Bits(float))))),
    ];
    let texts = prop_oneof![
        any::<bool>().prop_map(Any::Bool),
        any::<char>().prop_map(Any::Char),
        any::<String>().prop_map(Any::Text),
        any::<Vec<u8>>().prop_map(Any::Bytes),
        (any::<i16>(), any::<String>(), Just(()), any::<Option<char>>()).prop_map(Any::Tuple),
        any::<[u32; 3]>().prop_map(Any::Array),
        any::<u16>().prop_map(|number| Any::Result(Ok(number))),
        any_tagged().prop_map(Any::Tagged),
        tree().prop_map(Any::Json),
        tree().prop_map(|tree| Any::Own(tree.to_string().parse().unwrap())),
        (
            any::<i64>(),
            any::<Option<i8>>(),
            any_float(),
            btree_map("[a-z]{1,6}", any::<i32>(), 0..3)
        )
            .prop_map(|(own, small, float, rest)| {
                let float = Bits(float);
                let flattened = Flattened { small, float };
                Any::Flat(Flat { own, flattened, rest })
            }),
    ];
    let word = prop::sample::select(vec![Word::One, Word::Digit, Word::Empty]);
    let maps = prop_oneof![
        btree_map(any::<String>().prop_map(Text), any::<i8>(), 0..4).prop_map(Any::ByNewtype),
        btree_map(any::<char>(), Just(()), 0..4).prop_map(Any::ByChar),
        btree_map(any::<bool>(), any::<u8>(), 0..3).prop_map(Any::ByBool),
        btree_map(any::<u64>(), any::<bool>(), 0..4).prop_map(Any::ByU64),
        btree_map(any_integer(), any::<u8>(), 0..4).prop_map(Any::ByI128),
        btree_map(any::<u128>(), any::<u8>(), 0..4).prop_map(Any::ByU128),
        btree_map(any_float_32().prop_map(Bits32), any::<u8>(), 0..3).prop_map(Any::ByF32),
        btree_map(any_float().prop_map(Bits), any::<u8>(), 0..3).prop_map(Any::ByF64),
        btree_map(word.clone(), word, 0..3).prop_map(Any::ByWord),
        btree_map(any::<Option<u8>>(), any::<u8>(), 0..2).prop_map(Any::ByOption),
        btree_map(any::<(u8, u8)>(), any::<u8>(), 0..2).prop_map(Any::ByPair),
    ];
    prop_oneof![units, numbers, texts, maps].boxed()
}

fn any_value() -> impl Strategy<Value = Any> {
    any_leaf().prop_recursive(6, 48, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let option = prop::option::of(boxed.clone());
        prop_oneof![
            (boxed.clone(), option.clone()).prop_map(|(first, second)| Any::Fields { first, second }),
            (any::<u8>(), boxed.clone()).prop_map(|(number, any)| Any::Two(number, any)),
            (boxed.clone(), option).prop_map(|(first, second)| Any::Pair(Pair(first, second))),
            boxed.clone().prop_map(|any| Any::Boxed(Newtype(any))),
            boxed.clone().prop_map(|any| Any::Adjacent(Adjacent::One(any))),
            boxed.clone().prop_map(|any| Any::Adjacent(Adjacent::Fields { any })),
            Just(Any::Adjacent(Adjacent::Unit)),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Any::List),
            prop::collection::btree_map(any::<String>(), inner.clone(), 0..4).prop_map(Any::ByText),
            prop::collection::btree_map(any::<i8>(), inner, 0..4).prop_map(Any::ByI8),
        ]
    })
}

impl Any {
    /// Whether JSON can express it exactly.
    fn is_exact(&self) -> bool {
        let integer = |number: i128| i64::try_from(number).is_ok() || u64::try_from(number).is_ok();
        let tagged = |tagged: &Tagged| match tagged {
            Tagged::Unit => true,
            Tagged::Fields { floats, .. } => floats.iter().all(|float| float.0.is_finite()),
        };
        match self {
            Self::OptionUnit(Some(())) | Self::OptionStruct(Some(_)) | Self::OptionOption(Some(None)) => false,
            Self::OptionNewtype(Some(Newtype(None))) => false,
            Self::I128(number) => integer(*number),
            Self::U128(number) => u64::try_from(*number).is_ok(),
            Self::F32(float) => float.0.is_finite(),
            Self::F64(float) | Self::OptionOption(Some(Some(float))) => float.0.is_finite(),
            Self::ByF32(map) => map.keys().all(|float| float.0.is_finite()),
            Self::ByF64(map) => map.keys().all(|float| float.0.is_finite()),
            Self::ByOption(map) => map.is_empty(),
            Self::ByPair(map) => map.is_empty(),
            Self::Tagged(value) => tagged(value),
            Self::Flat(flat) => {
                // A key that the struct itself has would appear twice.
                let own = |key: &String| ["own", "small", "float"].contains(&key.as_str());
                flat.flattened.float.0.is_finite() && !flat.rest.keys().any(own)
            }
            Self::Fields { first, second } | Self::Pair(Pair(first, second)) => {
                first.is_exact() && second.as_ref().is_none_or(|second| second.is_exact())
            }
            Self::Two(_, any) | Self::Boxed(Newtype(any)) => any.is_exact(),
            Self::Adjacent(Adjacent::One(any) | Adjacent::Fields { any }) => any.is_exact(),
            Self::List(items) => items.iter().all(Self::is_exact),
            Self::ByText(map) => map.values().all(Self::is_exact),
            Self::ByI8(map) => map.values().all(Self::is_exact),
            _ => true,
        }
    }
}

proptest! {
    #![proptest_config(crate::common::cases(48))]

    #[test]
    fn accepted_values_read_back_equal_and_the_rest_is_refused(values in prop::collection::vec(any_value(), 1..8)) {
        let heap = Heap::new();
        for value in values {
            match heap.allocate(&value) {
                Ok(id) => {
                    prop_assert_eq!(heap.get::<Any>(&id).unwrap(), value.clone());
                    prop_assert!(value.is_exact(), "{:?} was taken", value);
                    prop_assert_eq!(ObjectId::of(&value).unwrap(), id);
                }
                Err(Error::NotStorable { why, .. }) => prop_assert!(!value.is_exact(), "{}: {:?}", why, value),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
        assert_balanced(&heap);
    }
}

#[test]
fn values_that_json_cannot_distinguish_are_refused_with_the_reason() {
    let heap = Heap::new();
    let before = dump(&heap.sql());
    fn refused<T: Serialize>(heap: &Heap, value: &T, why: &str) {
        let error = heap.allocate(value).unwrap_err();
        assert!(matches!(error, Error::NotStorable { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    refused(&heap, &Some(()), "Some");
    refused(&heap, &Some(None::<i32>), "Some");
    refused(&heap, &Some(Nothing), "Some");
    refused(&heap, &vec![Some(Some(None::<bool>))], "Some");
    refused(&heap, &Some(serde_json::Value::Null), "Some");
    refused(&heap, &u128::MAX, "64 bits");
    refused(&heap, &BTreeMap::from([(Some(1), 1)]), "key");
    refused(&heap, &BTreeMap::from([((), 1)]), "key");
    refused(&heap, &BTreeMap::from([(vec![1], 1)]), "key");

    /// A key that is a number or a string.
    #[derive(Serialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[serde(untagged)]
    enum Key {
        Number(u8),
        Text(&'static str),
    }
    refused(
        &heap,
        &HashMap::from([(Key::Number(1), 'a'), (Key::Text("1"), 'b')]),
        "key",
    );
    refused(
        &heap,
        &BTreeMap::from([(Key::Number(1), 'a'), (Key::Text("a"), 'b')]),
        "key",
    );

    #[derive(Serialize)]
    struct Clash {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    let clash = |key: &str| Clash {
        a: 1,
        rest: BTreeMap::from([(key.to_owned(), 2)]),
    };
    refused(&heap, &clash("a"), "\"a\"");
    #[derive(Serialize)]
    struct Numbered {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<u8, u8>,
    }
    refused(
        &heap,
        &Numbered {
            a: 1,
            rest: BTreeMap::from([(1, 2)]),
        },
        "key",
    );
    assert_eq!(dump(&heap.sql()), before);
    heap.allocate(&clash("b")).unwrap();
    assert_balanced(&heap);
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Chain(Option<Box<Chain>>);

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Deep {
    End,
    List(Vec<Deep>),
    Newtype(Box<Deep>),
    Fields { inner: Box<Deep> },
}

type Wrap = fn(Deep) -> Deep;

#[test]
fn nesting_is_refused_before_it_becomes_unreadable_or_overflows_the_stack() {
    let heap = Heap::new();
    let nested = |depth: usize, wrap: Wrap| (0..depth).fold(Deep::End, |inner, _| wrap(inner));
    // Levels of JSON: a variant with content is a map.
    let shapes: [(usize, Wrap); 3] = [
        (2, |inner| Deep::List(vec![inner])),
        (1, |inner| Deep::Newtype(Box::new(inner))),
        (2, |inner| Deep::Fields { inner: Box::new(inner) }),
    ];
    for (levels, wrap) in shapes {
        let deepest = 127 / levels;
        round_trip(&heap, Kind::Json, nested(deepest, wrap));
        for depth in [deepest + 1, 128, 2_000] {
            let error = heap.allocate(&nested(depth, wrap)).unwrap_err();
            assert!(matches!(error, Error::NotStorable { .. }), "{depth}: {error}");
            assert!(error.to_string().contains("127"), "{error}");
        }
    }
    let lists = |depth: usize| (1..depth).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]));
    round_trip(&heap, Kind::Json, lists(127));
    assert!(matches!(heap.allocate(&lists(128)), Err(Error::NotStorable { .. })));

    // Options and newtypes add nothing to the JSON, but still use the stack.
    let chain = |depth: usize| (0..depth).fold(Chain(None), |inner, _| Chain(Some(Box::new(inner))));
    round_trip(&heap, Kind::None, chain(0));
    for depth in [1, 5_000] {
        assert!(
            matches!(heap.allocate(&chain(depth)), Err(Error::NotStorable { .. })),
            "{depth}"
        );
    }
    assert_balanced(&heap);
}

#[test]
fn a_value_is_serialised_once() {
    use std::cell::Cell;

    struct Counted(Cell<u32>);
    impl Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set(self.0.get() + 1);
            serializer.serialize_u32(self.0.get())
        }
    }
    let heap = Heap::new();
    let counted = Counted(Cell::new(0));
    let id = heap.allocate(&counted).unwrap();
    assert_eq!((counted.0.get(), heap.get::<u32>(&id).unwrap()), (1, 1));
}

/// Ids that existing heaps have. Neither a dependency's new version nor a feature that
/// another crate turns on may change them.
#[test]
fn ids_are_the_same_under_any_features_of_serde_json() {
    let heap = Heap::new();
    let content = |id: ObjectId| String::from_utf8(heap.get_bytes(&id).unwrap()).unwrap();
    for (number, text) in [
        (0.1f32, "0.10000000149011612"),
        (1e16, "1.0000000272564224e+16"),
        (-0.0, "-0.0"),
    ] {
        assert_eq!(content(heap.allocate(&number).unwrap()), text);
    }
    for (number, text) in [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.5e300, "1.5e+300"),
        (0.000_01, "0.00001"),
        (0.000_001, "1e-6"),
        (5e-324, "5e-324"),
    ] {
        assert_eq!(content(heap.allocate(&number).unwrap()), text);
    }
    let keys = BTreeMap::from([("zebra", 0.1f32), ("ant", 1e20)]);
    assert_eq!(
        content(heap.allocate(&keys).unwrap()),
        r#"{"ant":1.0000000200408773e+20,"zebra":0.10000000149011612}"#
    );
    let parsed: serde_json::Value =
        serde_json::from_str(r#"{"z":[1,-2,0.5,{"y":1,"x":null}],"a":18446744073709551615}"#).unwrap();
    let id = heap.allocate(&parsed).unwrap();
    assert_eq!(
        content(id),
        r#"{"a":18446744073709551615,"z":[1,-2,0.5,{"x":null,"y":1}]}"#
    );
    assert_eq!(heap.get::<serde_json::Value>(&id).unwrap(), parsed);
    let digest = Sha256::digest(b"float\x000.10000000149011612");
    assert_eq!(ObjectId::of(&0.1f32).unwrap().as_bytes().as_slice(), digest.as_slice());
}

#[test]
#[cfg(feature = "foreign-json-features")]
fn a_number_that_serde_json_holds_as_text_is_stored_if_its_text_is_canonical() {
    let heap = Heap::new();
    for text in ["[0.1,1.0,-7,18446744073709551615,\"1.50\"]", "5e-324", "-0.0"] {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let id = heap.allocate(&value).unwrap();
        assert_eq!(heap.get::<serde_json::Value>(&id).unwrap(), value, "{text}");
    }
    for text in [
        "[1.50]",
        "[18446744073709551616]",
        "[1e400]",
        "[1e-400]",
        "{\"a\":3.14159265358979323846}",
    ] {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        assert!(
            matches!(heap.allocate(&value), Err(Error::NotStorable { .. })),
            "{text}"
        );
    }
}

/// Unparsed JSON text, as serde_json's `RawValue` holds it.
struct Raw(&'static str);

impl Serialize for Raw {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let name = "$serde_json::private::RawValue";
        let mut value = serializer.serialize_struct(name, 1)?;
        value.serialize_field(name, self.0)?;
        value.end()
    }
}

#[test]
fn unparsed_json_is_stored_if_its_text_is_canonical() {
    let heap = Heap::new();
    let id = heap.allocate(&Raw("{\"a\":[1,0.5]}")).unwrap();
    assert_eq!(heap.get_bytes(&id).unwrap(), b"{\"a\":[1,0.5]}");
    for text in ["[ 1 ]", "[1.50]", "{\"b\":1,\"a\":2}", "{\"a\":1,\"a\":2}", "[1"] {
        let refused = heap.allocate(&Raw(text));
        assert!(matches!(refused, Err(Error::NotStorable { .. })), "{text}: {refused:?}");
    }
}

#[test]
fn ids_and_kinds_parse_from_their_display_text() {
    let id = ObjectId::of_bytes(b"hello");
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(serde_json::from_str::<ObjectId>(&json).unwrap(), id);
    assert_eq!(serde_json::from_value::<ObjectId>(serde_json::json!(id)).unwrap(), id);
    assert_eq!(ObjectId::try_from(id.as_bytes().as_slice()).unwrap(), id);
    assert_eq!(ObjectId::from(*id.as_bytes()), id);
    for bad in ["", "0x", &"g".repeat(64), &format!("0x{id}"), &id.to_hex()[1..]] {
        assert!(
            serde_json::from_value::<ObjectId>(serde_json::json!(bad)).is_err(),
            "{bad}"
        );
    }
    assert!(ObjectId::try_from(&b"short"[..]).is_err());
    for kind in Kind::ALL {
        assert_eq!(kind.as_str().parse::<Kind>().unwrap(), kind);
    }
    assert!(matches!("Int".parse::<Kind>(), Err(Error::BadKind { .. })));
    let heap = Heap::new();
    assert!(format!("{:?} {:?}", heap.objects(), heap.events(Default::default())).contains("Events"));
}
