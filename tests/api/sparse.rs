//! A free plan predicts exactly what freeing gives back, and what prevents more.

use std::fs;

use crate::common::{Heap, KIB, MIB, assert_balanced, content, dump, files_only, pages, server};
use heapledger::{ArenaId, Error, Geometry, History, Hold, ObjectId, SparseOptions};
use proptest::prelude::*;
use proptest::sample::Index;

/// Frees `ids` in one batch, collects, and checks that the result is as planned.
fn free_as_planned(heap: &Heap, ids: &[ObjectId]) {
    let before = (dump(&heap.sql()), pages(&heap.sql()));
    let plan = heap.plan_free(ids).unwrap();
    let after = (dump(&heap.sql()), pages(&heap.sql()));
    assert_eq!(before, after, "a plan leaves no trace");

    let freed = heap
        .batch(|batch| ids.iter().map(|id| batch.force_free(id)).collect::<Result<Vec<_>, _>>())
        .unwrap();
    assert_eq!(plan.size, freed.iter().map(|object| object.size).sum::<u64>());
    assert_eq!(plan.objects, freed);
    assert_eq!(plan.collected, heap.collect_garbage().unwrap());
    if server().is_none() {
        assert_eq!(fs::metadata(heap.address()).unwrap().len(), plan.collected.file_size);
    }
    // An object in a nearly empty arena is still there, and so is its arena.
    for occupant in &plan.sparse {
        assert!(
            heap.sparse(Some(occupant.arena_id)).unwrap().contains(occupant),
            "{occupant:?}"
        );
    }
}

proptest! {
    #![proptest_config(crate::common::cases(12))]

    #[test]
    fn freeing_gives_back_what_was_predicted(
        sizes in prop::collection::vec(prop_oneof![3 => 0u64..3000, 2 => 0u64..60_000, 1 => 200_000u64..600_000], 1..40),
        classic in any::<bool>(),
        rounds in prop::collection::vec(prop::collection::vec(any::<Index>(), 0..25), 1..4),
    ) {
        let geometry = if classic { Geometry::classic() } else { Geometry::standard() };
        let heap = Heap::of(8 * MIB, geometry);
        let mut live = Vec::new();
        for (size, seed) in sizes.into_iter().zip(0..) {
            let name = format!("name {seed}");
            let hold = if seed % 3 == 0 { Hold::Name(&name) } else { Hold::Anonymous };
            if let Ok(stored) = heap.store_bytes(&content(seed, size.max(8)), hold) {
                live.push(stored.id);
            }
        }
        for picks in rounds {
            let mut ids = Vec::new();
            for pick in picks {
                if !live.is_empty() {
                    ids.push(live.swap_remove(pick.index(live.len())));
                }
            }
            free_as_planned(&heap, &ids);
        }
        assert_balanced(&heap);
    }
}

#[test]
fn many_small_objects_free_as_many_pages_as_predicted() {
    let heap = Heap::of(16 * MIB, Geometry::standard());
    let ids: Vec<_> = heap
        .batch(|batch| {
            (0..3000)
                .map(|seed| batch.allocate_bytes(&content(seed, 100 + seed % 900)))
                .collect::<Result<_, _>>()
        })
        .unwrap();
    let large = heap.allocate_bytes(&content(9999, 3 * MIB)).unwrap();
    let (some, rest) = ids.split_at(1000);
    free_as_planned(&heap, &some.iter().copied().step_by(3).collect::<Vec<_>>());
    free_as_planned(&heap, &[large]);
    free_as_planned(&heap, rest);
    assert_balanced(&heap);
}

#[test]
fn a_plan_without_objects_predicts_a_garbage_collection() {
    files_only!(File);
    let heap = Heap::new();
    let id = heap.allocate_bytes(&content(1, 300 * KIB)).unwrap();
    heap.allocate_bytes(&content(2, 300 * KIB)).unwrap();
    heap.free(&id).unwrap();
    let plan = heap.plan_free(&[]).unwrap();
    assert!(plan.empty_blocks > 0 && plan.free_file_bytes > 0, "{plan:?}");
    assert_eq!(plan.empty_blocks, plan.collected.blocks);
    assert_eq!(plan.collected, heap.collect_garbage().unwrap());
}

#[test]
fn a_full_history_is_predicted_too() {
    let heap = Heap::of(4 * MIB, Geometry::classic());
    heap.set_history(History::keep_bytes(64 * KIB)).unwrap();
    for round in 0..4 {
        let ids: Vec<_> = (0..60)
            .map(|seed| {
                let content = content(1000 * round + seed, 1000 + seed * 900);
                heap.allocate_bytes(&content).unwrap()
            })
            .collect();
        for id in ids.iter().step_by(3) {
            heap.free(id).unwrap();
        }
        let collected = heap.plan_free(&[]).unwrap().collected;
        assert_eq!(collected, heap.collect_garbage().unwrap(), "round {round}");
        let rest: Vec<_> = ids
            .iter()
            .skip(1)
            .step_by(3)
            .chain(ids.iter().skip(2).step_by(3))
            .copied()
            .collect();
        free_as_planned(&heap, &rest);
    }
    assert_balanced(&heap);
}

#[test]
fn an_object_given_twice_counts_once_and_its_names_are_listed() {
    let heap = Heap::new();
    let id = heap.store_bytes(&content(1, 5000), Hold::Name("a")).unwrap().id;
    let plan = heap.plan_free(&[id, id]).unwrap();
    assert_eq!((plan.objects.len(), plan.size), (1, 5000));
    assert_eq!(plan.objects[0].names, ["a"]);
    let missing = ObjectId::of_bytes(b"missing");
    assert!(matches!(heap.plan_free(&[id, missing]), Err(Error::NotStored { .. })));
    assert!(heap.contains(&id).unwrap());
    let reader = crate::common::quick().read_only(true).open(heap.address()).unwrap();
    assert!(matches!(reader.plan_free(&[id]), Err(Error::ReadOnly)));
}

#[test]
fn writers_continue_after_a_plan() {
    let heap = Heap::new();
    let id = heap.allocate_bytes(&content(1, 5000)).unwrap();
    heap.plan_free(&[id]).unwrap();
    let next = heap.allocate_bytes(&content(2, 5000)).unwrap();
    assert_eq!(heap.get_bytes(&id).unwrap(), content(1, 5000));
    assert_eq!(heap.get_bytes(&next).unwrap(), content(2, 5000));
    assert_balanced(&heap);
}

#[test]
fn plans_among_writers_undo_nothing() {
    let heap = Heap::of(16 * MIB, Geometry::standard());
    let doomed = heap.allocate_bytes(&content(1, 100 * KIB)).unwrap();
    let ids: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (1u64..4)
            .map(|writer| {
                let memory = heap.open_again();
                let shared = (*heap).clone();
                scope.spawn(move || {
                    let store = |seed| {
                        let memory = if seed % 2 == 0 { &memory } else { &shared };
                        memory.allocate_bytes(&content(writer * 1000 + seed, 3000)).unwrap()
                    };
                    (0..40).map(store).collect::<Vec<_>>()
                })
            })
            .collect();
        for _ in 0..20 {
            assert_eq!(heap.plan_free(&[doomed]).unwrap().size, 100 * KIB);
        }
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert!(heap.contains(&doomed).unwrap());
    assert!(ids.iter().all(|id| heap.contains(id).unwrap()));
    assert_eq!(heap.stats().unwrap().objects, 121);
    assert_balanced(&heap);
}

/// Three arenas of one class, full except for the end of the last. One object fills them all
/// except for the start of the first.
fn nearly_empty() -> (Heap, ObjectId, ObjectId) {
    let heap = Heap::of(4 * MIB, Geometry::standard());
    let small = heap
        .store_bytes(&content(1, 20 * KIB), Hold::Name("settings"))
        .unwrap()
        .id;
    let large = heap.allocate_bytes(&content(2, 500 * KIB)).unwrap();
    (heap, small, large)
}

#[test]
fn sparse_tells_which_objects_occupy_an_arena() {
    let (heap, small, large) = nearly_empty();
    let plan = heap.plan_free(&[large]).unwrap();
    assert_eq!(plan.collected.arenas, 2);
    assert_eq!(plan.sparse.len(), 1);
    assert_eq!(plan.sparse[0].object_id, small);
    assert_eq!(plan.sparse[0].names, ["settings"]);
    assert_eq!((plan.sparse[0].allocated_mem, plan.sparse[0].mem), (20 * KIB, 20 * KIB));
    assert_eq!(heap.plan_free(&[large, small]).unwrap().collected.arenas, 3);

    heap.free(&large).unwrap();
    heap.collect_garbage().unwrap();
    assert_eq!(heap.sparse(None).unwrap(), plan.sparse);
    heap.force_free(&small).unwrap();
    assert_eq!(heap.sparse(None).unwrap(), []);
    assert_eq!(heap.collect_garbage().unwrap().arenas, 1);
}

#[test]
fn full_arenas_are_listed_on_request() {
    let (heap, small, large) = nearly_empty();
    let listed = heap.sparse(Some(ArenaId(1))).unwrap();
    let ids: Vec<_> = listed.iter().map(|occupant| occupant.object_id).collect();
    assert_eq!(ids, [large, small]);
    assert!(
        listed
            .iter()
            .all(|occupant| occupant.objects == 2 && occupant.max_mem == 256 * KIB)
    );
    assert!(matches!(heap.sparse(Some(ArenaId(99))), Err(Error::UnknownRow { .. })));
}

#[test]
fn the_caller_sets_limit_and_threshold() {
    let heap = Heap::new();
    for seed in 0..30 {
        heap.allocate_bytes(&content(seed, 100 + seed)).unwrap();
    }
    let listed = |options| {
        heap.sparse_with(options)
            .unwrap()
            .collect::<Result<Vec<_>, _>>()
            .unwrap()
    };
    let five = listed(SparseOptions::default().limit(5));
    let bytes: Vec<_> = five.iter().map(|occupant| occupant.allocated_mem).collect();
    assert_eq!(bytes, [129, 128, 127, 126, 125]);
    assert!(five.iter().all(|occupant| occupant.objects == 30));
    assert_eq!(listed(SparseOptions::default().limit(u64::MAX)).len(), 30);
    assert_eq!(listed(SparseOptions::default().under(1)).len(), 0);
    assert_eq!(listed(SparseOptions::default().under(100)).len(), 20);
}

#[test]
fn arenas_of_another_space_are_not_listed() {
    let (heap, ..) = nearly_empty();
    let other = crate::common::quick()
        .space("other")
        .max_mem(MIB)
        .open(heap.address())
        .unwrap();
    assert_eq!(other.sparse(None).unwrap(), []);
    assert!(matches!(other.sparse(Some(ArenaId(1))), Err(Error::UnknownRow { .. })));
}
