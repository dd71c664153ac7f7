//! `repair` restores what can be derived, loses no byte, and reports what it did; a second
//! repair finds nothing to do.

use std::collections::BTreeMap;

use crate::common::{
    Heap, KIB, MIB, assert_balanced, cases, content, disguise, dump, files_only, number, server, texts,
};
use heapledger::{Geometry, History, Hold, Invariant, Kind, MemManager, ObjectId, Repaired, SizeClass};
use proptest::prelude::*;

/// Objects of every class and of several kinds, names, a second space, and freed room.
fn heap() -> Heap {
    let class = |block_size| SizeClass {
        block_size,
        pool_size: 8 * block_size,
    };
    // Small blocks, so that a few KiB make several pieces.
    let geometry = Geometry::new(256 * KIB, 8, vec![class(512), class(4 * KIB)]).unwrap();
    let heap = Heap::of(MIB, geometry);
    heap.store_bytes(&content(1, 10_000), Hold::Name("it")).unwrap();
    heap.store_bytes(&content(2, 9 * KIB), Hold::Name("medium")).unwrap();
    let gone = heap.allocate_bytes(&content(3, 12_000)).unwrap();
    heap.allocate("text").unwrap();
    heap.store(&vec![1, 2, 3], Hold::Name("list")).unwrap();
    let two = heap.batch(|b| {
        b.allocate("")?;
        b.allocate_bytes(&content(4, 70 * KIB))
    });
    two.unwrap();
    heap.free(&gone).unwrap();
    let other = crate::common::quick()
        .space("other")
        .max_mem(1 << 19)
        .open(heap.address())
        .unwrap();
    other.store_bytes(&content(5, 3000), Hold::Name("it")).unwrap();
    heap
}

/// Breaks rules behind the library's back, past constraints.
fn damage(heap: &Heap, statement: &str) {
    heap.sql().damage(statement);
}

/// Content of every object of both spaces, by id.
fn contents(heap: &Heap) -> BTreeMap<(String, ObjectId), Vec<u8>> {
    let mut contents = BTreeMap::new();
    for space in heap.spaces().unwrap() {
        let memory = crate::common::quick().space(&space.name).open(heap.address()).unwrap();
        for object in memory.objects() {
            let id = object.unwrap().id;
            contents.insert((space.name.clone(), id), memory.get_bytes(&id).unwrap());
        }
    }
    contents
}

fn repair(memory: &MemManager, what: &str) -> Repaired {
    let repaired = memory.repair().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(!repaired.corrections.is_empty(), "{what}: nothing was repaired");
    assert!(
        repaired.left.is_empty(),
        "{what}: {:#?} after {:#?}",
        repaired.left,
        repaired.corrections
    );
    assert_balanced(memory);
    let before = dump(&crate::common::sql(memory.path()));
    let again = memory.repair().unwrap();
    assert!(
        again.corrections.is_empty() && again.left.is_empty(),
        "{what}, again: {again:#?}"
    );
    assert_eq!(
        dump(&crate::common::sql(memory.path())),
        before,
        "{what}: a second repair changed rows"
    );
    repaired
}

/// On a server, where a repair plans its statements each time, one case in `step`, because both engines have the
/// same statements, and a unit test executes all of them on each; with `HEAPLEDGER_ALL=1`, all.
fn sampled<T>(step: usize, cases: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    let all = server().is_none() || std::env::var_os("HEAPLEDGER_ALL").is_some();
    cases.into_iter().step_by(if all { 1 } else { step })
}

/// Damage that is repaired exactly.
const DERIVED_AGAIN: &[&str] = &[
    "UPDATE blocks SET mem = mem - 1, is_free = TRUE WHERE id = 1",
    "UPDATE blocks SET mem = -7",
    "UPDATE blocks SET is_free = TRUE WHERE mem = max_mem",
    "UPDATE blocks SET max_mem = 1 WHERE id = 2",
    "UPDATE blocks SET max_mem = 1000000 WHERE id = 1",
    "UPDATE blocks SET arena_id = arena_id + 1 WHERE id = 1",
    "UPDATE blocks SET arena_id = 77",
    "UPDATE blocks SET pool_id = 99 WHERE id = 1",
    "UPDATE blocks SET memram_id = 2 WHERE id = 1",
    "UPDATE blocks SET block_size = 4096 WHERE block_size = 512",
    "UPDATE pools SET mem = mem + 1",
    "UPDATE pools SET reserved = reserved - 1",
    "UPDATE pools SET reserved = -1, mem = 1 << 50",
    "UPDATE pools SET block_size = 777 WHERE id = 1",
    "UPDATE pools SET max_mem = 1 << 40",
    "UPDATE pools SET arena_id = 12345 WHERE id = 1",
    "UPDATE pools SET memram_id = 2 WHERE id = 1",
    "UPDATE pools SET memram_id = 9",
    "UPDATE arenas SET mem = mem + 1",
    "UPDATE arenas SET reserved = reserved + 1",
    "UPDATE arenas SET max_mem = 1 << 40",
    "UPDATE arenas SET memram_id = 2 WHERE id = 1",
    "UPDATE arenas SET memram_id = 9",
    "UPDATE memram SET mem = mem - 1",
    "UPDATE memram SET reserved = reserved + 1",
    "UPDATE memram SET arenas = -1",
    "UPDATE memram SET allocations = allocations + 1",
    "UPDATE memram SET dedup_hits = -1",
    "UPDATE memram SET dedup_saved = -1",
    "UPDATE memram SET arena_size = 0",
    "UPDATE memram SET per_block = -8",
    "UPDATE memram SET history = 'sometimes'",
    "UPDATE memram SET history_keep = 0",
    "UPDATE memram SET evict = 'first'",
    "UPDATE memram SET evict_min_age = -1",
    "UPDATE size_classes SET entries = entries + 1",
    "UPDATE size_classes SET full_blocks = -3, blocks = 0, pooled = 1",
    "UPDATE size_classes SET pool_size = 1",
    "UPDATE size_classes SET pool_size = pool_size + 7",
    "DELETE FROM size_classes WHERE mem > 0",
    "INSERT INTO size_classes (memram_id, block_size, pool_size) VALUES (77, 512, 4096)",
    "INSERT INTO size_classes (memram_id, block_size, pool_size) VALUES (1, -1, 4096)",
    "INSERT INTO other_kinds (memram_id, kind) VALUES (77, 'str')",
    "INSERT INTO other_kinds (memram_id, kind) VALUES (1, 'pickle')",
    "UPDATE other_kinds SET objects = objects + 1 WHERE kind = 'str'",
    "UPDATE other_kinds SET mem = -1",
    "DELETE FROM other_kinds WHERE kind = 'json'",
    "DELETE FROM sequences",
    "DELETE FROM sequences WHERE name = 'pools'",
    "UPDATE sequences SET last_id = -1",
    "UPDATE stored_objects SET size = size + 1",
    "UPDATE stored_objects SET size = -1",
    "UPDATE stored_objects SET kind = 'int' WHERE kind = 'str'",
    "UPDATE stored_objects SET kind = 'pickle' WHERE kind = 'bytes'",
    "UPDATE stored_objects SET type_name = 'T' WHERE kind = 'str'",
    "UPDATE stored_objects SET held = FALSE",
    "UPDATE stored_objects SET memram_id = 2 WHERE id = 1",
    "UPDATE stored_objects SET memram_id = 9 WHERE id = 1",
    "UPDATE ledger SET seq = seq + 1 WHERE stored_object_id = 1 AND seq = 2",
    "UPDATE ledger SET seq = -seq",
    "UPDATE ledger SET seq = 100 - seq",
    "UPDATE ledger SET pool_id = pool_id + 1 WHERE id = 1",
    "UPDATE ledger SET arena_id = arena_id + 1",
    "UPDATE ledger SET allocated_mem = allocated_mem + 1 WHERE id = 1",
    "UPDATE ledger SET allocated_mem = -1",
    "UPDATE names SET memram_id = 2 WHERE name = 'medium'",
    "UPDATE events SET mem = mem + 1, payload = 3, capacity = 3 WHERE id = 2",
    "UPDATE events SET changes = '[[1,1]]' WHERE length(object) > 32",
    "DELETE FROM events",
];

/// Damage whose repair loses no content, but may move it, resize a level to fit its contents,
/// or hold all objects.
const MADE_GOOD: &[&str] = &[
    "UPDATE events SET object = x'00' WHERE object IS NOT NULL",
    "UPDATE blocks SET max_mem = 0",
    "DELETE FROM blocks WHERE id = 1",
    "DELETE FROM blocks",
    "UPDATE pools SET max_mem = 1",
    "DELETE FROM pools",
    "DELETE FROM pools WHERE id = 2",
    "UPDATE arenas SET max_mem = 1",
    "DELETE FROM arenas",
    "DELETE FROM arenas WHERE id = 1",
    "UPDATE memram SET peak_mem = mem - 1",
    "UPDATE memram SET frees = -4",
    "UPDATE memram SET max_mem = 1",
    "UPDATE ledger SET block_id = 999 WHERE id = 1",
    "UPDATE ledger SET block_id = 1",
];

/// Damage that changes no content, name or id. After the repair all of them are as before.
#[test]
fn derived_values_are_recomputed_and_everything_else_stays() {
    let damages = DERIVED_AGAIN.iter().map(|statement| (*statement, true));
    let damages = damages.chain(MADE_GOOD.iter().map(|statement| (*statement, false)));
    let of_flags = if server().is_some() { &[] } else { OF_FLAGS };
    for (statement, exactly) in sampled(8, damages.chain(of_flags.iter().copied())) {
        let heap = heap();
        let (before, names) = (contents(&heap), texts(&heap.sql(), "SELECT name FROM names ORDER BY 1"));
        let rows = rows(&heap);
        damage(&heap, statement);
        repair(&heap, statement);
        assert_eq!(contents(&heap), before, "{statement}");
        assert_eq!(
            texts(&heap.sql(), "SELECT name FROM names ORDER BY 1"),
            names,
            "{statement}"
        );
        assert!(!exactly || self::rows(&heap) == rows, "{statement}");
        // The heap can be used again.
        heap.allocate_bytes(&content(9, 20 * KIB)).unwrap();
        heap.collect_garbage().unwrap();
        assert_balanced(&heap);
    }
}

#[test]
fn a_check_finds_rows_that_break_constraints() {
    for statement in [
        "UPDATE names SET name = '' WHERE name = 'list'",
        "UPDATE sequences SET last_id = -1",
        "UPDATE memram SET history = 'sometimes'",
        "UPDATE memram SET per_block = -8",
        "UPDATE size_classes SET pool_size = 1",
        "UPDATE stored_objects SET type_name = 'T' WHERE kind = 'str'",
        "UPDATE ledger SET allocated_mem = -1",
        "INSERT INTO other_kinds (memram_id, kind) VALUES (1, 'pickle')",
        "UPDATE events SET object = x'00' WHERE object IS NOT NULL",
    ] {
        let heap = heap();
        damage(&heap, statement);
        assert!(!heap.check().unwrap().is_empty(), "{statement}");
    }
}

/// All rows except the numbers that a repair uses up.
fn rows(heap: &Heap) -> String {
    let all = dump(&heap.sql());
    let lines = all.lines().filter(|line| !line.starts_with("sequences"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Damage that the types of a server's columns rule out, and whether it is repaired exactly.
const OF_FLAGS: &[(&str, bool)] = &[
    ("UPDATE blocks SET is_free = 7", true),
    ("UPDATE stored_objects SET held = 3", false),
];

/// Damage of reservations and of a half posted object.
const RESERVED: &[&str] = &[
    "UPDATE memram SET promised = promised + 1",
    "UPDATE memram SET promised = -1",
    "UPDATE memram SET promised = 1 << 60",
    "UPDATE reservations SET memram_id = 9",
    "UPDATE reservations SET id = id + (1 << 40) WHERE key = 'open'",
    "UPDATE reservations SET key = '' WHERE key = 'open'",
    "UPDATE reservations SET key = hex(zeroblob(200)) WHERE key = 'posted'",
    "UPDATE reservations SET key = NULL WHERE key = 'open'",
    "UPDATE reservations SET state = 'tentative'",
    "UPDATE reservations SET state = 'open'",
    "UPDATE reservations SET state = 'posted', resolved_at = 1",
    "UPDATE reservations SET state = 'freed', resolved_at = 1 WHERE written > 0",
    "UPDATE reservations SET bytes = 0",
    "UPDATE reservations SET bytes = -7 WHERE key = 'open'",
    "UPDATE reservations SET bytes = 1 << 50 WHERE key = 'open'",
    "UPDATE reservations SET bytes = 1 WHERE key = 'k'",
    "UPDATE reservations SET written = written + 1",
    "UPDATE reservations SET written = -1",
    "UPDATE reservations SET written = 0",
    "UPDATE reservations SET object_id = 'x' WHERE key = 'open'",
    "UPDATE reservations SET object_id = NULL",
    "UPDATE reservations SET stored_object_id = NULL",
    "UPDATE reservations SET stored_object_id = 1 WHERE key = 'k'",
    "UPDATE reservations SET stored_object_id = 1 WHERE key = 'open'",
    "UPDATE reservations SET stored_object_id = stored_object_id + 1 WHERE key = 'k'",
    "UPDATE reservations SET entry_ids = 0",
    "UPDATE reservations SET entry_ids = -1",
    "UPDATE reservations SET entry_ids = 1 << 38 WHERE key = 'k'",
    "UPDATE reservations SET first_arena_id = -1, first_pool_id = 1 << 60, first_block_id = 0",
    "UPDATE reservations SET created_at = -1, expires_at = 0",
    "UPDATE reservations SET resolved_at = NULL",
    "UPDATE reservations SET resolved_at = 1",
    "DELETE FROM reservations",
    "DELETE FROM reservations WHERE key = 'open'",
    "DELETE FROM ledger WHERE stored_object_id = (SELECT stored_object_id FROM reservations WHERE key = 'k') AND seq = 1",
    "UPDATE ledger SET seq = seq + 1 WHERE stored_object_id = (SELECT stored_object_id FROM reservations WHERE key = 'k')",
    "UPDATE ledger SET block_id = 1 WHERE stored_object_id = (SELECT stored_object_id FROM reservations WHERE key = 'k')",
    "DELETE FROM sequences WHERE name = 'reservations'",
];

/// Whatever happens to a reservation, no object is harmed.
#[test]
fn damaged_reservations_are_repaired_or_removed_and_objects_stay() {
    for statement in sampled(8, RESERVED) {
        let heap = crate::reserve::every_state();
        let (before, names) = (contents(&heap), texts(&heap.sql(), "SELECT name FROM names ORDER BY 1"));
        damage(&heap, statement);
        let repaired = heap.repair().unwrap_or_else(|error| panic!("{statement}: {error}"));
        assert!(repaired.left.is_empty(), "{statement}: {repaired:#?}");
        assert_balanced(&heap);
        // Pieces whose reservation is gone may become an object.
        let mut kept = contents(&heap);
        kept.retain(|id, _| before.contains_key(id));
        assert_eq!(kept, before, "{statement}");
        let still = texts(
            &heap.sql(),
            "SELECT name FROM names WHERE name NOT LIKE 'damaged/%' ORDER BY 1",
        );
        assert_eq!(still, names, "{statement}");
        let again = heap.repair().unwrap();
        assert!(again.corrections.is_empty(), "{statement}, again: {again:#?}");
        // The heap can be used again.
        heap.reserve(100)
            .key("new")
            .make()
            .unwrap()
            .post_bytes(b"content", Hold::Anonymous)
            .unwrap();
        heap.collect_garbage().unwrap();
        assert_balanced(&heap);
    }
}

#[test]
fn repairing_an_intact_heap_does_nothing() {
    let heap = heap();
    let before = dump(&heap.sql());
    let repaired = heap.repair().unwrap();
    assert!(
        repaired.corrections.is_empty() && repaired.left.is_empty(),
        "{repaired:#?}"
    );
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn changed_content_is_set_aside_under_a_telling_name() {
    let heap = heap();
    let old = heap.resolve("it").unwrap().unwrap();
    let mut bytes = heap.get_bytes(&old).unwrap();
    damage(
        &heap,
        "UPDATE ledger SET data = CAST(x'78' || substr(data, 2) AS BLOB) WHERE stored_object_id = 1 AND seq = 1",
    );
    let repaired = repair(&heap, "changed content");
    let line = repaired.corrections[0].to_string();
    assert!(line.contains("I8") && line.contains(&old.to_string()), "{line}");
    assert_eq!(
        heap.resolve("it").unwrap(),
        None,
        "the name must not lead to other content"
    );
    assert!(!heap.contains(&old).unwrap());
    let aside = heap.resolve(&format!("damaged/{old}")).unwrap().unwrap();
    assert_eq!(heap.resolve(&format!("damaged/{old}/it")).unwrap(), Some(aside));
    bytes[4096] = b'x';
    let found = heap.get_bytes(&aside).unwrap();
    assert_eq!(found.len(), bytes.len());
    assert_eq!(ObjectId::of_bytes(&found), aside);
    // It can be stored, damaged and set aside again.
    heap.store_bytes(&content(1, 10_000), Hold::Name("it")).unwrap();
    assert!(heap.contains(&old).unwrap());
}

#[test]
fn added_bytes_are_saved_even_if_no_block_has_room() {
    let heap = Heap::of(4 * KIB, Geometry::classic());
    let id = heap.allocate_bytes(&content(1, 4 * KIB)).unwrap();
    damage(
        &heap,
        "UPDATE ledger SET data = CAST(data || x'00' AS BLOB), allocated_mem = allocated_mem + 1 WHERE seq = 3",
    );
    let repaired = repair(&heap, "an added byte");
    assert!(
        repaired
            .corrections
            .iter()
            .any(|line| line.expected.contains("max_mem 4097")),
        "{:#?}",
        repaired.corrections
    );
    let aside = heap.resolve(&format!("damaged/{id}")).unwrap().unwrap();
    assert_eq!(heap.get_bytes(&aside).unwrap().len(), 4097);
}

#[test]
fn the_remaining_pieces_of_an_object_are_saved() {
    let heap = heap();
    let old = heap.resolve("it").unwrap().unwrap();
    damage(&heap, "DELETE FROM ledger WHERE stored_object_id = 1 AND seq = 1");
    repair(&heap, "a lost piece");
    let aside = heap.resolve(&format!("damaged/{old}")).unwrap().unwrap();
    let whole = content(1, 10_000);
    assert_eq!(
        heap.get_bytes(&aside).unwrap(),
        [&whole[..4096], &whole[8192..]].concat()
    );
}

#[test]
fn pieces_without_an_object_become_an_object() {
    let heap = heap();
    damage(&heap, "DELETE FROM stored_objects WHERE id = 1");
    repair(&heap, "no object");
    let aside = heap.resolve("damaged/object-1").unwrap().unwrap();
    assert_eq!(heap.get_bytes(&aside).unwrap(), content(1, 10_000));
    assert_eq!(heap.resolve("damaged/object-1/it").unwrap(), Some(aside));
}

#[test]
fn no_bytes_are_lost_if_all_objects_are_missing() {
    let heap = heap();
    let bytes = number(&heap.sql(), "SELECT sum(length(data)) FROM ledger");
    damage(&heap, "DELETE FROM stored_objects");
    repair(&heap, "no objects");
    assert_eq!(number(&heap.sql(), "SELECT sum(length(data)) FROM ledger"), bytes);
}

#[test]
fn objects_with_each_others_content_are_both_set_aside() {
    let heap = Heap::new();
    let (one, two) = (
        heap.allocate_bytes(b"one").unwrap(),
        heap.allocate_bytes(b"two").unwrap(),
    );
    damage(
        &heap,
        "UPDATE ledger SET data = CASE stored_object_id WHEN 1 THEN CAST('two' AS BLOB) ELSE CAST('one' AS BLOB) END",
    );
    repair(&heap, "swapped contents");
    assert_eq!(heap.resolve(&format!("damaged/{one}")).unwrap(), Some(two));
    assert_eq!(heap.get_bytes(&two).unwrap(), b"two");
}

#[test]
fn damaged_content_that_is_stored_elsewhere_becomes_that_object() {
    let heap = Heap::new();
    let (one, two) = (
        heap.allocate_bytes(b"one").unwrap(),
        heap.allocate_bytes(b"two").unwrap(),
    );
    damage(&heap, "UPDATE ledger SET data = CAST('two' AS BLOB)");
    repair(&heap, "equal contents");
    assert_eq!(heap.resolve(&format!("damaged/{one}")).unwrap(), Some(two));
    assert_eq!(heap.objects().count(), 1);
}

#[test]
fn a_name_without_an_object_is_removed() {
    let heap = heap();
    damage(&heap, "UPDATE names SET stored_object_id = 999 WHERE name = 'list'");
    let repaired = repair(&heap, "a name without an object");
    assert_eq!(heap.resolve("list").unwrap(), None);
    assert!(
        repaired
            .corrections
            .iter()
            .any(|line| line.to_string().contains("the name is removed"))
    );
    // The object lost its name but still exists.
    assert_eq!(
        number(
            &heap.sql(),
            "SELECT count(*) FROM stored_objects WHERE kind = 'json' AND held"
        ),
        1
    );
}

#[test]
fn content_invalid_for_its_kind_is_set_aside_as_bytes() {
    for (kind, bytes) in [
        (Kind::Int, &b"hello"[..]),
        (Kind::Str, b"caf\xe9!"),
        (Kind::Json, b"[ 1 ]"),
    ] {
        let heap = heap();
        heap.store(&"x".repeat(bytes.len()), Hold::Name("bad")).unwrap();
        let key = number(&heap.sql(), "SELECT max(id) FROM stored_objects WHERE memram_id = 1");
        let id = disguise(&heap.sql(), key, kind, bytes);
        let repaired = repair(&heap, &format!("{kind}"));
        let said = repaired
            .corrections
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            said.contains(&format!("not of kind {kind}")) && said.contains("set aside"),
            "{said}"
        );
        let aside = heap.resolve(&format!("damaged/{id}/bad")).unwrap().unwrap();
        assert_eq!(heap.get_bytes(&aside).unwrap(), bytes);
        assert_eq!(heap.object_info(&aside).unwrap().kind, Kind::Bytes);
    }
}

/// SQLite accepts any bytes as text; listings show the name and continue.
#[test]
fn a_name_that_is_not_utf8_is_found_and_converted() {
    files_only!(Text);
    let heap = heap();
    let list = heap.resolve("list").unwrap().unwrap();
    heap.bind("li\u{fffd}t", &list).unwrap();
    damage(
        &heap,
        "UPDATE names SET name = CAST(x'6c69ff74' AS TEXT) WHERE name = 'list'",
    );
    assert_eq!(heap.objects().filter(Result::is_ok).count(), 6);
    assert_eq!(heap.object_info(&list).unwrap().names, ["li\u{fffd}t", "li\u{fffd}t"]);
    let found = heap.check().unwrap();
    // The name itself, and two rules about its event, whose name no longer exists.
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].to_string().contains(r#"found "li\xfft""#), "{}", found[0]);
    let repaired = repair(&heap, "a garbled name");
    let line = repaired.corrections[0].to_string();
    assert!(line.contains("expected the name \"li\u{fffd}t-2\""), "{line}");
    assert_eq!(heap.resolve("li\u{fffd}t-2").unwrap(), Some(list));
    assert_eq!(heap.resolve("li\u{fffd}t").unwrap(), Some(list));
}

#[test]
fn a_space_without_its_row_is_recovered() {
    let heap = heap();
    crate::common::quick().space("empty").open(heap.address()).unwrap();
    damage(&heap, "DELETE FROM memram WHERE name <> 'main'");
    repair(&heap, "no space");
    let empty = crate::common::quick()
        .space("recovered-3")
        .read_only(true)
        .open(heap.address());
    assert_eq!(empty.unwrap().objects().count(), 0);
    let other = crate::common::quick()
        .space("recovered-2")
        .open(heap.address())
        .unwrap();
    assert_eq!(
        other.get_bytes(&other.resolve("it").unwrap().unwrap()).unwrap(),
        content(5, 3000)
    );
}

#[test]
fn an_index_that_lost_a_row_is_rebuilt() {
    files_only!(Schema);
    let heap = heap();
    let sql = heap.sql();
    // As if a faulty tool had changed rows without updating a partial index.
    sql.execute(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'mem = 0', 'mem = 1') WHERE name = 'blocks_empty';
         PRAGMA writable_schema = RESET",
    );
    drop(sql);
    let sql = heap.sql();
    sql.execute(
        "REINDEX blocks_empty; PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'mem = 1', 'mem = 0') WHERE name = 'blocks_empty';
         PRAGMA writable_schema = RESET",
    );
    drop(sql);
    assert!(
        heap.check()
            .unwrap()
            .iter()
            .any(|violation| violation.invariant == Invariant::IntegrityCheck)
    );
    repair(&heap, "an index");
}

#[test]
fn the_history_records_the_repair() {
    let heap = heap();
    damage(&heap, "UPDATE arenas SET mem = mem + 1");
    repair(&heap, "arenas");
    assert_eq!(
        number(&heap.sql(), "SELECT count(*) FROM events WHERE kind = 'repair'"),
        2,
        "one for each space"
    );
}

#[test]
fn a_reader_cannot_repair() {
    let heap = heap();
    let reader = crate::common::quick().read_only(true).open(heap.address()).unwrap();
    assert!(matches!(reader.repair(), Err(heapledger::Error::ReadOnly)));
}

/// Columns that follow from others.
const DERIVED: &[(&str, &str)] = &[
    ("blocks", "mem"),
    ("blocks", "is_free"),
    ("blocks", "arena_id"),
    ("blocks", "memram_id"),
    ("pools", "mem"),
    ("pools", "reserved"),
    ("pools", "memram_id"),
    ("arenas", "mem"),
    ("arenas", "reserved"),
    ("memram", "mem"),
    ("memram", "reserved"),
    ("memram", "arenas"),
    ("memram", "allocations"),
    ("size_classes", "mem"),
    ("size_classes", "reserved"),
    ("size_classes", "pooled"),
    ("size_classes", "pools"),
    ("size_classes", "blocks"),
    ("size_classes", "full_blocks"),
    ("size_classes", "empty_blocks"),
    ("size_classes", "entries"),
    ("other_kinds", "objects"),
    ("other_kinds", "mem"),
    ("stored_objects", "size"),
    ("ledger", "pool_id"),
    ("ledger", "arena_id"),
    ("ledger", "allocated_mem"),
];

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn any_derived_value_is_restored(
        damages in prop::collection::vec((0..DERIVED.len(), 0usize..50, prop_oneof![-3i64..4, any::<i32>().prop_map(i64::from)]), 1..4)
    ) {
        let heap = heap();
        let before = contents(&heap);
        let sql = heap.sql();
        for (column, row, value) in damages {
            let (table, column) = DERIVED[column];
            let rows = number(&sql, &format!("SELECT count(*) FROM {table}")) as usize;
            let keys = if ["size_classes", "other_kinds"].contains(&table) { "1, 2" } else { "id" };
            let key = if keys == "id" { "id" } else if table == "other_kinds" { "(memram_id, kind)" } else { "(memram_id, block_size)" };
            let columns = key.trim_matches(['(', ')']);
            let value = if column == "is_free" { (value % 2 != 0).to_string() } else { value.to_string() };
            sql.damage(&format!(
                "UPDATE {table} SET {column} = {value} WHERE {key} IN (SELECT {columns} FROM {table} ORDER BY {keys} LIMIT 1 OFFSET {})",
                row % rows
            ));
        }
        drop(sql);
        let repaired = heap.repair().unwrap();
        prop_assert!(repaired.left.is_empty(), "{repaired:#?}");
        assert_balanced(&heap);
        prop_assert_eq!(contents(&heap), before);
        let again = heap.repair().unwrap();
        prop_assert!(again.corrections.is_empty(), "{again:#?}");
    }
}

#[test]
fn a_block_that_does_not_fit_its_pool_is_removed() {
    let heap = heap();
    let before = contents(&heap);
    damage(
        &heap,
        "INSERT INTO blocks (id, memram_id, arena_id, pool_id, block_size, max_mem, mem, is_free)
         SELECT 9000, memram_id, arena_id, id, block_size, block_size, 0, TRUE
         FROM pools WHERE reserved = 8 * block_size LIMIT 1",
    );
    repair(&heap, "a block too many");
    assert_eq!(contents(&heap), before);
    assert_eq!(number(&heap.sql(), "SELECT count(*) FROM blocks WHERE id = 9000"), 0);
}

#[test]
fn an_empty_arena_without_a_space_is_removed() {
    let heap = heap();
    let before = contents(&heap);
    damage(
        &heap,
        "INSERT INTO arenas (id, memram_id, max_mem, mem, reserved) VALUES (9000, 77, 1000, 0, 0)",
    );
    repair(&heap, "an arena of nowhere");
    assert_eq!(contents(&heap), before);
}

#[test]
fn a_pool_returns_to_the_arena_that_its_blocks_name() {
    let heap = heap();
    heap.add_arena().unwrap();
    let rows = |heap: &Heap| texts(&heap.sql(), "SELECT id || ' ' || arena_id FROM pools ORDER BY id");
    let before = rows(&heap);
    damage(
        &heap,
        "UPDATE pools SET arena_id = (SELECT max(id) FROM arenas WHERE memram_id = 1) WHERE id = (SELECT min(id) FROM pools)",
    );
    repair(&heap, "a pool elsewhere");
    assert_eq!(rows(&heap), before);
}

#[test]
fn a_block_returns_to_the_pool_that_its_entries_name() {
    let heap = heap();
    let rows = |heap: &Heap| texts(&heap.sql(), "SELECT id || ' ' || pool_id FROM blocks ORDER BY id");
    let before = rows(&heap);
    damage(
        &heap,
        "UPDATE blocks SET pool_id = (SELECT p.id FROM pools p
                                      WHERE p.memram_id = blocks.memram_id AND p.id <> blocks.pool_id LIMIT 1)
         WHERE id = (SELECT block_id FROM ledger GROUP BY block_id HAVING count(*) >= 2 LIMIT 1)",
    );
    assert_ne!(rows(&heap), before);
    repair(&heap, "a block elsewhere");
    assert_eq!(rows(&heap), before);
}

#[test]
fn an_empty_name_is_replaced() {
    let heap = heap();
    let list = heap.resolve("list").unwrap().unwrap();
    damage(&heap, "UPDATE names SET name = '' WHERE name = 'list'");
    repair(&heap, "an empty name");
    let key = heap.object(&list).unwrap().id;
    assert_eq!(heap.resolve(&format!("damaged/unnamed-{key}")).unwrap(), Some(list));
    assert_eq!(number(&heap.sql(), "SELECT count(*) FROM names WHERE name = ''"), 0);
}

#[test]
fn a_name_moves_to_the_space_of_its_object_even_if_taken_there() {
    let heap = heap();
    let other = crate::common::quick().space("other").open(heap.address()).unwrap();
    let it = other.resolve("it").unwrap().unwrap();
    damage(
        &heap,
        "UPDATE names SET stored_object_id = (SELECT o.id FROM stored_objects o WHERE o.memram_id = 2)
         WHERE memram_id = 1 AND name = 'it'",
    );
    repair(&heap, "a name of another space");
    assert_eq!(heap.resolve("it").unwrap(), None);
    assert_eq!(other.resolve("it").unwrap(), Some(it));
    assert_eq!(other.resolve("damaged/space-1/it").unwrap(), Some(it));
}

/// The other space already has an object with the same content, and the name is taken there.
#[test]
fn an_object_moves_to_the_space_of_its_pieces_even_if_its_id_is_taken_there() {
    let heap = heap();
    let other = crate::common::quick().space("other").open(heap.address()).unwrap();
    let it = other.resolve("it").unwrap().unwrap();
    assert_eq!(heap.store_bytes(&content(5, 3000), Hold::Name("twin")).unwrap().id, it);
    let twin = heap.object(&it).unwrap().id;
    let old = heap.resolve("it").unwrap().unwrap();
    let by_id = |heap: &Heap| -> BTreeMap<_, _> {
        let contents = contents(heap).into_iter();
        contents.map(|((_, id), bytes)| (id, bytes)).collect()
    };
    let before = by_id(&heap);
    for table in ["arenas", "pools", "blocks"] {
        damage(&heap, &format!("UPDATE {table} SET memram_id = 2"));
    }
    damage(&heap, "UPDATE names SET memram_id = 2 WHERE name = 'twin'");
    repair(&heap, "another space");
    assert_eq!(by_id(&heap), before);
    assert!(!heap.contains(&it).unwrap() && !heap.contains(&old).unwrap());
    assert_eq!(other.resolve("it").unwrap(), Some(it));
    assert_eq!(other.resolve(&format!("damaged/object-{twin}/twin")).unwrap(), Some(it));
    assert_eq!(other.resolve("damaged/space-1/it").unwrap(), Some(old));
}

/// At the end of a space, the last arena, pool and block are shorter than the others.
#[test]
fn short_rows_stay_short() {
    let max_mem = 256 * KIB + 5000;
    for damages in [
        &["UPDATE memram SET mem = mem - 1"] as &[_],
        &["UPDATE blocks SET max_mem = 1"],
        &["UPDATE pools SET max_mem = 1"],
        &["UPDATE arenas SET max_mem = 1"],
        &[
            "UPDATE blocks SET max_mem = 0",
            "UPDATE pools SET max_mem = 0",
            "UPDATE arenas SET max_mem = 0",
        ],
        &["UPDATE memram SET max_mem = 1"],
    ] {
        let heap = Heap::of(max_mem, Geometry::classic());
        heap.allocate_bytes(&content(1, max_mem)).unwrap();
        let rows = rows(&heap);
        for statement in damages {
            damage(&heap, statement);
        }
        repair(&heap, damages[0]);
        assert_eq!(self::rows(&heap), rows, "{damages:?}");
    }
}

#[test]
fn an_impossible_name_or_size_of_a_space_is_replaced() {
    let heap = heap();
    crate::common::quick()
        .space("empty")
        .max_mem(MIB)
        .open(heap.address())
        .unwrap();
    damage(&heap, "UPDATE memram SET name = '' WHERE name = 'other'");
    damage(&heap, "UPDATE memram SET max_mem = -5 WHERE name = 'empty'");
    repair(&heap, "a name and a size that cannot be");
    let other = crate::common::quick().space("damaged-2").open(heap.address()).unwrap();
    let it = other.resolve("it").unwrap().unwrap();
    assert_eq!(other.get_bytes(&it).unwrap(), content(5, 3000));
    let empty = crate::common::quick().space("empty").open(heap.address()).unwrap();
    assert_eq!(empty.memram().unwrap().max_mem, 1);
}

#[test]
fn an_arena_size_is_at_least_that_of_the_largest_arena() {
    let classes = Geometry::standard().classes().to_vec();
    let heap = Heap::of(MIB, Geometry::new(512 * KIB, 8, classes).unwrap());
    heap.allocate_bytes(&content(1, 600 * KIB)).unwrap();
    let rows = rows(&heap);
    damage(&heap, "UPDATE memram SET arena_size = 0");
    repair(&heap, "no arena size");
    assert_eq!(self::rows(&heap), rows);
}

#[test]
fn a_history_that_is_off_stays_empty() {
    let heap = heap();
    heap.set_history(History::Off).unwrap();
    let events = "SELECT count(*) FROM events WHERE memram_id = 1";
    let before = number(&heap.sql(), events);
    damage(&heap, "UPDATE arenas SET mem = mem + 1");
    // The other space gets a new opening event.
    damage(&heap, "DELETE FROM events WHERE memram_id = 2");
    repair(&heap, "no history");
    assert_eq!(number(&heap.sql(), events), before);
}

#[test]
fn setting_aside_again_steals_no_name() {
    let heap = heap();
    let old = heap.resolve("it").unwrap().unwrap();
    let mut asides = Vec::new();
    for (byte, number) in [("78", ""), ("79", "-2")] {
        heap.store_bytes(&content(1, 10_000), Hold::Name("it")).unwrap();
        damage(
            &heap,
            &format!(
                "UPDATE ledger SET data = CAST(x'{byte}' || substr(data, 2) AS BLOB) WHERE seq = 1 AND stored_object_id =
                 (SELECT id FROM stored_objects WHERE object_id = '{old}')"
            ),
        );
        repair(&heap, byte);
        asides.push(heap.resolve(&format!("damaged/{old}{number}")).unwrap().unwrap());
        assert_eq!(
            heap.resolve(&format!("damaged/{old}/it{number}")).unwrap(),
            asides.last().copied()
        );
    }
    assert_ne!(asides[0], asides[1]);
    assert_eq!(heap.resolve(&format!("damaged/{old}")).unwrap(), Some(asides[0]));
}

#[test]
fn names_bound_later_than_the_opening_are_corrected() {
    let heap = heap();
    damage(&heap, "UPDATE names SET bound_at = 1 << 60");
    damage(&heap, "DELETE FROM events");
    repair(&heap, "names of the future");
    assert_eq!(
        heap.resolve("it").unwrap(),
        Some(ObjectId::of_bytes(&content(1, 10_000)))
    );
}

/// Each damage is repaired exactly, with and without empty pools: the majority that names an
/// existing space is right.
#[test]
fn an_arena_is_in_the_space_that_most_of_its_pools_and_blocks_name() {
    for (damages, has_empty_pools) in [
        (&["UPDATE arenas SET memram_id = 2"] as &[_], true),
        (
            &["UPDATE arenas SET memram_id = 2", "UPDATE pools SET memram_id = 2"],
            false,
        ),
        (
            &["UPDATE pools SET memram_id = 9", "UPDATE blocks SET memram_id = 9"],
            false,
        ),
    ] {
        let heap = heap();
        if has_empty_pools {
            let arena = heap.add_arena().unwrap();
            heap.add_pool(arena.id, 512).unwrap();
            heap.add_pool(arena.id, 512).unwrap();
        }
        let rows = rows(&heap);
        for statement in damages {
            damage(&heap, statement);
        }
        repair(&heap, damages[0]);
        assert_eq!(self::rows(&heap), rows, "{damages:?}");
    }
}

#[test]
fn a_pool_is_in_the_arena_that_most_of_its_blocks_and_entries_name() {
    // Empty blocks count as well.
    let heap = heap();
    let [arena, other] = [(); 2].map(|()| heap.add_arena().unwrap().id);
    let pool = heap.add_pool(arena, 512).unwrap().id;
    heap.add_block(pool).unwrap();
    heap.add_block(pool).unwrap();
    let before = rows(&heap);
    damage(&heap, &format!("UPDATE pools SET arena_id = {other} WHERE id = {pool}"));
    repair(&heap, "a pool of empty blocks elsewhere");
    assert_eq!(rows(&heap), before);

    // If the blocks are wrong too, entries decide.
    let heap = Heap::new();
    for number in 0..20 {
        heap.allocate(&number).unwrap();
    }
    let other = heap.add_arena().unwrap().id;
    let before = rows(&heap);
    damage(&heap, &format!("UPDATE pools SET arena_id = {other}"));
    damage(&heap, &format!("UPDATE blocks SET arena_id = {other}"));
    repair(&heap, "a pool and its blocks elsewhere");
    assert_eq!(rows(&heap), before);
}

#[test]
fn a_pool_that_does_not_fit_its_arena_is_removed_with_its_blocks() {
    let heap = heap();
    let before = contents(&heap);
    damage(
        &heap,
        "INSERT INTO pools (id, memram_id, arena_id, block_size, max_mem, mem, reserved)
         WITH RECURSIVE more (id) AS (VALUES (9000) UNION ALL SELECT id + 1 FROM more WHERE id < 9008)
         SELECT id, 1, (SELECT min(id) FROM arenas), 4096, 32768, 0, 4096 FROM more",
    );
    damage(
        &heap,
        "INSERT INTO blocks (id, memram_id, arena_id, pool_id, block_size, max_mem, mem, is_free)
         SELECT id, memram_id, arena_id, id, block_size, 4096, 0, TRUE FROM pools WHERE id BETWEEN 9000 AND 9008",
    );
    repair(&heap, "too many pools");
    assert_eq!(contents(&heap), before);
    for table in ["pools", "blocks"] {
        let last = format!("SELECT count(*) FROM {table} WHERE id = 9008");
        assert_eq!(number(&heap.sql(), &last), 0, "{table}");
    }
}
