//! Every byte is placed by the rules, whatever happened before.

mod reference;

use crate::common::{Heap, KIB, Sql, assert_balanced, content, dump};
use heapledger::{Error, Geometry, MemManager, ObjectId, SizeClass};
use proptest::prelude::*;
use proptest::sample::Index;
use reference::{Piece, Reference};

#[derive(Debug, Clone)]
enum Op {
    /// Bytes.
    Put(u64),
    /// Thousandths of the space.
    PutShare(u64),
    Free(Index),
    Collect,
    Reopen,
}

impl Op {
    fn bytes(&self, max_mem: u64) -> u64 {
        match self {
            Self::Put(bytes) => *bytes,
            Self::PutShare(share) => max_mem * share / 1000,
            _ => 0,
        }
    }
}

/// Three classes whose block and pool sizes divide the arena but not each other.
fn odd() -> Geometry {
    let class = |block_size, pool_size| SizeClass { block_size, pool_size };
    Geometry::new(840, 3, vec![class(5, 15), class(7, 70), class(60, 420)]).unwrap()
}

fn spaces() -> impl Strategy<Value = (Geometry, u64)> {
    prop_oneof![
        (
            Just(Geometry::standard()),
            prop_oneof![1u64..5000, 200 * KIB..900 * KIB]
        ),
        (Just(Geometry::classic()), 1u64..300_000),
        (Just(odd()), 1u64..9000),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (8u64..3000).prop_map(Op::Put),
        3 => (0u64..400).prop_map(Op::PutShare),
        4 => any::<Index>().prop_map(Op::Free),
        1 => Just(Op::Collect),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..40)
}

fn rows<const N: usize>(sql: &Sql, query: &str) -> Vec<[i64; N]> {
    let rows = sql.rows(query).into_iter();
    rows.map(|row| std::array::from_fn(|column| row[column].as_deref().unwrap().parse().unwrap()))
        .collect()
}

fn assert_same_layout(sql: &Sql, reference: &Reference, geometry: &Geometry) {
    let block_size = |class: usize| geometry.classes()[class].block_size as i64;
    let arenas: Vec<_> = reference
        .arenas
        .iter()
        .map(|arena| [arena.id, arena.max_mem as i64, arena.reserved as i64])
        .collect();
    assert_eq!(
        rows::<3>(sql, "SELECT id, max_mem, reserved FROM arenas ORDER BY id"),
        arenas
    );
    let pools: Vec<_> = reference
        .pools
        .iter()
        .map(|pool| {
            [
                pool.id,
                pool.parent,
                block_size(pool.class),
                pool.max_mem as i64,
                pool.reserved as i64,
            ]
        })
        .collect();
    assert_eq!(
        rows::<5>(
            sql,
            "SELECT id, arena_id, block_size, max_mem, reserved FROM pools ORDER BY id"
        ),
        pools
    );
    let blocks: Vec<_> = reference
        .blocks
        .iter()
        .map(|block| {
            [
                block.id,
                block.pool,
                block_size(block.class),
                block.max_mem as i64,
                block.mem as i64,
            ]
        })
        .collect();
    assert_eq!(
        rows::<5>(
            sql,
            "SELECT id, pool_id, block_size, max_mem, mem FROM blocks ORDER BY id"
        ),
        blocks
    );
}

fn pieces_of(memory: &MemManager, id: &ObjectId) -> Vec<Piece> {
    let entries = memory.ledger(id).unwrap();
    entries
        .iter()
        .map(|entry| (entry.block_id.0, entry.allocated_mem))
        .collect()
}

/// Runs `ops` on the heap and on the reference, and compares them after each step.
fn run(geometry: &Geometry, max_mem: u64, ops: &[Op]) -> String {
    let heap = Heap::of(max_mem, geometry.clone());
    let sql = heap.sql();
    let mut memory = heap.open_again();
    let mut reference = Reference::new(max_mem, geometry);
    let mut live: Vec<(ObjectId, Vec<Piece>)> = Vec::new();
    for (op, seed) in ops.iter().zip(0..) {
        match op {
            Op::Put(_) | Op::PutShare(_) => {
                let size = op.bytes(max_mem);
                let bytes = content(seed, size);
                if live.iter().any(|(id, _)| *id == ObjectId::of_bytes(&bytes)) {
                    continue;
                }
                match (memory.allocate_bytes(&bytes), reference.put(size)) {
                    (Ok(id), Some(pieces)) => {
                        assert_eq!(pieces_of(&memory, &id), pieces, "pieces of {size} bytes");
                        live.push((id, pieces));
                    }
                    (Err(Error::OutOfMemory { .. }), None) => {}
                    (found, expected) => panic!("{size} bytes: expected {expected:?}, found {found:?}"),
                }
            }
            Op::Free(pick) if !live.is_empty() => {
                let (id, pieces) = live.swap_remove(pick.index(live.len()));
                memory.free(&id).unwrap();
                reference.free(&pieces);
            }
            Op::Free(_) => {}
            Op::Collect => {
                memory.collect_garbage().unwrap();
                reference.collect();
            }
            Op::Reopen => memory = heap.open_again(),
        }
        assert_same_layout(&sql, &reference, geometry);
    }
    assert_balanced(&heap);
    dump_without_times(&sql)
}

fn dump_without_times(sql: &Sql) -> String {
    sql.execute("UPDATE memram SET created_at = 0; UPDATE stored_objects SET created_at = 0");
    dump(sql)
}

proptest! {
    #![proptest_config(crate::common::cases(48))]

    #[test]
    fn every_piece_is_placed_by_the_rules((geometry, max_mem) in spaces(), ops in ops()) {
        run(&geometry, max_mem, &ops);
    }
}

proptest! {
    #![proptest_config(crate::common::cases(8))]

    #[test]
    fn the_same_operations_give_the_same_file((geometry, max_mem) in spaces(), ops in ops()) {
        prop_assert_eq!(run(&geometry, max_mem, &ops), run(&geometry, max_mem, &ops));
    }
}

#[test]
fn an_object_larger_than_any_gap_fills_a_thousand_gaps() {
    let count = 2400;
    let heap = Heap::of(count * 512, Geometry::classic());
    let mut reference = Reference::new(count * 512, &Geometry::classic());
    let mut stored = Vec::new();
    heap.batch(|batch| {
        for seed in 0..count {
            stored.push((batch.allocate_bytes(&content(seed, 512))?, reference.put(512).unwrap()));
        }
        for (id, pieces) in stored.iter().step_by(2) {
            batch.free(id)?;
            reference.free(pieces);
        }
        Ok(())
    })
    .unwrap();
    let large = heap.allocate_bytes(&content(9999, 1100 * 512 + 7)).unwrap();
    assert_eq!(pieces_of(&heap, &large), reference.put(1100 * 512 + 7).unwrap());
    assert_same_layout(&heap.sql(), &reference, &Geometry::classic());
    assert_eq!(heap.get_bytes(&large).unwrap(), content(9999, 1100 * 512 + 7));
    let rest = heap.batch(|batch| {
        (0..99)
            .map(|seed| batch.allocate_bytes(&content(20_000 + seed, 512)))
            .collect::<Result<Vec<_>, _>>()
    });
    for id in rest.unwrap() {
        assert_eq!(pieces_of(&heap, &id), reference.put(512).unwrap());
    }
    assert_balanced(&heap);
}
