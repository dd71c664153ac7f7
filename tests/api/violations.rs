//! The view `violations` and `check` name every broken rule, row by row.

use crate::common::{Heap, content, disguise, texts};
use heapledger::{CheckOptions, Hasher, Hold, Kind, MemManager};

/// Two objects, a name, and something in every table.
fn heap() -> Heap {
    let heap = Heap::classic();
    heap.store_bytes(&content(1, 1500), Hold::Name("it")).unwrap();
    heap.allocate("text").unwrap();
    heap
}

/// Breaks rules behind the library's back, past constraints where needed.
fn damage(heap: &Heap, statement: &str) {
    heap.sql().damage(statement);
}

fn found(memory: &MemManager) -> Vec<String> {
    let violations = memory.check().unwrap();
    violations
        .iter()
        .map(|violation| format!("{} {}", violation.invariant, violation.table))
        .collect()
}

#[test]
fn every_broken_rule_is_named() {
    for (rule, statement) in [
        (
            "I1 blocks",
            "UPDATE blocks SET mem = mem - 1, is_free = TRUE WHERE id = 1",
        ),
        ("I2 blocks", "UPDATE blocks SET is_free = TRUE WHERE mem = max_mem"),
        ("I3 pools", "UPDATE pools SET mem = mem + 1"),
        ("I3 pools", "UPDATE pools SET reserved = reserved - 1"),
        ("I3 pools", "UPDATE pools SET block_size = 777"),
        (
            "I3 size_classes",
            "UPDATE size_classes SET entries = entries + 1 WHERE block_size = 512",
        ),
        (
            "I3 size_classes",
            "UPDATE size_classes SET full_blocks = full_blocks + 1, blocks = blocks + 1 WHERE block_size = 512",
        ),
        ("I4 arenas", "UPDATE arenas SET mem = mem + 1"),
        ("I4 arenas", "UPDATE arenas SET reserved = reserved + 1"),
        ("I5 memram", "UPDATE memram SET mem = mem - 1"),
        ("I5 memram", "UPDATE memram SET reserved = reserved + 1"),
        ("I5 memram", "UPDATE memram SET arenas = arenas + 1"),
        (
            "I6 stored_objects",
            "UPDATE stored_objects SET size = size + 1 WHERE id = 1",
        ),
        ("I6 ledger", "UPDATE ledger SET seq = seq + 1 WHERE seq = 2"),
        ("I6 ledger", "DELETE FROM ledger WHERE seq = 1"),
        ("I6 stored_objects", "DELETE FROM ledger WHERE seq = 0"),
        ("I6 ledger", "UPDATE ledger SET start = start + 1 WHERE id = 1"),
        ("I6 ledger", "UPDATE ledger SET id = id + 100 WHERE id = 1"),
        (
            "I6 ledger",
            "UPDATE ledger SET data = zeroblob(allocated_mem + 1) WHERE id = 1",
        ),
        ("I7 ledger", "UPDATE ledger SET pool_id = pool_id + 1 WHERE id = 1"),
        ("I7 ledger", "UPDATE ledger SET arena_id = arena_id + 1 WHERE id = 1"),
        ("I7 blocks", "UPDATE blocks SET arena_id = arena_id + 1 WHERE id = 1"),
        (
            "I8 stored_objects",
            "UPDATE stored_objects SET object_id = 'abc' WHERE id = 1",
        ),
        (
            "I8 stored_objects",
            "UPDATE stored_objects SET object_id = upper(object_id)",
        ),
        ("I9 ledger", "DELETE FROM stored_objects WHERE id = 1"),
        ("I9 ledger", "DELETE FROM blocks WHERE id = 1"),
        ("I9 blocks", "DELETE FROM pools"),
        ("I9 pools", "DELETE FROM arenas"),
        ("I9 names", "UPDATE names SET stored_object_id = 999"),
        ("I9 stored_objects", "DELETE FROM names"),
        ("I9 stored_objects", "UPDATE stored_objects SET held = FALSE WHERE held"),
        ("I10 memram", "UPDATE memram SET peak_mem = mem - 1"),
        ("I10 memram", "UPDATE memram SET allocations = allocations + 1"),
        (
            "I10 kinds",
            "UPDATE other_kinds SET objects = objects + 1 WHERE kind = 'str'",
        ),
        ("I10 kinds", "UPDATE other_kinds SET mem = mem + 1 WHERE kind = 'str'"),
    ] {
        let heap = heap();
        damage(&heap, statement);
        let rows = texts(&heap.sql(), "SELECT invariant || ' ' || \"table\" FROM violations");
        assert!(
            rows.contains(&rule.to_owned()),
            "{statement}: the view finds {rows:?}, not {rule}"
        );
        let rows = found(&heap);
        assert!(
            rows.contains(&rule.to_owned()),
            "{statement}: check finds {rows:?}, not {rule}"
        );
    }
}

/// Reservations in every state, and a large object that is half stored.
#[test]
fn i12_what_is_promised_and_written_is_checked() {
    let heap = crate::reserve::every_state();
    assert_eq!(found(&heap), Vec::<String>::new());
    drop(heap);
    for (rule, statement) in [
        ("I12 memram", "UPDATE memram SET promised = promised + 1"),
        ("I12 memram", "UPDATE memram SET promised = 0"),
        (
            "I12 memram",
            "UPDATE reservations SET bytes = bytes + 1 WHERE key = 'open'",
        ),
        (
            "I12 memram",
            "UPDATE reservations SET state = 'voided', resolved_at = 1 WHERE key = 'open'",
        ),
        ("I12 memram", "DELETE FROM reservations WHERE key = 'open'"),
        (
            "I12 reservations",
            "UPDATE reservations SET written = written - 1 WHERE written > 0",
        ),
        (
            "I12 reservations",
            "UPDATE reservations SET entry_ids = 1 WHERE written > 0",
        ),
        (
            "I12 reservations",
            "UPDATE reservations SET stored_object_id = 1 WHERE key = 'open'",
        ),
        (
            "I9 ledger",
            "UPDATE reservations SET stored_object_id = NULL WHERE written > 0",
        ),
        (
            "I9 reservations",
            "UPDATE reservations SET memram_id = 9 WHERE key = 'open'",
        ),
        (
            "I7 reservations",
            "UPDATE reservations SET id = id + (1 << 40) WHERE key = 'open'",
        ),
        ("I10 kinds", "DELETE FROM reservations WHERE written > 0"),
    ] {
        let heap = crate::reserve::every_state();
        damage(&heap, statement);
        let rows = texts(&heap.sql(), "SELECT invariant || ' ' || \"table\" FROM violations");
        assert!(
            rows.contains(&rule.to_owned()),
            "{statement}: the view finds {rows:?}, not {rule}"
        );
        assert!(found(&heap).contains(&rule.to_owned()), "{statement}");
    }
}

#[test]
fn i8_a_changed_byte_is_found_only_by_hashing() {
    let heap = heap();
    damage(&heap, "UPDATE ledger SET data = zeroblob(allocated_mem) WHERE seq = 1");
    assert_eq!(
        texts(&heap.sql(), "SELECT invariant FROM violations"),
        Vec::<String>::new()
    );
    assert_eq!(found(&heap), ["I8 stored_objects"]);
    let quick = heap
        .check_with(CheckOptions::default().quick(true), &mut |_, _, _| {})
        .unwrap();
    assert!(quick.is_empty(), "a quick check reads no content");
}

#[test]
fn i8_the_last_of_many_objects_is_hashed_too() {
    let heap = Heap::new();
    heap.batch(|batch| (0..1300).try_for_each(|number| batch.allocate(&number).map(drop)))
        .unwrap();
    damage(
        &heap,
        "UPDATE ledger SET data = zeroblob(allocated_mem) WHERE id = (SELECT max(id) FROM ledger)",
    );
    assert_eq!(found(&heap), ["I8 stored_objects"]);
}

#[test]
fn i8_a_changed_kind_is_found() {
    let heap = heap();
    damage(&heap, "UPDATE stored_objects SET kind = 'int' WHERE kind = 'str'");
    assert!(found(&heap).contains(&"I8 stored_objects".to_owned()));
}

#[test]
fn i8_swapped_pieces_are_found() {
    let heap = heap();
    let first: String = content(1, 512).iter().map(|byte| format!("{byte:02x}")).collect();
    damage(
        &heap,
        "UPDATE ledger SET data = (SELECT data FROM ledger WHERE id = 2) WHERE id = 1",
    );
    damage(&heap, &format!("UPDATE ledger SET data = x'{first}' WHERE id = 2"));
    assert_eq!(found(&heap), ["I8 stored_objects"]);
}

#[test]
fn a_violation_states_expected_and_found_in_one_line() {
    let heap = heap();
    damage(&heap, "UPDATE arenas SET mem = mem + 1");
    let violations = heap.check().unwrap();
    let arena = violations.iter().find(|violation| violation.table == "arenas").unwrap();
    assert_eq!(arena.id, Some(1));
    assert!(
        arena.expected.contains("1504") && arena.found.contains("1505"),
        "{arena}"
    );
    let line = arena.to_string();
    assert!(
        !line.contains('\n') && line.contains("I4") && line.contains("1505"),
        "{line}"
    );
}

#[test]
fn a_check_reports_its_progress() {
    let heap = heap();
    let mut seen = Vec::new();
    let violations = heap
        .check_with(CheckOptions::default().quick(false), &mut |_, done, total| {
            seen.push((done, total))
        })
        .unwrap();
    assert!(violations.is_empty());
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&(1504, 1504)));
}

#[test]
fn damaged_content_is_not_returned_as_if_it_were_intact() {
    let heap = heap();
    let id = heap.resolve("it").unwrap().unwrap();
    damage(&heap, "DELETE FROM ledger WHERE seq = 1");
    assert!(heap.get_bytes(&id).is_err());
    let mut reader = heap.reader(&id).unwrap();
    assert!(std::io::copy(&mut reader, &mut std::io::sink()).is_err());
}

/// Contents with the right hash that are invalid for their kind, each of five bytes.
const DISGUISED: [(Kind, &[u8]); 9] = [
    (Kind::Int, b"hello"),
    (Kind::Int, b"00007"),
    (Kind::Float, b"1.000"),
    (Kind::Float, b"  NaN"),
    (Kind::Bool, b"maybe"),
    (Kind::None, b"thing"),
    (Kind::Str, b"caf\xe9!"),
    (Kind::Json, b"[1,2]]"),
    (Kind::Json, b"[ 1 ]"),
];

#[test]
fn content_invalid_for_its_kind_is_found_and_breaks_no_listing() {
    for (kind, bytes) in DISGUISED {
        let heap = Heap::new();
        heap.allocate("good").unwrap();
        heap.store(&"x".repeat(bytes.len()), Hold::Name("bad")).unwrap();
        let id = disguise(&heap.sql(), 2, kind, bytes);
        let found = found(&heap);
        assert!(
            found.contains(&"I8 stored_objects".to_owned()),
            "{kind} {bytes:?}: {found:?}"
        );
        let said = heap.check().unwrap();
        let said = said
            .iter()
            .find(|violation| violation.invariant.name() == "I8")
            .unwrap();
        assert!(said.found.contains(&format!("not of kind {kind}")), "{said}");
        assert_eq!(said.expected, format!("content of {id}"));
        assert_eq!(heap.objects().filter(Result::is_ok).count(), 2, "{kind} {bytes:?}");
        assert_eq!(heap.object_info(&id).unwrap().names, ["bad"]);
    }
}

#[test]
fn content_of_many_pieces_invalid_for_its_kind_is_found() {
    let heap = Heap::classic();
    let list: Vec<u64> = (0..1000).collect();
    heap.allocate(&list).unwrap();
    assert_eq!(heap.check().unwrap(), []);
    let id = heap.allocate_bytes(&serde_json::to_vec_pretty(&list).unwrap()).unwrap();
    let mut hasher = Hasher::new(Kind::Json);
    hasher.update(&heap.get_bytes(&id).unwrap());
    let new = hasher.finish();
    damage(
        &heap,
        &format!("UPDATE stored_objects SET kind = 'json', object_id = '{new}' WHERE object_id = '{id}'"),
    );
    assert!(found(&heap).contains(&"I8 stored_objects".to_owned()));
}
