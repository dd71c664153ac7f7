//! The triggers seen from outside: after every write, the flags and totals of each level
//! agree with the level below.

use crate::common::{Heap, KIB, Sql, assert_balanced, content, number, texts};
use heapledger::{Hold, MemManager};

/// A few writes of every sort; calls `after_each` after each of them.
fn writes(memory: &MemManager, mut after_each: impl FnMut(&str)) {
    let small = memory.allocate_bytes(&content(1, 300)).unwrap();
    after_each("a small object");
    let medium = memory
        .store_bytes(&content(2, 300 * KIB), Hold::Name("medium"))
        .unwrap()
        .id;
    after_each("an object of several pieces");
    memory.allocate("").unwrap();
    after_each("an empty object");
    memory.allocate_bytes(&content(1, 300)).unwrap();
    after_each("the same again");
    memory.free(&small).unwrap();
    after_each("a free");
    memory.store_bytes(&content(3, 40 * KIB), Hold::Name("medium")).unwrap();
    after_each("a name that moves");
    assert!(!memory.contains(&medium).unwrap());
    let arena = memory.add_arena().unwrap().id;
    let pool = memory.add_pool(arena, 4 * KIB).unwrap().id;
    memory.add_block(pool).unwrap();
    after_each("carved rows");
    memory.unbind("medium").unwrap();
    after_each("an unbind");
    memory.collect_garbage().unwrap();
    after_each("a collection");
}

/// Runs the writes; after each, `query`, which lists violations, must find none.
fn holds_after_every_write(query: &str) {
    let heap = Heap::new();
    let sql = heap.sql();
    writes(&heap, |what| {
        assert_eq!(texts(&sql, query), Vec::<String>::new(), "after {what}")
    });
    assert_balanced(&heap);
}

#[test]
fn i1_a_block_counts_its_pieces_after_every_write() {
    holds_after_every_write(
        "SELECT 'block ' || id FROM blocks b
         WHERE mem <> (SELECT coalesce(sum(allocated_mem), 0) FROM ledger WHERE block_id = b.id)",
    );
}

#[test]
fn i2_a_block_is_free_exactly_while_it_has_room() {
    holds_after_every_write("SELECT 'block ' || id FROM blocks WHERE is_free <> (mem < max_mem)");
}

#[test]
fn i3_pool_totals_follow_every_write() {
    holds_after_every_write(
        "SELECT 'pool ' || p.id FROM pools p LEFT JOIN blocks b ON b.pool_id = p.id GROUP BY p.id
         HAVING p.mem <> coalesce(sum(b.mem), 0) OR p.reserved <> coalesce(sum(b.max_mem), 0)",
    );
}

#[test]
fn i3_class_totals_follow_every_write() {
    holds_after_every_write(
        "SELECT 'class ' || c.block_size FROM size_classes c
         LEFT JOIN blocks b ON b.memram_id = c.memram_id AND b.block_size = c.block_size
         GROUP BY c.memram_id, c.block_size
         HAVING c.mem <> coalesce(sum(b.mem), 0) OR c.blocks <> count(b.id)
             OR c.full_blocks <> count(b.id) FILTER (WHERE b.mem = b.max_mem)
             OR c.empty_blocks <> count(b.id) FILTER (WHERE b.mem = 0)",
    );
}

#[test]
fn i4_arena_totals_follow_every_write() {
    holds_after_every_write(
        "SELECT 'arena ' || a.id FROM arenas a LEFT JOIN pools p ON p.arena_id = a.id GROUP BY a.id
         HAVING a.mem <> coalesce(sum(p.mem), 0) OR a.reserved <> coalesce(sum(p.max_mem), 0)",
    );
}

#[test]
fn i5_space_totals_follow_every_write() {
    holds_after_every_write(
        "SELECT m.name FROM memram m LEFT JOIN arenas a ON a.memram_id = m.id GROUP BY m.id
         HAVING m.mem <> coalesce(sum(a.mem), 0) OR m.reserved <> coalesce(sum(a.max_mem), 0) OR m.arenas <> count(a.id)",
    );
}

#[test]
fn i10_peak_is_the_most_ever_stored() {
    let heap = Heap::new();
    let peak = || heap.memram().unwrap().peak_mem;
    let first = heap.allocate_bytes(&content(1, 3000)).unwrap();
    let second = heap.allocate_bytes(&content(2, 500)).unwrap();
    assert_eq!(peak(), 3500);
    heap.free(&first).unwrap();
    heap.allocate_bytes(&content(3, 2999)).unwrap();
    assert_eq!(peak(), 3500);
    heap.free(&second).unwrap();
    heap.allocate_bytes(&content(4, 502)).unwrap();
    assert_eq!(peak(), 3501);
}

#[test]
fn i10_the_peak_inside_a_batch_counts_too() {
    let heap = Heap::new();
    heap.batch(|batch| {
        let id = batch.allocate_bytes(&content(1, 5000))?;
        batch.free(&id)?;
        batch.allocate_bytes(&content(2, 10))
    })
    .unwrap();
    let space = heap.memram().unwrap();
    assert_eq!(
        (space.mem, space.peak_mem, space.allocations, space.frees),
        (10, 5000, 2, 1)
    );
}

#[test]
fn i10_lifetime_counters_count_objects_not_calls() {
    let heap = Heap::new();
    let counters = |sql: &Sql| {
        ["allocations", "frees", "dedup_hits", "dedup_saved"]
            .map(|column| number(sql, &format!("SELECT {column} FROM memram")))
    };
    let sql = heap.sql();
    let id = heap.allocate("12345").unwrap();
    assert_eq!(counters(&sql), [1, 0, 0, 0]);
    heap.store("12345", Hold::Name("it")).unwrap();
    assert_eq!(counters(&sql), [1, 0, 1, 5]);
    assert!(heap.free(&id).is_err());
    assert!(heap.allocate(&f64::NAN).is_err());
    assert_eq!(counters(&sql), [1, 0, 1, 5]);
    heap.force_free(&id).unwrap();
    assert_eq!(counters(&sql), [1, 1, 1, 5]);
}
