//! No lookup scans: each lookup whose cost could grow with the heap has an index. Those for
//! rows with room and for empty rows are partial, so full rows cost nothing.
//!
//! The tests explain the statements that the library actually sends, not copies of them.

mod spy;

use heapledger::{ArenaId, BlockId, Geometry, Hold, MemManager, ObjectId, Policy};

use crate::common::{FilesOnly, Heap, KIB, MIB, content, files_only, is_skipped, plan, quick};
use spy::plans;

/// Named objects of six pieces each, in blocks of 512 bytes.
fn heap() -> Heap {
    let heap = Heap::of(4 * MIB, Geometry::classic());
    for seed in 0..20 {
        let name = format!("name {seed}");
        heap.store_bytes(&content(seed, 3000), Hold::Name(&name)).unwrap();
    }
    heap
}

fn first(heap: &Heap) -> ObjectId {
    heap.resolve("name 0").unwrap().unwrap()
}

/// Checks that each of `expected` is the plan of a statement that `run` sends, and that all
/// statements search and none sorts.
#[track_caller]
fn searches<T>(heap: &Heap, expected: &[&str], run: impl FnOnce(&MemManager) -> T) {
    let found = plans(heap, run);
    for plan in expected {
        assert!(found.contains(*plan), "{plan} is not among {found:#?}");
    }
    for plan in found {
        let sorts = plan.contains("TEMP B-TREE");
        assert!(!sorts || expected.contains(&&*plan), "{plan}");
    }
}

const BY_ID: &str =
    "SELECT: SEARCH stored_objects USING INDEX stored_objects_by_object_id (object_id=? AND memram_id=?)";
const BY_NAME: &str = "SELECT: SEARCH names USING PRIMARY KEY (memram_id=? AND name=?); \
     SEARCH stored_objects USING INTEGER PRIMARY KEY (rowid=?)";

#[test]
fn storing_finds_rows_with_room_in_id_order() {
    files_only!(Plans);
    let heap = heap();
    let room = [
        BY_ID,
        "SELECT: SEARCH blocks USING INDEX blocks_with_room (memram_id=? AND block_size=? AND id>?)",
        "SELECT: SEARCH pools USING INDEX pools_with_room (memram_id=? AND block_size=? AND id>?)",
        "SELECT: SEARCH arenas USING INDEX arenas_with_room (memram_id=? AND id>?)",
        "UPDATE: SEARCH blocks USING INTEGER PRIMARY KEY (rowid=?)",
        "UPDATE: SEARCH pools USING INTEGER PRIMARY KEY (rowid=?)",
        "UPDATE: SEARCH arenas USING INTEGER PRIMARY KEY (rowid=?)",
        "UPDATE: SEARCH memram USING INTEGER PRIMARY KEY (rowid=?)",
        "UPDATE: SEARCH size_classes USING PRIMARY KEY (memram_id=? AND block_size=?)",
    ];
    searches(&heap, &room, |memory| {
        memory.allocate_bytes(&content(100, 300 * KIB)).unwrap()
    });
    searches(&heap, &room[..3], |memory| {
        memory.allocate_from(&content(101, 300 * KIB)[..]).unwrap()
    });
    searches(&heap, &[BY_ID], |memory| {
        memory.allocate_bytes(&content(100, 300 * KIB)).unwrap()
    });
}

#[test]
fn names_are_found_by_what_they_begin_with_in_order() {
    files_only!(Plans);
    let heap = heap();
    let range = "SELECT: SEARCH n USING PRIMARY KEY (memram_id=? AND name>? AND name<?); \
         SEARCH o USING INTEGER PRIMARY KEY (rowid=?)";
    searches(&heap, &[range], |memory| memory.names_with_prefix("name 1").count());
    let folder = tempfile::tempdir().unwrap();
    let contents = "SELECT: SEARCH ledger USING INTEGER PRIMARY KEY (rowid=?)";
    let to = folder.path().join("to");
    searches(&heap, &[range, contents], |memory| memory.save_tree("", &to).unwrap());
}

#[test]
fn a_name_is_found_set_and_removed() {
    files_only!(Plans);
    let heap = heap();
    searches(&heap, &[BY_NAME], |memory| memory.resolve("name 1").unwrap());
    searches(&heap, &[BY_NAME, BY_ID], |memory| {
        memory.set("name 1", "another").unwrap()
    });
    searches(&heap, &[BY_NAME, BY_ID], |memory| {
        memory.get_by_name::<String>("name 1").unwrap()
    });
    let id = first(&heap);
    searches(&heap, &[BY_NAME, BY_ID], |memory| memory.bind("name 2", &id).unwrap());
    let removed = ["DELETE: SEARCH names USING PRIMARY KEY (memram_id=? AND name=?)"];
    searches(&heap, &removed, |memory| memory.unbind("name 2").unwrap());
}

#[test]
fn the_bytes_of_an_object_by_its_id() {
    files_only!(Plans);
    let heap = heap();
    let id = first(&heap);
    let pieces = "SELECT: SEARCH o USING INDEX stored_objects_by_object_id (object_id=? AND memram_id=?); \
         SEARCH l USING INTEGER PRIMARY KEY (rowid>?) LEFT-JOIN";
    searches(&heap, &[pieces], |memory| memory.get_bytes(&id).unwrap());
    let small = heap.allocate("in one piece").unwrap();
    let piece = "SELECT: SEARCH o USING COVERING INDEX stored_objects_by_object_id (object_id=? AND memram_id=?); \
         SEARCH l USING INTEGER PRIMARY KEY (rowid=?)";
    searches(&heap, &[piece], |memory| memory.get::<String>(&small).unwrap());
    let streamed = [BY_ID, "SELECT: SEARCH ledger USING INTEGER PRIMARY KEY (rowid=?)"];
    searches(&heap, &streamed, |memory| {
        std::io::copy(&mut memory.reader(&id).unwrap(), &mut std::io::sink()).unwrap()
    });
}

#[test]
fn an_object_by_its_id() {
    files_only!(Plans);
    let heap = heap();
    let id = first(&heap);
    searches(&heap, &[BY_ID], |memory| memory.contains(&id).unwrap());
    searches(&heap, &[BY_ID], |memory| memory.object_info(&id).unwrap());
}

#[test]
fn an_object_by_the_start_of_its_id() {
    files_only!(Plans);
    let heap = heap();
    let start = first(&heap).to_hex()[..8].to_owned();
    let range = "SELECT: SEARCH stored_objects USING INDEX stored_objects_by_object_id (object_id>? AND object_id<?)";
    searches(&heap, &[range], |memory| memory.find(&start).unwrap());
}

#[test]
fn the_pieces_of_an_object_in_their_order() {
    files_only!(Plans);
    let heap = heap();
    let id = first(&heap);
    let pieces = "SELECT: SEARCH l USING INTEGER PRIMARY KEY (rowid>? AND rowid<?); \
         SCALAR SUBQUERY 1; SEARCH o USING INTEGER PRIMARY KEY (rowid>?); \
         SCALAR SUBQUERY 2; SEARCH r USING COVERING INDEX sqlite_autoindex_reservations_1 (stored_object_id>?)";
    searches(&heap, &[BY_ID, pieces], |memory| memory.ledger(&id).unwrap());
}

#[test]
fn the_pieces_in_a_block() {
    files_only!(Plans);
    let pieces = "SELECT: SEARCH ledger USING INDEX ledger_by_block (block_id=?); \
         SEARCH stored_objects USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN; \
         SEARCH reservations USING COVERING INDEX sqlite_autoindex_reservations_1 (stored_object_id=?) LEFT-JOIN";
    searches(&heap(), &[pieces], |memory| memory.pieces_in(BlockId(1)).unwrap());
}

/// They are sorted, but found by an index.
#[test]
fn the_names_of_an_object() {
    files_only!(Plans);
    let heap = heap();
    let id = first(&heap);
    let names = "SELECT: SEARCH names USING INDEX names_by_object (stored_object_id=?); USE TEMP B-TREE FOR ORDER BY";
    searches(&heap, &[BY_ID, names], |memory| memory.names(&id).unwrap());
}

#[test]
fn freeing_finds_the_pieces_and_where_they_are() {
    files_only!(Plans);
    let heap = heap();
    let id = first(&heap);
    heap.allocate_bytes(&content(0, 3000)).unwrap();
    heap.unbind("name 0").unwrap();
    let placed = "SELECT: SEARCH o USING INDEX stored_objects_by_object_id (object_id=? AND memram_id=?); \
         SEARCH l USING INTEGER PRIMARY KEY (rowid>?) LEFT-JOIN; \
         SEARCH b USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN; \
         CORRELATED SCALAR SUBQUERY 1; SEARCH n USING COVERING INDEX names_by_object (stored_object_id=?); \
         CORRELATED SCALAR SUBQUERY 2; SEARCH n USING INDEX names_by_object (stored_object_id=?); \
         CORRELATED SCALAR SUBQUERY 3; SEARCH n USING COVERING INDEX names_expiring_by_object \
         (stored_object_id=? AND expires_at>?)";
    let pieces = "DELETE: SEARCH ledger USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
    searches(&heap, &[placed, pieces], |memory| memory.free(&id).unwrap());
}

#[test]
fn a_collection_finds_empty_rows() {
    files_only!(Plans);
    let heap = heap();
    for seed in 0..20 {
        heap.unbind(&format!("name {seed}")).unwrap();
    }
    let empty = [
        "SELECT: SEARCH blocks USING INDEX blocks_empty (memram_id=?)",
        "SELECT: SEARCH pools USING INDEX pools_empty (memram_id=?)",
        "SELECT: SEARCH arenas USING INDEX arenas_empty (memram_id=?)",
    ];
    searches(&heap, &empty, |memory| memory.collect_garbage().unwrap());
    assert_eq!(heap.arenas().unwrap().len(), 0);
}

#[test]
fn carving_ahead_searches() {
    files_only!(Plans);
    searches(&heap(), &[], |memory| {
        let arena = memory.add_arena().unwrap();
        let pool = memory.add_pool(arena.id, 512).unwrap();
        memory.add_block(pool.id).unwrap();
    });
}

#[test]
fn the_largest_objects_of_many() {
    files_only!(Plans);
    let heap = Heap::of(64 * MIB, Geometry::standard());
    let stored = heap.batch(|batch| {
        for seed in 0..1001 {
            batch.allocate_bytes(&content(seed, 8 + 4096 * (seed % 2)))?;
        }
        Ok(())
    });
    stored.unwrap();
    // Objects of the same size are sorted by id.
    let largest = "SELECT: SEARCH stored_objects USING INDEX stored_objects_by_size (memram_id=? AND size>?); \
         USE TEMP B-TREE FOR LAST TERM OF ORDER BY";
    let expired = "SELECT: SEARCH stored_objects USING INDEX stored_objects_expiring \
         (memram_id=? AND expires_at>? AND expires_at<?); USE TEMP B-TREE FOR GROUP BY";
    searches(&heap, &[largest, expired], |memory| memory.stats().unwrap());
}

/// The keys are in the order in which objects were stored, and an index has the large ones by size.
#[test]
fn what_is_evicted_first() {
    files_only!(Plans);
    let heap = heap();
    heap.allocate_bytes(&content(99, 5000)).unwrap();
    let by_size =
        "SELECT: SEARCH stored_objects USING INDEX stored_objects_by_size (memram_id=? AND size>? AND size<?)";
    let oldest = "SELECT: SEARCH stored_objects USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
    let names = "SELECT: SEARCH names USING INDEX names_by_object (stored_object_id=?); USE TEMP B-TREE FOR ORDER BY";
    let size = heap.memram().unwrap().available() + 1;
    for (policy, order) in [(Policy::Oldest, oldest), (Policy::Largest, by_size)] {
        heap.set_eviction(Some(policy.into())).unwrap();
        searches(&heap, &[order, names], |memory| memory.plan_eviction(size).unwrap());
    }
}

/// An index has the order of what goes by use, and each object is found by its key.
#[test]
fn what_is_evicted_first_by_use() {
    files_only!(Plans);
    let used = "SELECT: SEARCH stored_objects USING COVERING INDEX stored_objects_by_object_id (object_id=? AND memram_id=?); \
         SEARCH recency USING PRIMARY KEY (stored_object_id=?)";
    let last = "SELECT: SEARCH recency USING COVERING INDEX recency_in_order (memram_id=? AND queue=?)";
    let next = "SELECT: SEARCH recency USING INDEX recency_in_order (memram_id=? AND queue=? AND position>?); \
         SEARCH stored_objects USING INTEGER PRIMARY KEY (rowid=?)";
    let leaves = "DELETE: SEARCH recency USING PRIMARY KEY (stored_object_id=?)";
    let gone = "SELECT: SEARCH recency USING INDEX recency_gone (memram_id=? AND object_id=?)";
    let names = "SELECT: SEARCH names USING INDEX names_by_object (stored_object_id=?); USE TEMP B-TREE FOR ORDER BY";
    let by_queue = [names, used, last, next, leaves, gone];
    for (policy, expected) in [
        (Policy::Lru, &[names, used, last, next, leaves][..]),
        (Policy::Sieve, &[names, used, last, next, leaves]),
        (Policy::S3Fifo, &by_queue),
    ] {
        let heap = Heap::made(quick().max_mem(64 * KIB).evict(policy));
        let store = |memory: &MemManager, seed| memory.allocate_bytes(&content(seed, 5000)).unwrap();
        let ids: Vec<_> = (0..12).map(|seed| store(&heap, seed)).collect();
        searches(&heap, expected, |memory| {
            memory.get_bytes(&ids[3]).unwrap();
            // So many that s3-fifo forgets some.
            for seed in 100..140 {
                store(memory, seed);
            }
            memory.get_bytes(&ids[3]).ok();
            memory.plan_eviction(30_000).unwrap()
        });
    }
}

/// With few objects the library reads them all.
#[test]
#[should_panic(expected = "SCAN stored_objects")]
fn a_scan_is_noticed() {
    if is_skipped(FilesOnly::Plans) {
        panic!("SCAN stored_objects, if it were a file");
    }
    plans(&heap(), |memory| memory.stats().unwrap());
}

/// The objects of the arena are sorted by their bytes in it, and their names by name.
#[test]
fn the_objects_in_an_arena() {
    files_only!(Plans);
    let found = plans(&heap(), |memory| memory.sparse(Some(ArenaId(1))).unwrap());
    let uses = |index: &str| found.iter().any(|plan| plan.contains(index));
    for index in ["pools_by_arena", "blocks_by_pool", "ledger_by_block"] {
        assert!(uses(index), "{index}: {found:#?}");
    }
}

/// One statement reads all of it, and sorts nothing.
#[test]
fn the_layout_in_order() {
    files_only!(Plans);
    let layout = "SELECT: SEARCH a USING INTEGER PRIMARY KEY (rowid>? AND rowid<?); \
         SEARCH p USING INDEX pools_by_arena (arena_id=?) LEFT-JOIN; \
         SEARCH b USING INDEX blocks_by_pool (pool_id=?) LEFT-JOIN; \
         SEARCH l USING INDEX ledger_by_block (block_id=?) LEFT-JOIN";
    searches(&heap(), &[layout], |memory| memory.layout_digest().unwrap());
}

/// A query that people write, not one of the library.
#[test]
fn one_object_of_the_view() {
    files_only!(Plans);
    let plan = plan(
        &Heap::new().sql(),
        "SELECT * FROM objects WHERE object_id = ?1 AND space = ?2",
    );
    assert!(plan.contains("stored_objects_by_object_id"), "{plan}");
    // Scans only the names already found.
    let tables = plan.replace("SCAN n", "");
    assert!(!tables.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
}
