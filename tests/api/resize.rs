//! A space can be made larger at any time, and smaller down to what its arenas reserve.

use crate::common::{Heap, KIB, assert_balanced, content, dump};
use heapledger::{Error, Geometry};

#[test]
fn a_larger_space_accepts_what_did_not_fit() {
    let heap = Heap::of(1000, Geometry::standard());
    let (other_manager, clone) = (heap.open_again(), heap.clone());
    let first = heap.allocate_bytes(&content(1, 900)).unwrap();
    assert!(other_manager.allocate_bytes(&content(2, 101)).is_err());
    assert_eq!(heap.resize(5000).unwrap().max_mem, 5000);
    other_manager.allocate_bytes(&content(2, 101)).unwrap();
    clone.allocate_bytes(&content(3, 3999)).unwrap();
    assert!(matches!(
        heap.allocate_bytes(b"x"),
        Err(Error::OutOfMemory {
            needed: 1,
            available: 0,
            max_mem: 5000,
            ..
        })
    ));
    assert_eq!(heap.get_bytes(&first).unwrap(), content(1, 900));
    assert_balanced(&heap);
}

#[test]
fn a_smaller_space_refuses_what_fit_before() {
    let heap = Heap::new();
    heap.resize(1000).unwrap();
    assert!(matches!(
        heap.allocate_bytes(&content(1, 1001)),
        Err(Error::OutOfMemory { available: 1000, .. })
    ));
    heap.allocate_bytes(&content(1, 1000)).unwrap();
    assert_balanced(&heap);
}

#[test]
fn a_space_cannot_shrink_below_what_its_arenas_reserve() {
    let heap = Heap::new();
    let id = heap.allocate_bytes(&content(1, 10)).unwrap();
    let before = dump(&heap.sql());
    let error = heap.resize(256 * KIB - 1).unwrap_err();
    assert!(
        matches!(
            error,
            Error::CannotShrink {
                max_mem: 262_143,
                reserved: 262_144,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(dump(&heap.sql()), before);
    heap.resize(256 * KIB).unwrap();

    heap.free(&id).unwrap();
    heap.collect_garbage().unwrap();
    heap.resize(1).unwrap();
    assert_balanced(&heap);
}

#[test]
fn an_impossible_size_is_refused() {
    let heap = Heap::new();
    for size in [0, i64::MAX as u64 + 1] {
        assert!(matches!(heap.resize(size), Err(Error::BadMaxMem { max_mem }) if max_mem == size));
    }
    heap.resize(i64::MAX as u64).unwrap();
    heap.allocate("it").unwrap();
    assert_balanced(&heap);
}

#[test]
fn the_same_size_again_changes_nothing() {
    let heap = Heap::new();
    let before = dump(&heap.sql());
    heap.resize(heap.memram().unwrap().max_mem).unwrap();
    assert_eq!(dump(&heap.sql()), before);
}
