//! The ten tasks that the project started from, with a test for each.

use std::collections::BTreeMap;

use crate::common::{Heap, KIB, MIB, assert_balanced, content};
use heapledger::{Arena, Block, BucketName, Error, Geometry, Kind, Ledger, MemManager, Pool};
use serde::{Deserialize, Serialize};

fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.sum()
}

fn pools_of(memory: &MemManager) -> Vec<Pool> {
    memory
        .arenas()
        .unwrap()
        .iter()
        .flat_map(|arena| memory.pools(arena.id).unwrap())
        .collect()
}

fn blocks_of(memory: &MemManager) -> Vec<Block> {
    pools_of(memory)
        .iter()
        .flat_map(|pool| memory.blocks(pool.id).unwrap())
        .collect()
}

#[test]
fn task_01_classes_for_arena_pool_and_block() {
    let heap = Heap::classic();
    heap.allocate_bytes(&content(1, 5 * KIB)).unwrap();
    let arena: Arena = heap.arenas().unwrap().remove(0);
    let pools: Vec<Pool> = heap.pools(arena.id).unwrap();
    let blocks: Vec<Block> = heap.blocks(pools[0].id).unwrap();
    assert_eq!(
        (arena.max_mem, pools[0].max_mem, blocks[0].max_mem),
        (262_144, 4096, 512)
    );
    assert_eq!(arena.mem, sum(pools.iter().map(|pool| pool.mem)));
    assert_eq!(pools[0].mem, sum(blocks.iter().map(|block| block.mem)));
    assert_eq!(blocks.len(), 8);
    assert_balanced(&heap);
}

#[test]
fn task_02_allocate_and_deallocate() {
    let heap = Heap::classic();
    let id = heap.allocate_bytes(&content(1, 1000)).unwrap();
    assert_eq!(heap.memram().unwrap().mem, 1000);
    assert_eq!(heap.get_bytes(&id).unwrap(), content(1, 1000));
    heap.free(&id).unwrap();
    assert_eq!(heap.memram().unwrap().mem, 0);
    assert!(!heap.contains(&id).unwrap());
    assert_balanced(&heap);
}

#[test]
fn task_03_custom_data_types() {
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Order {
        customer: String,
        lines: BTreeMap<String, u32>,
        paid: bool,
    }
    let heap = Heap::new();
    let order = Order {
        customer: "Ada".into(),
        lines: BTreeMap::from([("engine".into(), 1), ("card".into(), 1000)]),
        paid: false,
    };
    let id = heap.allocate(&order).unwrap();
    assert_eq!(heap.get::<Order>(&id).unwrap(), order);
    assert!(heap.object(&id).unwrap().type_name.unwrap().ends_with("Order"));
    assert_balanced(&heap);
}

#[test]
fn task_04_a_new_pool_comes_when_the_pools_are_full() {
    let heap = Heap::classic();
    for (full, pools) in [(8, 1), (16, 2), (24, 3)] {
        for block in full - 8..full {
            heap.allocate_bytes(&content(block, 512)).unwrap();
            assert_eq!(pools_of(&heap).len(), pools);
        }
    }
    assert!(pools_of(&heap).iter().all(|pool| pool.mem == pool.max_mem));
    assert_eq!(heap.arenas().unwrap().len(), 1);
    assert_balanced(&heap);
}

#[test]
fn task_05_free_blocks_are_tracked_and_used_again() {
    let heap = Heap::classic();
    let ids: Vec<_> = (0..8)
        .map(|seed| heap.allocate_bytes(&content(seed, 512)).unwrap())
        .collect();
    let free = || blocks_of(&heap).iter().filter(|block| block.is_free).count();
    assert_eq!(free(), 0);
    let places: Vec<_> = [2, 5]
        .iter()
        .map(|&index: &usize| heap.ledger(&ids[index]).unwrap()[0].block_id)
        .collect();
    heap.free(&ids[5]).unwrap();
    heap.free(&ids[2]).unwrap();
    assert_eq!(free(), 2);
    let reused = heap.allocate_bytes(&content(99, 1024)).unwrap();
    let found: Vec<_> = heap
        .ledger(&reused)
        .unwrap()
        .iter()
        .map(|entry: &Ledger| entry.block_id)
        .collect();
    assert_eq!(found, places, "the free blocks, lowest id first");
    assert_eq!((free(), blocks_of(&heap).len()), (0, 8));
    assert_balanced(&heap);
}

#[test]
fn task_06_a_manager_runs_it_all() {
    let heap = Heap::of(2000, Geometry::classic());
    let manager: &MemManager = &heap;
    let id = manager.allocate_bytes(&content(1, 1500)).unwrap();
    assert!(matches!(
        manager.allocate_bytes(&content(2, 501)),
        Err(Error::OutOfMemory {
            needed: 501,
            available: 500,
            max_mem: 2000,
            ..
        })
    ));
    manager.free(&id).unwrap();
    manager.collect_garbage().unwrap();
    assert_eq!(manager.arenas().unwrap(), []);
    assert_balanced(manager);
}

#[test]
fn task_07_monitoring() {
    let heap = Heap::new();
    heap.allocate_bytes(&content(1, 3000)).unwrap();
    let buckets = heap.trial_balance().unwrap();
    assert_eq!(sum(buckets.iter().map(|bucket| bucket.bytes)), MIB);
    assert_eq!(buckets[0].bucket, BucketName::Payload);
    assert_eq!(buckets[0].bytes, 3000);
    assert_eq!(heap.stats().unwrap().objects, heap.objects().count() as u64);
    assert!(heap.check().unwrap().is_empty());
}

#[test]
fn task_08_ints_strings_and_objects() {
    let heap = Heap::new();
    let int = heap.allocate(&-42).unwrap();
    let string = heap.allocate("żółw").unwrap();
    let object = heap.allocate(&BTreeMap::from([("a", vec![1, 2])])).unwrap();
    assert_eq!(heap.get::<i64>(&int).unwrap(), -42);
    assert_eq!(heap.get::<String>(&string).unwrap(), "żółw");
    assert_eq!(heap.get::<BTreeMap<String, Vec<u8>>>(&object).unwrap()["a"], [1, 2]);
    let kinds = [int, string, object].map(|id| heap.object(&id).unwrap().kind);
    assert_eq!(kinds, [Kind::Int, Kind::Str, Kind::Json]);
    assert_balanced(&heap);
}

#[test]
fn task_09_fill_a_pool_then_delete_a_block() {
    let heap = Heap::classic();
    let ids: Vec<_> = (0..9)
        .map(|seed| heap.allocate_bytes(&content(seed, 512)).unwrap())
        .collect();
    assert_eq!(pools_of(&heap).len(), 2, "the ninth block needs a second pool");
    let emptied = heap.ledger(&ids[3]).unwrap()[0];
    heap.free(&ids[3]).unwrap();
    assert_eq!(heap.collect_garbage().unwrap().blocks, 1);
    assert!(matches!(
        heap.block(emptied.block_id),
        Err(Error::UnknownRow { what: "block", .. })
    ));
    assert_eq!(heap.blocks(emptied.pool_id).unwrap().len(), 7);
    let next = heap.allocate_bytes(&content(100, 512)).unwrap();
    assert_eq!(
        heap.ledger(&next).unwrap()[0].pool_id,
        emptied.pool_id,
        "the first pool has room again"
    );
    assert_balanced(&heap);
}

#[test]
fn task_10_room_is_used_again_and_few_pools_are_in_use() {
    let heap = Heap::classic();
    let mut live = Vec::new();
    for seed in 0..200 {
        live.push(heap.allocate_bytes(&content(seed, 200 + seed % 300)).unwrap());
        if live.len() > 20 {
            heap.free(&live.remove(0)).unwrap();
        }
    }
    let space = heap.memram().unwrap();
    let pools = pools_of(&heap).len() as u64;
    assert!(
        pools * 4096 < space.peak_mem + 2 * 4096,
        "{pools} pools for a peak of {} bytes",
        space.peak_mem
    );
    assert_balanced(&heap);
}
