//! The same value is stored once, however often it is allocated.

use std::io::{Cursor, Seek, Write};

use crate::common::{Heap, MIB, assert_balanced, content, dump, quick, row_counts};
use heapledger::{
    Allocation, Error, EventFilter, EventId, EventKind, Geometry, Hold, MemManager, Moment, Phase, Result,
};

#[test]
fn the_same_value_again_takes_no_more_room() {
    let heap = Heap::new();
    let first = heap.store_bytes(&content(1, 3000), Hold::Anonymous).unwrap();
    let rows = row_counts(&heap.sql());
    let again = heap.store_bytes(&content(1, 3000), Hold::Anonymous).unwrap();
    assert_eq!((first.dedup, again.dedup), (false, true));
    assert_eq!(
        (again.id, again.size, again.pieces),
        (first.id, first.size, first.pieces)
    );
    assert_eq!(row_counts(&heap.sql()), rows);
    let space = heap.memram().unwrap();
    assert_eq!(
        (space.mem, space.allocations, space.dedup_hits, space.dedup_saved),
        (3000, 1, 1, 3000)
    );
    assert_balanced(&heap);
}

#[test]
fn a_full_heap_still_accepts_what_it_already_stores() {
    let heap = Heap::of(1000, Geometry::standard());
    let whole = content(1, 1000);
    let id = heap.allocate_bytes(&whole).unwrap();
    assert_eq!(heap.allocate_bytes(&whole).unwrap(), id);
    assert_eq!(heap.allocate_from(Cursor::new(&whole)).unwrap(), id);
    assert_balanced(&heap);
}

#[test]
fn an_anonymous_allocation_of_a_named_object_holds_it_too() {
    let heap = Heap::new();
    let named = heap.store("it", Hold::Name("it")).unwrap();
    let again = heap.store("it", Hold::Anonymous).unwrap();
    assert!(again.dedup);
    assert!(heap.object(&named.id).unwrap().held);
    assert!(heap.unbind("it").unwrap().is_none());
    assert!(heap.contains(&named.id).unwrap());
    assert_balanced(&heap);
}

#[test]
fn naming_a_stored_value_keeps_its_anonymous_hold() {
    let heap = Heap::new();
    let id = heap.allocate("it").unwrap();
    let named = heap.store("it", Hold::Name("it")).unwrap();
    assert!(named.dedup);
    assert_eq!(named.id, id);
    assert!(heap.object(&id).unwrap().held);
    assert!(heap.unbind("it").unwrap().is_none());
    assert_balanced(&heap);
}

#[test]
fn one_free_removes_an_object_however_often_it_was_allocated() {
    let heap = Heap::new();
    let id = heap.allocate("it").unwrap();
    heap.allocate("it").unwrap();
    heap.free(&id).unwrap();
    assert!(!heap.contains(&id).unwrap());
    let stored_anew = heap.store("it", Hold::Anonymous).unwrap();
    assert!(!stored_anew.dedup);
    assert_eq!(stored_anew.id, id);
    assert_balanced(&heap);
}

#[test]
fn equal_texts_of_different_kinds_are_different_objects() {
    let heap = Heap::new();
    let ids = [
        heap.allocate(&7).unwrap(),
        heap.allocate("7").unwrap(),
        heap.allocate_bytes(b"7").unwrap(),
        heap.allocate(&7.0).unwrap(),
        heap.allocate(&[7]).unwrap(),
    ];
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[..index].contains(id));
    }
    assert_eq!(heap.memram().unwrap().dedup_hits, 0);
    assert_balanced(&heap);
}

#[test]
fn equal_bytes_are_one_object_whichever_call_stores_them() {
    let heap = Heap::new();
    let bytes = content(1, 300_000);
    let id = heap.allocate_bytes(&bytes).unwrap();
    assert!(heap.store_from(Cursor::new(&bytes), Hold::Anonymous).unwrap().dedup);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.rewind().unwrap();
    let from_file = heap.store_file(&mut file, Hold::Name("file")).unwrap();
    assert_eq!((from_file.id, from_file.dedup), (id, true));
    assert_balanced(&heap);
}

#[test]
fn spaces_do_not_share_objects() {
    let heap = Heap::new();
    let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
    let here = heap.store("it", Hold::Anonymous).unwrap();
    let there = other.store("it", Hold::Anonymous).unwrap();
    assert_eq!(here.id, there.id);
    assert!(!there.dedup);
    heap.free(&here.id).unwrap();
    assert_eq!(other.get_bytes(&there.id).unwrap(), b"it");
    assert_eq!(other.get::<String>(&there.id).unwrap(), "it");
    assert!(heap.get_bytes(&here.id).is_err());
    heap.store("it", Hold::Anonymous).unwrap();
    other.free(&there.id).unwrap();
    assert_eq!(heap.get_bytes(&here.id).unwrap(), b"it");
    assert!(other.get_bytes(&there.id).is_err());
    assert_balanced(&other);
}

/// Damages the first byte of the pieces for which `which` is true.
fn damage(heap: &Heap, which: &str) {
    let bytes = format!("CAST(x'00' || substr(data, 2) AS BLOB) WHERE substr(data, 1, 1) <> x'00' AND {which}");
    heap.sql().change(&format!("UPDATE ledger SET data = {bytes}"));
}

/// A way to store bytes that are already stored.
type Way<'w> = (&'static str, &'w dyn Fn(&MemManager, &[u8]) -> Result<Allocation>);

fn ways() -> Vec<Way<'static>> {
    vec![
        ("store_bytes", &|memory, bytes| {
            memory.store_bytes(bytes, Hold::Anonymous)
        }),
        ("store_from", &|memory, bytes| {
            memory.store_from(bytes, Hold::Name("it"))
        }),
        ("store_file", &|memory, bytes| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            memory.store_file(&mut file, Hold::Anonymous)
        }),
        ("batch", &|memory, bytes| {
            memory.batch(|batch| batch.store_bytes(bytes, Hold::Anonymous))
        }),
    ]
}

#[test]
fn a_full_heap_accepts_stored_bytes_again_through_every_call() {
    let heap = Heap::new();
    let bytes = content(1, MIB);
    heap.allocate_bytes(&bytes).unwrap();
    for (way, store) in ways() {
        let again = store(&heap, &bytes).unwrap_or_else(|error| panic!("{way}: {error}"));
        assert!(again.dedup, "{way}");
    }
    assert_balanced(&heap);
}

#[test]
fn storing_damaged_bytes_again_repairs_them_and_is_recorded() {
    for geometry in [Geometry::standard(), Geometry::classic()] {
        // More pieces than one comparison reads; the last one is short.
        let bytes = content(1, 60 * 512 + 7);
        for (way, store) in ways() {
            let heap = Heap::of(MIB, geometry.clone());
            let neighbour = heap.allocate_bytes(&content(2, 100)).unwrap();
            let stored = heap.store_bytes(&bytes, Hold::Anonymous).unwrap();
            let used = heap.memram().unwrap().mem;
            let last = stored.pieces - 1;
            damage(&heap, &format!("stored_object_id > 1 AND seq IN (0, {last})"));
            assert!(!heap.check().unwrap().is_empty());

            let again = store(&heap, &bytes).unwrap_or_else(|error| panic!("{way}: {error}"));
            assert!(again.dedup, "{way}");
            assert_eq!((again.id, again.pieces), (stored.id, stored.pieces), "{way}");
            let repaired: u64 = heap
                .ledger(&stored.id)
                .unwrap()
                .iter()
                .filter(|entry| entry.seq == 0 || entry.seq == last)
                .map(|entry| entry.allocated_mem)
                .sum();
            assert_eq!(again.repaired, repaired, "{way}");
            assert_eq!(heap.get_bytes(&stored.id).unwrap(), bytes, "{way}");
            assert_eq!(heap.get_bytes(&neighbour).unwrap(), content(2, 100));
            assert_eq!(store(&heap, &bytes).unwrap().repaired, 0, "{way}");

            let repairs: Vec<_> = heap
                .events(EventFilter::default())
                .map(Result::unwrap)
                .filter(|event| event.kind == EventKind::Repair)
                .collect();
            assert_eq!(repairs.len(), 1, "{way}");
            assert_eq!(repairs[0].bytes as u64, repaired);
            assert_eq!(repairs[0].object, Some(stored.id));
            // No piece moved, so earlier layouts can still be reconstructed.
            let before = Moment::Event(EventId(repairs[0].id.0 - 1));
            assert_eq!(heap.layout_at(before).unwrap().mem, used);
            assert_balanced(&heap);
        }
    }
}

#[test]
fn a_value_is_repaired_like_bytes() {
    let heap = Heap::new();
    let id = heap.allocate(&vec!["one", "two"]).unwrap();
    damage(&heap, "TRUE");
    let again = heap.store(&vec!["one", "two"], Hold::Anonymous).unwrap();
    assert_eq!((again.id, again.repaired), (id, 13));
    assert_eq!(heap.get::<Vec<String>>(&id).unwrap(), ["one", "two"]);
    assert_balanced(&heap);
}

#[test]
fn an_import_repairs_the_objects_it_contains() {
    let heap = Heap::new();
    let id = heap.store_bytes(&content(1, 3000), Hold::Name("it")).unwrap().id;
    let export = tempfile::tempdir().unwrap();
    heap.export(export.path()).unwrap();
    damage(&heap, "TRUE");
    assert!(!heap.check().unwrap().is_empty());
    let imported = heap.import(export.path()).unwrap();
    assert_eq!(imported.dedup_hits, 1);
    assert_eq!(heap.get_bytes(&id).unwrap(), content(1, 3000));
    assert_balanced(&heap);
}

/// Longer than a writer's cache, so it is read before the writer's turn.
#[test]
fn a_large_object_is_repaired_like_a_small_one() {
    let heap = Heap::of(80 * MIB, Geometry::standard());
    let bytes = content(1, 33 * MIB);
    let id = heap.allocate_from(Cursor::new(&bytes)).unwrap();
    assert_eq!(
        heap.store_from(Cursor::new(&bytes), Hold::Anonymous).unwrap().repaired,
        0
    );
    damage(&heap, "seq = 70");
    let again = heap.store_from(Cursor::new(&bytes), Hold::Anonymous).unwrap();
    assert_eq!(again.repaired, 256 * 1024);
    assert_eq!(heap.get_bytes(&id).unwrap(), bytes);
    assert_balanced(&heap);
}

#[test]
fn damage_that_cannot_be_repaired_in_place_is_refused() {
    for broken in [
        "DELETE FROM ledger WHERE seq = 1",
        "DELETE FROM ledger WHERE seq = 2",
        "DELETE FROM ledger",
        "UPDATE ledger SET start = start + 1 WHERE seq = 0",
        "UPDATE ledger SET seq = 9, id = id + 8 WHERE seq = 1",
        "UPDATE stored_objects SET size = size - 1",
    ] {
        let heap = Heap::classic();
        let bytes = content(1, 3 * 512);
        heap.allocate_bytes(&bytes).unwrap();
        heap.sql().execute(broken);
        let before = heap.memram().unwrap();
        let error = heap.allocate_bytes(&bytes).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{broken}: {error:?}");
        assert_eq!(heap.memram().unwrap(), before, "{broken}");
    }
}

/// A large file of a size that is stored is read twice, and the second read is compared with the
/// stored bytes.
#[cfg(unix)]
#[test]
fn a_file_that_changes_before_the_comparison_repairs_nothing() {
    use std::os::unix::fs::FileExt;

    let heap = Heap::of(32 * MIB, Geometry::standard());
    let bytes = content(1, 9 * MIB);
    heap.allocate_bytes(&bytes).unwrap();
    damage(&heap, "seq = 0");
    let before = dump(&heap.sql());
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.rewind().unwrap();
    let other = file.try_clone().unwrap();
    let stored = heap.store_file_with(&mut file, Hold::Anonymous, &mut |phase, _, _| {
        if phase == Phase::Waiting {
            other.write_all_at(b"something else", 30_000).unwrap();
        }
    });
    let error = stored.unwrap_err().to_string();
    assert!(error.contains("changed while it was read"), "{error}");
    assert_eq!(dump(&heap.sql()), before);
}
