//! The bound is hard: everything that fits is accepted, to the last byte; anything else is
//! refused with the figures and leaves no trace.

use crate::common::{Heap, KIB, assert_balanced, content, dump};
use heapledger::{Error, Geometry, Hold};
use proptest::prelude::*;

#[test]
fn a_refusal_gives_the_figures_and_advice() {
    let heap = Heap::of(64 * KIB, Geometry::standard());
    heap.allocate_bytes(&content(1, 63 * KIB)).unwrap();
    let error = heap.allocate_bytes(&content(2, 70_000)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "out of memory: 70,000 bytes needed, 1,024 of 65,536 free; free objects, or make the space larger with MemManager::resize"
    );
}

#[test]
fn a_refusal_leaves_no_trace() {
    let heap = Heap::of(10_000, Geometry::standard());
    let id = heap.store_bytes(&content(1, 9000), Hold::Name("it")).unwrap().id;
    let before = dump(&heap.sql());
    assert!(heap.allocate_bytes(&content(2, 1001)).is_err());
    assert!(
        heap.store_bytes(&content(2, 9000), Hold::Name("it")).is_err(),
        "the object that the name holds does not count as free"
    );
    assert_eq!(heap.resolve("it").unwrap(), Some(id));
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn an_object_may_fill_the_space_to_the_last_byte() {
    for max_mem in [1, 511, 512, 513, 4095, 4097, 32_769, 100_003, 262_143, 262_145, 600_001] {
        for geometry in [Geometry::standard(), Geometry::classic()] {
            let heap = Heap::of(max_mem, geometry);
            let error = heap.allocate_bytes(&content(1, max_mem + 1)).unwrap_err();
            assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
            let id = heap.allocate_bytes(&content(2, max_mem)).unwrap();
            assert_eq!(heap.get_bytes(&id).unwrap(), content(2, max_mem));
            assert_balanced(&heap);
        }
    }
}

#[test]
fn an_empty_object_fits_a_full_space() {
    let heap = Heap::of(1, Geometry::standard());
    heap.allocate_bytes(b"x").unwrap();
    heap.allocate_bytes(b"").unwrap();
    heap.allocate(&()).unwrap();
    assert_balanced(&heap);
}

#[test]
fn the_room_of_every_class_is_used_before_anything_is_refused() {
    let heap = Heap::of(300 * KIB, Geometry::standard());
    // One object in each class, so that every class has pools with room.
    let used = [100, 5000, 40_000];
    for (size, seed) in used.into_iter().zip(0..) {
        heap.allocate_bytes(&content(seed, size)).unwrap();
    }
    let left = 300 * KIB - used.iter().sum::<u64>();
    let mut filled = 0;
    for seed in 100.. {
        let size = 1499.min(left - filled);
        if size == 0 {
            break;
        }
        heap.allocate_bytes(&content(seed, size)).unwrap();
        filled += size;
    }
    assert_eq!(heap.memram().unwrap().available(), 0);
    assert_balanced(&heap);
}

proptest! {
    #![proptest_config(crate::common::cases(24))]

    #[test]
    fn an_object_fits_exactly_if_it_is_at_most_as_large_as_the_free_bytes(
        max_mem in 1u64..60_000,
        sizes in prop::collection::vec(8u64..20_000, 1..24),
    ) {
        let heap = Heap::of(max_mem, Geometry::standard());
        let mut free = max_mem;
        for (size, seed) in sizes.into_iter().zip(0..) {
            match heap.allocate_bytes(&content(seed, size)) {
                Ok(_) => {
                    prop_assert!(size <= free);
                    free -= size;
                }
                Err(Error::OutOfMemory { needed, available, max_mem: bound, .. }) => {
                    prop_assert!(size > free);
                    prop_assert_eq!((needed, available, bound), (size, free, max_mem));
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
        assert_balanced(&heap);
    }
}
