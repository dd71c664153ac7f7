//! The digest of a layout is that of the documented text: the same for the same operations, and
//! different after everything that moves a byte.

use crate::common::{Heap, KIB, MIB, cases, content, quick};
use heapledger::{Geometry, Hold, LayoutDigest, MemManager, ObjectId};
use proptest::prelude::*;
use proptest::sample::Index;

/// The digest of a text written by hand.
fn of(lines: &[&str]) -> [u8; 32] {
    let text = format!("heapledger layout 1\n{}\n", lines.join("\n"));
    *ObjectId::of_bytes(text.replace("\n\n", "\n").as_bytes()).as_bytes()
}

fn digest(memory: &MemManager) -> [u8; 32] {
    *memory.layout_digest().unwrap().as_bytes()
}

#[test]
fn the_digest_is_that_of_the_documented_text() {
    let heap = Heap::classic();
    assert_eq!(digest(&heap), of(&[]));
    heap.add_arena().unwrap();
    assert_eq!(digest(&heap), of(&["arena 262144 0"]));
    heap.allocate_bytes(&content(1, 600)).unwrap();
    let first = heap.allocate_bytes(&content(2, 400)).unwrap();
    heap.add_arena().unwrap();
    let lines = [
        "arena 262144 1000",
        "pool 512 4096 1000",
        "block 512 512",
        "piece 0 0 512",
        "block 512 488",
        "piece 1 512 88",
        "piece 0 0 400",
        "arena 262144 0",
    ];
    assert_eq!(digest(&heap), of(&lines));
    // It shows the digits that sha256sum prints.
    let text = format!("heapledger layout 1\n{}\n", lines.join("\n"));
    let shown = heap.layout_digest().unwrap().to_string();
    assert_eq!(shown, ObjectId::of_bytes(text.as_bytes()).to_hex());
    heap.free(&first).unwrap();
    let mut lines = lines.to_vec();
    lines.remove(6);
    (lines[0], lines[1], lines[4]) = ("arena 262144 600", "pool 512 4096 600", "block 512 88");
    assert_eq!(digest(&heap), of(&lines));
}

#[test]
fn a_level_without_anything_in_it_has_a_line() {
    let heap = Heap::of(MIB, Geometry::standard());
    let arenas = [(); 2].map(|()| heap.add_arena().unwrap());
    // The pool of the second arena comes first by id.
    heap.add_pool(arenas[1].id, 4096).unwrap();
    let pool = heap.add_pool(arenas[0].id, 512).unwrap();
    heap.add_pool(arenas[0].id, 4096).unwrap();
    heap.add_block(pool.id).unwrap();
    let lines = [
        "arena 262144 0",
        "pool 512 4096 0",
        "block 512 0",
        "pool 4096 32768 0",
        "arena 262144 0",
        "pool 4096 32768 0",
    ];
    assert_eq!(digest(&heap), of(&lines));
}

#[test]
fn a_snapshot_keeps_its_digest() {
    let heap = Heap::new();
    let id = heap.allocate_bytes(&content(1, 50 * KIB)).unwrap();
    let (then, before) = (heap.snapshot().unwrap(), digest(&heap));
    heap.free(&id).unwrap();
    assert_eq!(digest(&then), before);
    assert_ne!(digest(&heap), before);
}

#[derive(Debug, Clone)]
enum Op {
    Store(u64),
    Named(u64),
    Batch(Vec<u64>),
    Free(Index),
    Collect,
    AddArena,
    Resize(u64),
}

fn op() -> impl Strategy<Value = Op> {
    // Shorter contents of two seeds may be equal.
    let size = || prop_oneof![3 => 8u64..3000, 2 => 3000u64..60_000, 1 => 60_000u64..400_000];
    prop_oneof![
        6 => size().prop_map(Op::Store),
        2 => size().prop_map(Op::Named),
        1 => prop::collection::vec(8u64..600, 1..20).prop_map(Op::Batch),
        5 => any::<Index>().prop_map(Op::Free),
        2 => Just(Op::Collect),
        1 => Just(Op::AddArena),
        1 => (600_000u64..2_000_000).prop_map(Op::Resize),
    ]
}

/// Does the same with other contents and names for each `seed`. A refusal is fine, if both are refused.
fn take(op: &Op, memory: &MemManager, seed: u64, number: u64) -> bool {
    let bytes = |number: u64, size: u64| content(seed + number, size);
    match op {
        Op::Store(size) => memory.allocate_bytes(&bytes(number, *size)).is_ok(),
        Op::Named(size) => {
            let name = format!("name {seed}");
            memory.store_bytes(&bytes(number, *size), Hold::Name(&name)).is_ok()
        }
        Op::Batch(sizes) => {
            let stored = memory.batch(|batch| {
                for (place, size) in sizes.iter().enumerate() {
                    batch.allocate_bytes(&bytes(number + 1000 * place as u64, *size))?;
                }
                Ok(())
            });
            stored.is_ok()
        }
        Op::Free(pick) => {
            let ids: Vec<ObjectId> = memory.objects().map(|object| object.unwrap().id).collect();
            !ids.is_empty() && memory.free(pick.get(&ids)).is_ok()
        }
        Op::Collect => memory.collect_garbage().is_ok(),
        Op::AddArena => memory.add_arena().is_ok(),
        Op::Resize(bytes) => memory.resize(*bytes).is_ok(),
    }
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn the_same_operations_give_the_same_digest(ops in prop::collection::vec(op(), 1..30)) {
        let one = Heap::of(MIB, Geometry::standard());
        // Another space, in which the ids are different, also because rows were removed.
        let file = Heap::new();
        let two = quick().space("two").max_mem(MIB).open(file.address()).unwrap();
        for seed in 0..3 {
            two.free(&two.allocate_bytes(&content(seed, 40_000)).unwrap()).unwrap();
        }
        two.collect_garbage().unwrap();
        let mut seen: Vec<(LayoutDigest, u64)> = Vec::new();
        for (number, op) in ops.iter().enumerate() {
            let done = [(&*one, 1 << 20), (&two, 1 << 21)].map(|(memory, seed)| take(op, memory, seed, number as u64));
            prop_assert_eq!(done[0], done[1]);
            let digest = one.layout_digest().unwrap();
            prop_assert_eq!(digest, two.layout_digest().unwrap(), "{:?}", op);
            // What changed the bytes in use has changed the layout.
            let mem = one.memram().unwrap().mem;
            if let Some((before, mem_before)) = seen.last() {
                prop_assert!(mem == *mem_before || digest != *before);
            }
            seen.push((digest, mem));
        }
    }
}
