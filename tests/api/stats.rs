//! The statistics agree with what SQL counts, and the buckets hold every byte.

use crate::common::{Heap, KIB, MIB, assert_balanced, content, number, pages, server, texts};
use heapledger::{Geometry, Hold};
use proptest::prelude::*;

/// Objects of several kinds and of every class, some of them freed.
fn lived_in() -> Heap {
    let heap = Heap::of(2 * MIB, Geometry::standard());
    for seed in 0..12 {
        heap.allocate_bytes(&content(seed, 100 + seed * seed * 700)).unwrap();
    }
    let ids = [
        heap.allocate(&1).unwrap(),
        heap.allocate(&2.5).unwrap(),
        heap.allocate("żółw").unwrap(),
    ];
    heap.store(&vec![1, 2], Hold::Name("list")).unwrap();
    heap.allocate("żółw").unwrap();
    heap.allocate(&()).unwrap();
    heap.free(&ids[0]).unwrap();
    heap.add_arena().unwrap();
    heap
}

#[test]
fn an_empty_heap_has_empty_statistics() {
    let heap = Heap::new();
    let stats = heap.stats().unwrap();
    assert_eq!((stats.mem, stats.objects, stats.entries, stats.arenas), (0, 0, 0, 0));
    assert_eq!((stats.max_mem, stats.available), (1024 * KIB, 1024 * KIB));
    assert_eq!(stats.pieces_per_object, None);
    assert!(stats.classes.iter().all(|class| class.utilisation.is_none()));
    assert!(stats.kinds.is_empty() && stats.largest.is_empty());
}

#[test]
fn the_buckets_are_those_of_the_trial_balance_and_hold_every_byte() {
    let heap = lived_in();
    let stats = heap.stats().unwrap();
    assert_eq!(stats.buckets, heap.trial_balance().unwrap());
    let sum: u64 = stats.buckets.iter().map(|bucket| bucket.bytes).sum();
    assert_eq!(sum, stats.max_mem);
    assert!(
        stats.buckets[..4].iter().all(|bucket| bucket.bytes > 0),
        "{:?}",
        stats.buckets
    );
    assert_eq!(stats.available, stats.max_mem - stats.mem);
}

#[test]
fn the_numbers_of_each_class_are_those_that_sql_counts() {
    let heap = lived_in();
    let sql = heap.sql();
    let classes = heap.stats().unwrap().classes;
    assert_eq!(classes.len(), 4);
    for class in classes {
        let size = class.totals.block_size;
        let count = |query: &str| number(&sql, &format!("{query} block_size = {size}")) as u64;
        assert_eq!(class.totals.pools, count("SELECT count(*) FROM pools WHERE"));
        assert_eq!(class.totals.blocks, count("SELECT count(*) FROM blocks WHERE"));
        assert_eq!(
            class.totals.full_blocks,
            count("SELECT count(*) FROM blocks WHERE NOT is_free AND")
        );
        assert_eq!(
            class.totals.empty_blocks,
            count("SELECT count(*) FROM blocks WHERE mem = 0 AND")
        );
        assert_eq!(
            class.partly_filled_blocks,
            count("SELECT count(*) FROM blocks WHERE mem BETWEEN 1 AND max_mem - 1 AND")
        );
        assert_eq!(class.totals.mem, count("SELECT sum(mem) FROM blocks WHERE"));
        assert_eq!(
            class.totals.entries,
            count("SELECT count(*) FROM ledger JOIN blocks ON blocks.id = block_id WHERE")
        );
        let utilisation = class.totals.mem as f64 / count("SELECT sum(max_mem) FROM blocks WHERE") as f64;
        assert_eq!(class.utilisation, Some(utilisation));
    }
}

#[test]
fn the_numbers_of_each_kind_are_those_that_sql_counts() {
    let heap = lived_in();
    let kinds = heap.stats().unwrap().kinds;
    let found: Vec<_> = kinds
        .iter()
        .map(|kind| format!("{} {} {}", kind.kind, kind.objects, kind.mem))
        .collect();
    let counted = texts(
        &heap.sql(),
        "SELECT kind || ' ' || count(*) || ' ' || sum(size) FROM stored_objects GROUP BY kind ORDER BY kind",
    );
    assert_eq!(found, counted);
    assert_eq!(kinds.len(), 5, "no kind without objects");
}

#[test]
fn the_totals_are_those_that_sql_counts() {
    let heap = lived_in();
    let sql = heap.sql();
    let stats = heap.stats().unwrap();
    assert_eq!(
        stats.objects as i64,
        number(&sql, "SELECT count(*) FROM stored_objects")
    );
    assert_eq!(stats.entries as i64, number(&sql, "SELECT count(*) FROM ledger"));
    assert_eq!(stats.arenas as i64, number(&sql, "SELECT count(*) FROM arenas"));
    assert_eq!(stats.reserved as i64, number(&sql, "SELECT sum(max_mem) FROM arenas"));
    assert_eq!(stats.mem as i64, number(&sql, "SELECT sum(length(data)) FROM ledger"));
    assert_eq!((stats.allocations, stats.frees, stats.dedup_hits), (17, 1, 1));
    assert_eq!(stats.dedup_saved, "żółw".len() as u64);
    assert_eq!(
        stats.pieces_per_object,
        Some(stats.entries as f64 / stats.objects as f64)
    );
    if server().is_none() {
        assert_eq!(
            stats.file_size,
            pages(&sql) as u64 * number(&sql, "PRAGMA page_size") as u64
        );
    }
}

#[test]
fn the_largest_objects_come_first() {
    let heap = lived_in();
    let found: Vec<_> = heap
        .stats()
        .unwrap()
        .largest
        .into_iter()
        .map(|object| object.object_id.to_hex())
        .collect();
    assert_eq!(
        found,
        texts(
            &heap.sql(),
            "SELECT object_id FROM stored_objects ORDER BY size DESC, id LIMIT 5"
        )
    );
}

#[test]
fn the_statistics_of_a_space_are_its_own() {
    let heap = lived_in();
    let other = crate::common::quick()
        .space("other")
        .max_mem(4 * KIB)
        .open(heap.address())
        .unwrap();
    other.allocate("alone").unwrap();
    let stats = other.stats().unwrap();
    assert_eq!(
        (stats.space.as_str(), stats.objects, stats.mem, stats.max_mem),
        ("other", 1, 5, 4096)
    );
    assert_eq!((stats.kinds.len(), stats.largest.len(), stats.arenas), (1, 1, 1));
}

#[test]
fn the_statistics_can_be_serialised() {
    let heap = lived_in();
    let stats = heap.stats().unwrap();
    let json = serde_json::to_value(&stats).unwrap();
    assert_eq!(json["max_mem"], 2_097_152);
    assert_eq!(json["buckets"][0]["bucket"], "payload");
    assert_eq!(json["classes"][0]["block_size"], 512);
}

proptest! {
    #![proptest_config(crate::common::cases(16))]

    #[test]
    fn counters_and_rows_agree_whatever_was_stored(
        sizes in prop::collection::vec(0u64..20_000, 0..20),
        max_mem in 1u64..200_000,
        classic in any::<bool>(),
    ) {
        let geometry = if classic { Geometry::classic() } else { Geometry::standard() };
        let heap = Heap::of(max_mem, geometry);
        for (size, seed) in sizes.iter().zip(0..) {
            // Some do not fit; the statistics must agree either way.
            let stored = heap.allocate_bytes(&content(seed, *size));
            if let (Ok(id), true) = (stored, seed % 3 == 0) {
                heap.free(&id).unwrap();
            }
        }
        prop_assert_eq!(heap.stats().unwrap().buckets, heap.trial_balance().unwrap());
        assert_balanced(&heap);
    }
}
