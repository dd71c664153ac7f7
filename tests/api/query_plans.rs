//! Looking something up costs no scan: each lookup that grows with the heap has an index,
//! and those for room and for emptiness are partial, so that full rows cost nothing.

use crate::common::{Heap, content, plan};

/// `query` is answered by a search in `index` alone, in its order.
fn searches(query: &str, index: &str) {
    let heap = Heap::new();
    for seed in 0..20 {
        heap.allocate_bytes(&content(seed, 700)).unwrap();
    }
    let plan = plan(&heap.sql(), query);
    assert!(plan.contains("SEARCH") && plan.contains(index), "{query}\n{plan}");
    assert!(
        !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
        "{query}\n{plan}"
    );
}

#[test]
fn blocks_with_room_in_id_order() {
    searches(
        "SELECT * FROM blocks WHERE memram_id = ?1 AND block_size = ?2 AND is_free = 1 AND id > ?3 ORDER BY id LIMIT 256",
        "blocks_with_room",
    );
}

#[test]
fn pools_with_room_in_id_order() {
    searches(
        "SELECT * FROM pools WHERE memram_id = ?1 AND block_size = ?2 AND reserved < max_mem AND id > ?3 ORDER BY id LIMIT 256",
        "pools_with_room",
    );
}

#[test]
fn arenas_with_room_in_id_order() {
    searches(
        "SELECT * FROM arenas WHERE memram_id = ?1 AND reserved < max_mem AND id > ?2 ORDER BY id LIMIT 256",
        "arenas_with_room",
    );
}

#[test]
fn empty_blocks() {
    searches(
        "SELECT * FROM blocks WHERE memram_id = ?1 AND mem = 0 ORDER BY id",
        "blocks_empty",
    );
}

#[test]
fn empty_pools() {
    searches(
        "SELECT * FROM pools WHERE memram_id = ?1 AND reserved = 0 ORDER BY id",
        "pools_empty",
    );
}

#[test]
fn empty_arenas() {
    searches(
        "SELECT * FROM arenas WHERE memram_id = ?1 AND reserved = 0 ORDER BY id",
        "arenas_empty",
    );
}

#[test]
fn the_bytes_of_an_object_by_its_id() {
    searches(
        "SELECT o.id, l.id, l.stored_object_id, l.rest, l.data FROM stored_objects o
         LEFT JOIN ledger l ON l.id >= o.id WHERE o.memram_id = ?1 AND o.object_id = ?2 ORDER BY l.id",
        "COVERING INDEX stored_objects_by_object_id",
    );
}

#[test]
fn an_object_by_its_id() {
    searches(
        "SELECT * FROM stored_objects WHERE memram_id = ?1 AND object_id = ?2",
        "stored_objects_by_object_id",
    );
}

#[test]
fn an_object_by_the_start_of_its_id() {
    searches(
        "SELECT object_id FROM stored_objects WHERE memram_id = ?1 AND object_id >= ?2 AND object_id < ?3 LIMIT 2",
        "stored_objects_by_object_id",
    );
}

#[test]
fn the_pieces_of_an_object_in_their_order() {
    searches(
        "SELECT * FROM ledger WHERE id >= ?1
           AND id < coalesce((SELECT min(id) FROM stored_objects WHERE id > ?1), 9223372036854775807)
           AND stored_object_id = ?1 ORDER BY id",
        "INTEGER PRIMARY KEY",
    );
}

#[test]
fn the_pieces_in_a_block() {
    searches("SELECT * FROM ledger WHERE block_id = ?1", "ledger_by_block");
}

#[test]
fn the_names_of_an_object() {
    searches("SELECT * FROM names WHERE stored_object_id = ?1", "names_by_object");
}

#[test]
fn the_largest_objects() {
    searches(
        "SELECT * FROM stored_objects WHERE memram_id = ?1 AND size >= 4096 ORDER BY size DESC LIMIT 10",
        "stored_objects_by_size",
    );
}

#[test]
fn what_keeps_an_arena() {
    let heap = Heap::new();
    for seed in 0..20 {
        heap.allocate_bytes(&content(seed, 700)).unwrap();
    }
    let query = "SELECT l.stored_object_id, count(*), sum(l.allocated_mem) FROM pools p \
                 CROSS JOIN blocks b ON b.pool_id = p.id CROSS JOIN ledger l ON l.block_id = b.id \
                 WHERE p.arena_id = ?1 GROUP BY l.stored_object_id";
    let plan = plan(&heap.sql(), query);
    for index in ["pools_by_arena", "blocks_by_pool", "ledger_by_block"] {
        assert!(plan.contains(index), "{plan}");
    }
    assert!(!plan.contains("SCAN"), "{plan}");
}

#[test]
fn one_object_of_the_view() {
    let heap = Heap::new();
    let plan = plan(&heap.sql(), "SELECT * FROM objects WHERE object_id = ?1 AND space = ?2");
    assert!(plan.contains("stored_objects_by_object_id"), "{plan}");
    // Its names, once they are found, are gone through in order.
    let tables = plan.replace("SCAN n", "");
    assert!(!tables.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
}
