//! What goes in comes out: exactly, under an id that follows from the content alone, or
//! not at all.

#![cfg(test)]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use common::{Heap, assert_balanced, dump};
use heapledger::{Error, Hold, ObjectId};
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

fn round_trip<T: Serialize + DeserializeOwned + Debug + PartialEq>(heap: &Heap, kind: &str, value: T) {
    let id = heap.allocate(&value).unwrap();
    assert_eq!(heap.object(&id).unwrap().kind, kind, "{value:?}");
    assert_eq!(heap.get::<T>(&id).unwrap(), value);
    assert_eq!(ObjectId::of(&value).unwrap(), id, "{value:?}");
}

#[test]
fn whole_numbers_come_back_to_the_last_digit() {
    let heap = Heap::new();
    for number in [i64::MIN, i64::MIN + 1, -1, 0, 1, (1 << 53) + 1, i64::MAX] {
        round_trip(&heap, "int", number);
    }
    for number in [i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX] {
        round_trip(&heap, "int", number);
    }
    round_trip(&heap, "int", i128::from(i64::MIN));
    round_trip(&heap, "int", u8::MAX);
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
        assert_eq!(heap.object(&id).unwrap().kind, "float");
    }
    for float in [0.1f32, -0.0, f32::MAX, f32::MIN_POSITIVE, 1e-45] {
        let id = heap.allocate(&float).unwrap();
        assert_eq!(heap.get::<f32>(&id).unwrap().to_bits(), float.to_bits(), "{float:e}");
    }
}

#[test]
fn a_float_without_exact_text_is_refused_however_deep_it_sits() {
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
        round_trip(&heap, "str", text.to_owned());
    }
    round_trip(&heap, "str", 'ß');
    assert_balanced(&heap);
}

#[test]
fn truth_and_nothing_come_back() {
    let heap = Heap::new();
    round_trip(&heap, "bool", true);
    round_trip(&heap, "bool", false);
    round_trip(&heap, "none", ());
    round_trip(&heap, "none", None::<String>);
    round_trip(&heap, "str", Some("some".to_owned()));
    round_trip(&heap, "int", Some(1));
    assert_balanced(&heap);
}

#[test]
fn lists_maps_and_custom_types_come_back() {
    let heap = Heap::new();
    round_trip(&heap, "json", Vec::<u8>::new());
    round_trip(&heap, "json", vec![1u8, 2, 3]);
    round_trip(&heap, "json", (1, "two".to_owned(), 3.0, [None, Some(true)]));
    round_trip(&heap, "json", HashMap::from([(1, 'a'), (-2, 'b')]));
    round_trip(
        &heap,
        "json",
        BTreeMap::from([("a".to_owned(), BTreeMap::from([("b".to_owned(), vec![u64::MAX])]))]),
    );
    round_trip(
        &heap,
        "json",
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
    round_trip(&heap, "str", Pet::None);
    round_trip(&heap, "json", Pet::Cat("Tom".into()));
    round_trip(&heap, "float", Metres(1.5));
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
fn json_remembers_the_type_that_was_stored() {
    let heap = Heap::new();
    let id = heap.allocate(&Pet::Cat("Tom".into())).unwrap();
    let type_name = heap.object(&id).unwrap().type_name.unwrap();
    assert!(type_name.ends_with("Pet"), "{type_name}");
    let text = heap.allocate("text").unwrap();
    assert_eq!(heap.object(&text).unwrap().type_name, None);
}

#[test]
fn bytes_come_back_and_empty_values_take_no_piece() {
    let heap = Heap::new();
    for bytes in [&b""[..], b"\0", b"raw \xff\xfe", &[0xaa; 70_000]] {
        let stored = heap.store_bytes(bytes, Hold::Anonymous).unwrap();
        assert_eq!(heap.get_bytes(&stored.id).unwrap(), bytes);
        assert_eq!(heap.object(&stored.id).unwrap().kind, "bytes");
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
    #![proptest_config(common::cases(24))]

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

/// A float in every place that a value has for one.
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
