//! The order of eviction is checked, and repaired.

use heapledger::{Hold, Invariant, Policy};

use super::{cache, fill, planned, stored};
use crate::common::{Heap, assert_balanced, content};
use crate::{Clock, HOUR, assert_repaired};

/// A cache in which something is in each queue.
fn used() -> Heap {
    let heap = cache(Policy::S3Fifo);
    let ids = fill(&heap, &[2_000, 20_000, 15_000, 10_000]);
    for _ in 0..2 {
        heap.get_bytes(&ids[0]).unwrap();
    }
    heap.store_bytes(&content(9, 30_000), Hold::Name("new")).unwrap();
    heap.store_bytes(&content(10, 0), Hold::Name("empty")).unwrap();
    assert_eq!(stored(&heap, &ids), [true, false, true, true]);
    let memram = heap.memram().unwrap();
    assert_eq!((memram.evict_main, memram.evict_gone), (2_000, 20_000));
    heap
}

const WRONG: [&str; 18] = [
    "DELETE FROM recency",
    "DELETE FROM recency WHERE queue = 'main'",
    "INSERT INTO recency (stored_object_id, memram_id, queue, position, marks, size) VALUES (500, 1, 'main', 90, 0, 7)",
    "INSERT INTO recency (stored_object_id, memram_id, queue, position, marks, size) VALUES (500, 9, 'main', 90, 0, 7)",
    "INSERT INTO recency (stored_object_id, memram_id, queue, position, marks, size, object_id) \
        SELECT 500, 1, 'gone', 90, 0, 7, object_id FROM stored_objects WHERE size = 2000",
    "UPDATE recency SET memram_id = 2 WHERE queue = 'main'",
    "UPDATE recency SET size = size + 1 WHERE queue = 'trial'",
    "UPDATE recency SET size = size + 1 WHERE queue = 'gone'",
    "UPDATE recency SET stored_object_id = stored_object_id + 700 WHERE queue = 'main'",
    "UPDATE recency SET position = 3",
    "UPDATE recency SET queue = 'main' WHERE queue = 'trial'",
    "UPDATE memram SET evict = 'lru'",
    "UPDATE memram SET evict = 'oldest'",
    "UPDATE memram SET evict = NULL",
    "UPDATE memram SET evict_main = evict_main + 1",
    "UPDATE memram SET evict_main = 0, evict_gone = 0",
    "UPDATE memram SET evict_gone = evict_gone - 1",
    "UPDATE memram SET evict_hand = -5",
];

#[test]
fn i16_each_object_has_a_place_in_the_order() {
    for statement in WRONG {
        let heap = used();
        assert_repaired(&heap, statement, Invariant::I16);
    }
}

#[test]
fn a_place_that_is_impossible_is_removed() {
    for statement in [
        "UPDATE recency SET marks = 9 WHERE queue = 'main'",
        "UPDATE recency SET queue = 'none' WHERE queue = 'main'",
        "UPDATE recency SET size = 0",
        "UPDATE recency SET object_id = NULL",
    ] {
        let heap = used();
        heap.sql().damage(statement);
        assert!(!heap.check().unwrap().is_empty(), "{statement}");
        let repaired = heap.repair().unwrap();
        assert!(repaired.left.is_empty(), "{statement}: {repaired:?}");
        assert_balanced(&heap);
    }
}

#[test]
fn what_lost_its_place_goes_last_after_a_repair() {
    let heap = cache(Policy::Lru);
    let ids = fill(&heap, &[10_000, 10_000, 10_000]);
    heap.sql().execute("DELETE FROM recency WHERE position = 1");
    heap.repair().unwrap();
    assert_eq!(planned(&heap, 64_000), [ids[1], ids[2], ids[0]]);
    assert_balanced(&heap);
}

#[test]
fn other_policies_have_no_order_and_totals_of_none() {
    let clock = Clock::take();
    let heap = used();
    for policy in [Some(Policy::Oldest), Some(Policy::Sieve), None, Some(Policy::Lru)] {
        heap.set_eviction(policy.map(Into::into)).unwrap();
        assert_balanced(&heap);
        let main = if policy.is_some_and(|policy| policy != Policy::Oldest) {
            57_000
        } else {
            0
        };
        assert_eq!(heap.memram().unwrap().evict_main, main);
    }
    heap.store_bytes(&content(11, 10), Hold::Anonymous.expires_in(HOUR))
        .unwrap();
    clock.advance(HOUR);
    assert_balanced(&heap);
}

#[test]
fn a_space_that_is_dropped_breaks_no_rule_of_it() {
    let heap = used();
    let other = crate::common::quick()
        .space("other")
        .max_mem(1 << 20)
        .evict(Policy::Lru);
    let other = other.open(heap.address()).unwrap();
    fill(&other, &[1000, 2000]);
    heap.drop_space("other").unwrap();
    assert_balanced(&heap);
    assert_eq!(
        crate::common::number(&heap.sql(), "SELECT count(*) FROM recency WHERE memram_id = 2"),
        0
    );
}
