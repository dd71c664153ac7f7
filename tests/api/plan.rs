//! A plan predicts what an allocation does, and leaves no trace.

use std::collections::HashSet;

use crate::common::{Heap, KIB, MIB, Place, content, dump, row_counts};
use heapledger::{BlockId, Error, Geometry, Hold, MemManager, ObjectId, Plan, SizeClass};
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Debug, Clone)]
enum Op {
    Put(u64),
    PutShare(u64),
    Free(Index),
    Collect,
}

fn spaces() -> impl Strategy<Value = (Geometry, u64)> {
    let class = |block_size, pool_size| SizeClass { block_size, pool_size };
    let odd = Geometry::new(840, 3, vec![class(5, 15), class(7, 70), class(60, 420)]).unwrap();
    prop_oneof![
        (Just(Geometry::standard()), 200 * KIB..900 * KIB),
        (Just(Geometry::classic()), 1u64..300_000),
        (Just(odd), 1u64..9000),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (8u64..3000).prop_map(Op::Put),
        3 => (0u64..400).prop_map(Op::PutShare),
        4 => any::<Index>().prop_map(Op::Free),
        1 => Just(Op::Collect),
    ];
    prop::collection::vec(op, 1..30)
}

/// Arenas, pools, blocks and entries.
fn rows(memory: &MemManager) -> [u64; 4] {
    let stats = memory.stats().unwrap();
    let sum =
        |of: fn(&heapledger::SizeClassTotals) -> u64| stats.classes.iter().map(|class| of(&class.totals)).sum::<u64>();
    [
        stats.arenas,
        sum(|class| class.pools),
        sum(|class| class.blocks),
        stats.entries,
    ]
}

fn blocks(memory: &MemManager) -> HashSet<BlockId> {
    let pools = memory
        .arenas()
        .unwrap()
        .into_iter()
        .flat_map(|arena| memory.pools(arena.id).unwrap());
    pools
        .flat_map(|pool| memory.blocks(pool.id).unwrap())
        .map(|block| block.id)
        .collect()
}

/// Stores `bytes` and checks that the result is as `plan` predicted.
fn store_as_planned(memory: &MemManager, bytes: &[u8], plan: &Plan) -> Option<ObjectId> {
    let before = rows(memory);
    let blocks = blocks(memory);
    match memory.store_bytes(bytes, Hold::Anonymous) {
        Ok(stored) => {
            assert!(plan.fits(), "{plan:?}");
            let after = rows(memory);
            let grown: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
            let entries = if plan.dedup { 0 } else { plan.pieces };
            assert_eq!(
                grown,
                [plan.new_arenas, plan.new_pools, plan.new_blocks, entries],
                "{plan:?}"
            );
            assert_eq!((stored.pieces, stored.dedup), (plan.pieces, plan.dedup), "{plan:?}");
            if !plan.dedup {
                let ledger = memory.ledger(&stored.id).unwrap();
                let reused = ledger.iter().filter(|entry| blocks.contains(&entry.block_id)).count();
                assert_eq!(reused as u64, plan.blocks_reused, "{plan:?}");
            }
            Some(stored.id)
        }
        Err(Error::OutOfMemory { needed, available, .. }) => {
            assert_eq!(plan.shortfall, needed - available, "{plan:?}");
            assert_eq!(plan.available, available);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(crate::common::cases(48))]

    #[test]
    fn every_allocation_is_as_planned((geometry, max_mem) in spaces(), ops in ops()) {
        let heap = Heap::of(max_mem, geometry.clone());
        let mut live = Vec::new();
        for (op, seed) in ops.iter().zip(0..) {
            let size = match op {
                Op::Put(size) => *size,
                Op::PutShare(share) => max_mem * share / 1000,
                Op::Free(pick) if !live.is_empty() => {
                    heap.free(&live.swap_remove(pick.index(live.len()))).unwrap();
                    continue;
                }
                Op::Free(_) => continue,
                Op::Collect => {
                    heap.collect_garbage().unwrap();
                    continue;
                }
            };
            let bytes = content(seed, size);
            let by_content = heap.plan_batch(|planner| planner.allocate_bytes(&bytes)).unwrap();
            if !by_content.dedup {
                prop_assert_eq!(&heap.plan_allocation(size).unwrap(), &by_content);
            }
            if let Some(id) = store_as_planned(&heap, &bytes, &by_content) && !live.contains(&id) {
                live.push(id);
            }
        }
    }

    #[test]
    fn a_sequence_is_as_planned(
        (geometry, max_mem) in spaces(),
        holes in prop::collection::vec((1u64..5000, any::<bool>()), 0..20),
        sizes in prop::collection::vec((0u64..8, 0u64..6000), 1..20),
    ) {
        let heap = Heap::of(max_mem, geometry);
        for ((size, freed), seed) in holes.into_iter().zip(1000..) {
            if let Ok(id) = heap.allocate_bytes(&content(seed, size)) && freed {
                let _ = heap.free(&id);
            }
        }
        let contents: Vec<_> = sizes.iter().map(|&(seed, size)| content(seed, size)).collect();
        let before = dump(&heap.sql());
        let plans: Vec<_> = heap
            .plan_batch(|planner| contents.iter().map(|bytes| planner.allocate_bytes(bytes)).collect())
            .unwrap();
        prop_assert_eq!(dump(&heap.sql()), before);
        let mut missing = 0;
        for (bytes, plan) in contents.iter().zip(&plans) {
            if !plan.fits() {
                // Objects before it fit; it and all later ones would be refused.
                missing = plan.shortfall.max(missing);
                continue;
            }
            if missing == 0 {
                let mut plan = plan.clone();
                if plan.dedup {
                    plan.pieces = heap_pieces(&heap, bytes);
                }
                store_as_planned(&heap, bytes, &plan);
            }
        }
    }
}

/// The plan does not know the pieces of a duplicate within the plan.
fn heap_pieces(memory: &MemManager, bytes: &[u8]) -> u64 {
    memory.ledger(&ObjectId::of_bytes(bytes)).unwrap().len() as u64
}

#[test]
fn rows_with_room_are_read_page_by_page() {
    let heap = Heap::of(4 * MIB, Geometry::classic());
    let ids: Vec<_> = (0..1500).map(|seed| content(seed, 512)).collect();
    heap.batch(|batch| {
        for bytes in &ids {
            batch.allocate_bytes(bytes)?;
        }
        for bytes in ids.iter().step_by(2) {
            batch.free(&ObjectId::of_bytes(bytes))?;
        }
        Ok(())
    })
    .unwrap();
    let bytes = content(9999, 700 * 512 + 3);
    let plan = heap.plan_allocation(bytes.len() as u64).unwrap();
    assert_eq!((plan.pieces, plan.blocks_reused, plan.new_blocks), (701, 701, 0));
    store_as_planned(&heap, &bytes, &plan);
    let bytes = content(9998, 400 * 512);
    let plan = heap.plan_allocation(bytes.len() as u64).unwrap();
    assert!(plan.blocks_reused > 0 && plan.new_blocks > 0, "{plan:?}");
    store_as_planned(&heap, &bytes, &plan);
}

#[test]
fn duplicates_are_recognised_also_within_a_plan() {
    let heap = Heap::new();
    heap.allocate_bytes(&content(1, 5000)).unwrap();
    let plans = heap
        .plan_batch(|planner| {
            Ok([
                planner.allocate_bytes(&content(1, 5000))?,
                planner.allocate_bytes(&content(2, 700))?,
                planner.allocate_bytes(&content(2, 700))?,
            ])
        })
        .unwrap();
    assert_eq!((plans[0].pieces, plans[0].new_blocks), (1, 0));
    let found = plans.map(|plan| (plan.dedup, plan.dedup_saved));
    assert_eq!(found, [(true, 5000), (false, 0), (true, 700)]);
}

#[test]
fn the_shortfall_is_the_missing_bytes() {
    let heap = Heap::of(10_000, Geometry::standard());
    heap.allocate_bytes(&content(1, 4000)).unwrap();
    let plan = heap.plan_allocation(6001).unwrap();
    assert_eq!(
        (plan.shortfall, plan.available, plan.pieces, plan.new_blocks),
        (1, 6000, 0, 0)
    );
    assert!(heap.plan_allocation(6000).unwrap().fits());
    assert_eq!(heap.plan_allocation(u64::MAX).unwrap().shortfall, u64::MAX - 6000);
    // Later objects add to the shortfall.
    let sizes = [5000, 2000, 1, 500];
    let plans = heap.plan_batch(|planner| {
        sizes
            .map(|size| planner.allocate_size(size))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
    });
    let shortfalls: Vec<_> = plans.unwrap().iter().map(|plan| plan.shortfall).collect();
    assert_eq!(shortfalls, [0, 1000, 1001, 1501]);
}

#[test]
fn planning_needs_no_write_lock() {
    let heap = Heap::new();
    heap.allocate_bytes(&content(1, 5000)).unwrap();
    let reader = crate::common::quick().read_only(true).open(heap.address()).unwrap();
    let counts = row_counts(&heap.sql());
    heap.batch(|batch| {
        batch.allocate_bytes(&content(2, 5000))?;
        let plan = reader.plan_allocation(260_000)?;
        assert_eq!((plan.pieces, plan.blocks_reused), (2, 1));
        Err::<(), _>(Error::ReadOnly)
    })
    .unwrap_err();
    assert_eq!(row_counts(&heap.sql()), counts);
}

#[test]
fn a_plan_reports_a_kind_conflict() {
    let heap = Heap::new();
    let spelled = b"str\0hello";
    let planned = heap.plan_batch(|planner| {
        planner.allocate("hello")?;
        planner.allocate_bytes(spelled)
    });
    assert!(matches!(planned, Err(Error::KindConflict { .. })));
    heap.allocate("hello").unwrap();
    let planned = heap.plan_batch(|planner| planner.allocate_bytes(spelled));
    assert!(matches!(planned, Err(Error::KindConflict { .. })));
}

#[test]
fn a_missing_space_is_planned_as_it_would_be_created() {
    let options = || crate::common::options().max_mem(MIB).space("new");
    let planned = |planner: &mut heapledger::Planner<'_>| {
        let plans = [300 * KIB, 20, 900 * KIB].map(|size| planner.allocate_size(size).unwrap());
        Ok((plans, planner.memram().max_mem))
    };
    let predicted = options().plan_new(planned).unwrap();
    let place = Place::new();
    let made = options().open(place.address()).unwrap();
    assert_eq!(made.plan_batch(planned).unwrap(), predicted);
    let nameless = MemManager::options().space("").plan_new(planned);
    assert!(matches!(nameless, Err(Error::BadSpaceName { length: 0 })));
}
