//! The same value is stored once, however often it is allocated.

#![cfg(test)]

mod common;

use std::io::Cursor;

use common::{Heap, MIB, assert_balanced, content, quick, row_counts};
use heapledger::{Geometry, Hold};

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
fn a_full_heap_still_takes_what_it_has() {
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
fn one_free_ends_an_object_however_often_it_was_allocated() {
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
fn kinds_keep_apart_what_is_spelled_alike() {
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
fn bytes_are_one_object_whichever_way_they_come() {
    let heap = Heap::new();
    let bytes = content(1, 300_000);
    let id = heap.allocate_bytes(&bytes).unwrap();
    assert!(heap.store_from(Cursor::new(&bytes), Hold::Anonymous).unwrap().dedup);
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let from_file = heap.store_file(&mut file, Hold::Name("file")).unwrap();
    assert_eq!((from_file.id, from_file.dedup), (id, true));
    assert_balanced(&heap);
}

#[test]
fn spaces_do_not_share_objects() {
    let heap = Heap::new();
    let other = quick().space("other").max_mem(MIB).open(heap.path()).unwrap();
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
