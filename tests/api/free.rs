//! Freeing gives back exactly the object's bytes, and touches no other object.

use crate::common::{Heap, KIB, assert_balanced, content, dump, number};
use heapledger::{Error, Hold, ObjectId};
use proptest::prelude::*;

#[test]
fn freeing_reports_what_was_freed() {
    let heap = Heap::classic();
    let id = heap.allocate_bytes(&content(1, 1300)).unwrap();
    let freed = heap.free(&id).unwrap();
    assert_eq!((freed.id, freed.size, freed.pieces, freed.names), (id, 1300, 3, vec![]));
    assert!(!heap.contains(&id).unwrap());
    let space = heap.memram().unwrap();
    assert_eq!(
        (space.mem, space.allocations, space.frees, space.peak_mem),
        (0, 1, 1, 1300)
    );
    assert_balanced(&heap);
}

#[test]
fn freeing_an_unknown_object_is_an_error() {
    let heap = Heap::new();
    let id = heap.allocate("once").unwrap();
    heap.free(&id).unwrap();
    let before = dump(&heap.sql());
    let missing = ObjectId::of("never").unwrap();
    for gone in [id, missing] {
        assert!(matches!(heap.free(&gone), Err(Error::NotStored { id, .. }) if id == gone));
        assert!(matches!(heap.force_free(&gone), Err(Error::NotStored { id, .. }) if id == gone));
    }
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn a_named_object_is_freed_only_by_force() {
    let heap = Heap::new();
    let id = heap.store("it", Hold::Name("b")).unwrap().id;
    heap.bind("a", &id).unwrap();
    let before = dump(&heap.sql());
    let error = heap.free(&id).unwrap_err();
    assert!(
        matches!(&error, Error::Named { names, .. } if *names == ["a", "b"]),
        "{error}"
    );
    assert_eq!(dump(&heap.sql()), before);

    let freed = heap.force_free(&id).unwrap();
    assert_eq!(freed.names, ["a", "b"]);
    assert_eq!(heap.resolve("a").unwrap(), None);
    assert_eq!(heap.resolve("b").unwrap(), None);
    assert_balanced(&heap);
}

#[test]
fn an_empty_object_is_freed_like_any_other() {
    let heap = Heap::new();
    let id = heap.allocate_bytes(b"").unwrap();
    let freed = heap.free(&id).unwrap();
    assert_eq!((freed.size, freed.pieces), (0, 0));
    assert!(!heap.contains(&id).unwrap());
    assert_balanced(&heap);
}

#[test]
fn blocks_stay_when_they_empty_and_are_filled_again() {
    let heap = Heap::classic();
    let first = heap.allocate_bytes(&content(1, 5 * KIB)).unwrap();
    let layout = heap.ledger(&first).unwrap();
    heap.free(&first).unwrap();
    assert_eq!(
        number(&heap.sql(), "SELECT count(*) FROM blocks WHERE mem = 0 AND is_free"),
        10
    );
    let second = heap.allocate_bytes(&content(2, 5 * KIB)).unwrap();
    let blocks = |entries: &[heapledger::Ledger]| entries.iter().map(|entry| entry.block_id).collect::<Vec<_>>();
    assert_eq!(blocks(&heap.ledger(&second).unwrap()), blocks(&layout));
    assert_balanced(&heap);
}

#[test]
fn a_full_heap_accepts_exactly_as_much_as_was_freed() {
    let heap = Heap::classic();
    let whole = heap.memram().unwrap().max_mem;
    heap.allocate_bytes(&content(1, whole - 777)).unwrap();
    let last = heap.allocate_bytes(&content(2, 777)).unwrap();
    assert!(matches!(
        heap.allocate_bytes(b"x"),
        Err(Error::OutOfMemory {
            needed: 1,
            available: 0,
            ..
        })
    ));
    heap.free(&last).unwrap();
    assert!(matches!(
        heap.allocate_bytes(&content(3, 778)),
        Err(Error::OutOfMemory {
            needed: 778,
            available: 777,
            ..
        })
    ));
    heap.allocate_bytes(&content(4, 777)).unwrap();
    assert_balanced(&heap);
}

proptest! {
    #![proptest_config(crate::common::cases(24))]

    #[test]
    fn freeing_some_leaves_the_others_byte_for_byte(
        sizes in prop::collection::vec(8u64..3000, 2..16),
        freed in prop::collection::vec(any::<bool>(), 16),
    ) {
        let heap = Heap::new();
        let contents: Vec<_> = sizes.iter().zip(0..).map(|(&size, seed)| content(seed, size)).collect();
        let ids: Vec<_> = contents.iter().map(|content| heap.allocate_bytes(content).unwrap()).collect();
        for (id, _) in ids.iter().zip(&freed).filter(|(_, freed)| **freed) {
            heap.free(id).unwrap();
        }
        for ((id, content), freed) in ids.iter().zip(&contents).zip(&freed) {
            prop_assert_eq!(heap.contains(id).unwrap(), !freed);
            if !freed {
                prop_assert_eq!(&heap.get_bytes(id).unwrap(), content);
            }
        }
        assert_balanced(&heap);
    }
}
