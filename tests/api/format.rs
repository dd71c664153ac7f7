//! Heap files stay readable forever: `data/heap-101.db`, named after its format, was written
//! by the first version and never changes. Every later version opens a copy of it, finds its
//! contents, and can write to it.
//!
//! Until that version is released, `cargo test --test api write_the_fixture -- --ignored`
//! rewrites the file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{KIB, assert_balanced, assert_sql_balanced, number, quick, sql};
use heapledger::{Geometry, Hold, MemManager, ObjectId};
use serde_json::json;
use tempfile::TempDir;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/heap-101.db");

/// Bytes that look random, as in the file.
fn content(seed: u64, size: u64) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// The contents of the file. Ids are the SHA-256 of the contents.
const STORED: &[(&str, &str, &str)] = &[
    (
        "large",
        "bytes",
        "6c573d4d688a254b95df25e3934474cfd927c4e2fb1b2d18bf7b75d6d528b418",
    ),
    (
        "greeting",
        "str",
        "bb28fd9636ad4e4ab305bdd1a00a9b6bedb76beabbc927390fb4e079b7a8fe18",
    ),
    (
        "answer",
        "int",
        "b6e6ad4a7eeeae8633ade8782901d12b32825342866434db71d22a3970b144fa",
    ),
    (
        "ratio",
        "float",
        "892c5ead1e00ba5faf3f9e3afb056e1c4e255e72b5846f828c793458385f2efd",
    ),
    (
        "yes",
        "bool",
        "9176ea394c3d16477933229eff7fc45dca9c878f5b6f690d46ed77442ec0899a",
    ),
    (
        "nothing",
        "none",
        "fdbb9db68f1db204d7823d5cbd2ff3eee530677fc945b6304356e1c6658b9ca2",
    ),
    (
        "list",
        "json",
        "7f138446231074340a17b84935c16b3fc830d5be0943ac689298d5e61ed3c0f4",
    ),
];

fn copy() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("heap.db");
    fs::copy(FIXTURE, &path).unwrap();
    (folder, path)
}

fn fill(path: &Path) {
    let memory = quick().max_mem(1 << 20).open(path).unwrap();
    memory.store_bytes(&content(1, 50 * KIB), Hold::Name("large")).unwrap();
    memory.store("hello", Hold::Name("greeting")).unwrap();
    memory.store(&42, Hold::Name("answer")).unwrap();
    memory.store(&0.1, Hold::Name("ratio")).unwrap();
    memory.store(&true, Hold::Name("yes")).unwrap();
    memory.store(&(), Hold::Name("nothing")).unwrap();
    memory
        .store(&json!({"b": [1, 2.5, null], "a": "é"}), Hold::Name("list"))
        .unwrap();
    // An object without a name, a dedup hit, freed room, and a refusal.
    memory.allocate_bytes(b"anonymous").unwrap();
    memory.allocate("hello").unwrap();
    let gone = memory.allocate_bytes(&content(2, 3000)).unwrap();
    memory.free(&gone).unwrap();
    memory.allocate_bytes(&vec![0; 1 << 20]).unwrap_err();
    let classic = quick().space("classic").max_mem(100_000).geometry(Geometry::classic());
    classic
        .open(path)
        .unwrap()
        .store_bytes(&content(3, 2000), Hold::Name("here too"))
        .unwrap();
}

#[test]
#[ignore = "rewrites the fixture, which is allowed only before the format is released"]
fn write_the_fixture() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("heap.db");
    fill(&path);
    let _ = fs::remove_file(FIXTURE);
    MemManager::open(&path).unwrap().backup(FIXTURE).unwrap();
}

fn id(memory: &MemManager, name: &str) -> ObjectId {
    memory.resolve(name).unwrap().unwrap()
}

fn assert_contents(memory: &MemManager) {
    assert_eq!(memory.get_bytes(&id(memory, "large")).unwrap(), content(1, 50 * KIB));
    assert_eq!(memory.get::<String>(&id(memory, "greeting")).unwrap(), "hello");
    assert_eq!(memory.get::<i64>(&id(memory, "answer")).unwrap(), 42);
    assert_eq!(memory.get::<f64>(&id(memory, "ratio")).unwrap(), 0.1);
    assert!(memory.get::<bool>(&id(memory, "yes")).unwrap());
    memory.get::<()>(&id(memory, "nothing")).unwrap();
    let list: serde_json::Value = memory.get(&id(memory, "list")).unwrap();
    assert_eq!(list, json!({"a": "é", "b": [1, 2.5, null]}));
    assert_eq!(
        memory.get_bytes(&ObjectId::of_bytes(b"anonymous")).unwrap(),
        b"anonymous"
    );
    for (name, kind, sha256) in STORED {
        let object = memory.object(&id(memory, name)).unwrap();
        assert_eq!(
            (object.kind.as_str(), &*object.object_id.to_hex()),
            (*kind, *sha256),
            "{name}"
        );
    }
}

#[test]
fn the_first_file_opens_with_all_its_contents() {
    let (_folder, path) = copy();
    let memory = quick().open(&path).unwrap();
    assert_contents(&memory);
    assert_balanced(&memory);
    let space = memory.memram().unwrap();
    assert_eq!(
        (space.max_mem, space.allocations, space.frees, space.dedup_hits),
        (1 << 20, 9, 1, 1)
    );
    let classic = quick().space("classic").open(&path).unwrap();
    assert_eq!(classic.geometry(), &Geometry::classic());
    assert_eq!(classic.get_bytes(&id(&classic, "here too")).unwrap(), content(3, 2000));
}

#[test]
fn the_first_file_can_be_written() {
    let (_folder, path) = copy();
    let memory = quick().open(&path).unwrap();
    memory.store_bytes(&content(4, 40 * KIB), Hold::Name("large")).unwrap();
    memory.unbind("greeting").unwrap();
    memory.collect_garbage().unwrap();
    assert_balanced(&memory);
    assert!(memory.repair().unwrap().corrections.is_empty());
}

#[test]
fn the_first_file_has_a_history() {
    let (_folder, path) = copy();
    drop(quick().open(&path).unwrap());
    let sql = sql(&path);
    assert_sql_balanced(&sql);
    assert_eq!(number(&sql, "SELECT count(*) FROM events WHERE kind = 'opening'"), 2);
    assert_eq!(number(&sql, "SELECT count(*) FROM events WHERE kind = 'allocate'"), 10);
}

#[test]
fn the_fixture_is_not_touched() {
    let before = fs::metadata(FIXTURE).unwrap().modified().unwrap();
    let (_folder, path) = copy();
    quick().open(&path).unwrap().allocate(&1).unwrap();
    assert_eq!(fs::metadata(FIXTURE).unwrap().modified().unwrap(), before);
    assert!(!Path::new(&format!("{FIXTURE}-wal")).exists());
}
