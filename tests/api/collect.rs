//! Garbage collection removes empty blocks, then empty pools, then empty arenas, and then
//! gives free pages of the file back.

use crate::common::{Heap, KIB, MIB, assert_balanced, content, dump, files_only, number};
use heapledger::{Geometry, SizeClass};

#[test]
fn a_clean_heap_has_nothing_to_collect() {
    let heap = Heap::new();
    heap.collect_garbage().unwrap();
    heap.allocate_bytes(&content(1, 5000)).unwrap();
    heap.collect_garbage().unwrap();
    let before = dump(&heap.sql());
    let collected = heap.collect_garbage().unwrap();
    assert_eq!(
        (collected.blocks, collected.pools, collected.arenas, collected.bytes),
        (0, 0, 0, 0)
    );
    assert_eq!(collected.file_bytes, 0);
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn a_heap_without_objects_is_collected_down_to_its_space() {
    let heap = Heap::new();
    let sizes = [100, 5 * KIB, 100 * KIB, 300 * KIB];
    let ids: Vec<_> = sizes
        .iter()
        .zip(1..)
        .map(|(&size, seed)| heap.allocate_bytes(&content(seed, size)).unwrap())
        .collect();
    for id in &ids {
        heap.free(id).unwrap();
    }
    let sql = heap.sql();
    let count = |table: &str| number(&sql, &format!("SELECT count(*) FROM {table}")) as u64;
    let (blocks, pools, arenas) = (count("blocks"), count("pools"), count("arenas"));
    let reserved = heap.memram().unwrap().reserved;
    assert!(blocks > 0 && pools > 0 && arenas > 0);

    let collected = heap.collect_garbage().unwrap();
    assert_eq!(
        (collected.blocks, collected.pools, collected.arenas),
        (blocks, pools, arenas)
    );
    assert_eq!(collected.bytes, reserved);
    assert_eq!((count("blocks"), count("pools"), count("arenas")), (0, 0, 0));
    assert_eq!(heap.memram().unwrap().reserved, 0);
    assert_balanced(&heap);
}

#[test]
fn only_empty_rows_are_removed() {
    let heap = Heap::classic();
    let first = heap.allocate_bytes(&content(1, 512)).unwrap();
    let pool_and_a_half = heap.allocate_bytes(&content(2, 11 * 512)).unwrap();
    let last = heap.allocate_bytes(&content(3, 512)).unwrap();
    heap.free(&pool_and_a_half).unwrap();

    let collected = heap.collect_garbage().unwrap();
    assert_eq!((collected.blocks, collected.pools, collected.arenas), (11, 0, 0));
    assert_eq!(heap.get_bytes(&first).unwrap(), content(1, 512));
    assert_eq!(heap.get_bytes(&last).unwrap(), content(3, 512));
    assert_balanced(&heap);

    heap.free(&first).unwrap();
    let collected = heap.collect_garbage().unwrap();
    assert_eq!((collected.blocks, collected.pools, collected.arenas), (1, 1, 0));
    assert_balanced(&heap);
}

#[test]
fn a_block_that_is_partly_used_stays() {
    let heap = Heap::classic();
    let small = heap.allocate_bytes(&content(1, 10)).unwrap();
    let neighbour = heap.allocate_bytes(&content(2, 10)).unwrap();
    heap.free(&small).unwrap();
    let collected = heap.collect_garbage().unwrap();
    assert_eq!(collected.blocks, 0);
    assert_eq!(heap.get_bytes(&neighbour).unwrap(), content(2, 10));
}

#[test]
fn carved_rows_that_nothing_used_are_collected() {
    let heap = Heap::new();
    let arena = heap.add_arena().unwrap();
    let pool = heap.add_pool(arena.id, 512).unwrap();
    heap.add_pool(arena.id, 4096).unwrap();
    heap.add_block(pool.id).unwrap();
    let collected = heap.collect_garbage().unwrap();
    assert_eq!((collected.blocks, collected.pools, collected.arenas), (1, 2, 1));
    assert_balanced(&heap);
}

#[test]
fn ids_are_never_reused() {
    let heap = Heap::classic();
    let id = heap.allocate_bytes(&content(1, 700)).unwrap();
    let before = heap.ledger(&id).unwrap();
    heap.free(&id).unwrap();
    heap.collect_garbage().unwrap();
    let reopened = heap.open_again();
    let again = reopened.allocate_bytes(&content(1, 700)).unwrap();
    let after = reopened.ledger(&again).unwrap();
    assert!(after[0].id > before[1].id);
    assert!(after[0].block_id > before[1].block_id);
    assert!(after[0].pool_id > before[1].pool_id);
    assert!(after[0].arena_id > before[1].arena_id);
    assert!(after[0].stored_object_id > before[0].stored_object_id);
}

#[test]
fn the_file_shrinks() {
    files_only!(File);
    let heap = Heap::of(16 * MIB, Geometry::standard());
    let kept = heap.allocate("kept").unwrap();
    let large = heap.allocate_bytes(&content(1, 4 * MIB)).unwrap();
    let small: Vec<_> = (2..400)
        .map(|seed| heap.allocate_bytes(&content(seed, 2000)).unwrap())
        .collect();
    heap.free(&large).unwrap();
    for id in &small {
        heap.free(id).unwrap();
    }
    let collected = heap.collect_garbage().unwrap();
    assert!(collected.file_bytes >= 4 * MIB, "{collected:?}");
    assert!(collected.file_size < MIB, "{collected:?}");
    assert_eq!(std::fs::metadata(heap.address()).unwrap().len(), collected.file_size);
    assert_eq!(number(&heap.sql(), "PRAGMA freelist_count"), 0);
    assert_eq!(heap.get::<String>(&kept).unwrap(), "kept");
    assert_balanced(&heap);
}

#[test]
fn a_space_is_collected_without_touching_its_neighbour() {
    let heap = Heap::new();
    let other = crate::common::quick()
        .space("other")
        .max_mem(MIB)
        .open(heap.address())
        .unwrap();
    other.add_arena().unwrap();
    let id = heap.allocate_bytes(&content(1, 5000)).unwrap();
    heap.free(&id).unwrap();
    heap.collect_garbage().unwrap();
    assert_eq!(heap.memram().unwrap().reserved, 0);
    assert_eq!(other.memram().unwrap().arenas, 1);
    assert_balanced(&other);
}

/// More rows than one round of the collection removes.
#[test]
fn thousands_of_empty_rows_are_removed() {
    let class = SizeClass {
        block_size: 512,
        pool_size: 512,
    };
    let rows = 2_100;
    let heap = Heap::of(rows * 512, Geometry::new(512, 8, vec![class]).unwrap());
    let id = heap.allocate_bytes(&content(1, rows * 512)).unwrap();
    heap.free(&id).unwrap();
    let collected = heap.collect_garbage().unwrap();
    assert_eq!(
        (collected.blocks, collected.pools, collected.arenas, collected.bytes),
        (rows, rows, rows, rows * 512)
    );
    assert_eq!(heap.memram().unwrap().reserved, 0);
    assert_balanced(&heap);
}

/// The reader needs the file as it was when its transaction began.
#[test]
fn a_collection_during_a_snapshot_ends_and_reports_what_it_could_not_give_back() {
    files_only!(File);
    let heap = Heap::of(16 * MIB, Geometry::standard());
    let large = heap.allocate_bytes(&content(1, 4 * MIB)).unwrap();
    let memory = crate::common::quick()
        .busy_timeout(std::time::Duration::MAX)
        .open(heap.address())
        .unwrap();
    let snapshot = heap.snapshot().unwrap();
    heap.free(&large).unwrap();
    let on_disk = || std::fs::metadata(heap.address()).unwrap().len();
    let before = on_disk();

    let collected = memory.collect_garbage().unwrap();
    assert_eq!((collected.blocks, collected.arenas), (16, 16));
    assert!(collected.held_bytes >= 3 * MIB, "{collected:?}");
    assert_eq!(collected.file_size, on_disk());
    assert_eq!(
        collected.file_bytes,
        before - on_disk(),
        "reported as given back but still there"
    );
    assert_eq!(snapshot.get_bytes(&large).unwrap(), content(1, 4 * MIB));
    // Other writers are not blocked.
    crate::common::quick()
        .busy_timeout(std::time::Duration::ZERO)
        .open(heap.address())
        .unwrap()
        .allocate("meanwhile")
        .unwrap();

    drop(snapshot);
    let collected = memory.collect_garbage().unwrap();
    assert_eq!(collected.held_bytes, 0, "{collected:?}");
    assert_eq!(collected.file_size, on_disk());
    assert!(on_disk() < MIB, "{} bytes", on_disk());
    assert_balanced(&heap);
}

#[test]
fn many_rows_are_removed_in_several_transactions() {
    let heap = Heap::of(16 * MIB, Geometry::classic());
    let large = heap.allocate_bytes(&content(1, 2_500 * 512)).unwrap();
    heap.free(&large).unwrap();
    let plan = heap.plan_free(&[]).unwrap();
    let collected = heap.collect_garbage().unwrap();
    assert_eq!(plan.collected, collected);
    assert_eq!((collected.blocks, collected.pools, collected.arenas), (2_500, 313, 5));
    // 1,000 rows each; the last transaction leaves one event per level.
    let events = number(&heap.sql(), "SELECT count(*) FROM events WHERE kind = 'gc'");
    assert_eq!(events, 2 + 3);
    assert_eq!(heap.memram().unwrap().reserved, 0);
    assert_balanced(&heap);
}

#[test]
fn a_long_history_is_trimmed_to_its_end() {
    let heap = Heap::new();
    let neighbour = crate::common::quick().space("other").open(heap.address()).unwrap();
    heap.batch(|batch| {
        for _ in 0..10_000 {
            batch.allocate("again and again")?;
        }
        Ok(())
    })
    .unwrap();
    neighbour.allocate("kept").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    heap.set_history(heapledger::History::keep_for(std::time::Duration::from_millis(1)))
        .unwrap();
    let events = "SELECT count(*) FROM events WHERE memram_id = (SELECT id FROM memram WHERE name = 'main')";
    assert_eq!(number(&heap.sql(), events), 1);
    // More than one transaction removes.
    heap.batch(|batch| (0..10_000).try_for_each(|_| batch.allocate("again and again").map(drop)))
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    heap.collect_garbage().unwrap();
    assert_eq!(number(&heap.sql(), events), 1);
    assert_eq!(neighbour.events(Default::default()).count(), 2);
    assert_balanced(&heap);
}

/// A VACUUM with another setting leaves such a file.
#[test]
fn a_file_that_lost_its_auto_vacuum_shrinks_again() {
    files_only!(File);
    let heap = Heap::of(8 * MIB, Geometry::standard());
    let id = heap.allocate_bytes(&content(1, 4 * MIB)).unwrap();
    let path = heap.address().to_owned();
    let dir = heap.close();
    let sql = crate::common::sql(&path);
    sql.execute("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM; PRAGMA journal_mode = WAL");
    assert_eq!(number(&sql, "PRAGMA auto_vacuum"), 0);
    drop(sql);
    let memory = crate::common::quick().open(&path).unwrap();
    memory.free(&id).unwrap();
    let collected = memory.collect_garbage().unwrap();
    assert!(
        collected.file_bytes > 4_000_000 && collected.file_size < 1_000_000,
        "{collected:?}"
    );
    assert_eq!(number(&crate::common::sql(&path), "PRAGMA auto_vacuum"), 2);
    assert_balanced(&memory);
    drop(dir);
}
