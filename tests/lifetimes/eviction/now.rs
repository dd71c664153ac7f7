//! What `evict` removes at once, with and without a plan.

use std::io::Write;
use std::path::Path;

use heapledger::{
    Durability, Error, EventFilter, EventKind, EvictOptions, Expiry, History, Hold, MemManager, ObjectId, PlanError,
    Policy, SpaceError, Work, WorkPlan,
};

use super::{cache, fill, planned, stored};
use crate::common::{Heap, KIB, MIB, assert_balanced, content, dump, files_only, quick};
use crate::{Clock, HOUR};

/// A full heap by a policy, in which some objects were used, some pinned, and one has a name.
fn full(policy: Policy) -> (Heap, Vec<ObjectId>) {
    let heap = cache(policy);
    let ids = fill(&heap, &[9_000, 5_000, 11_000, 300, 9_000, 12_000, 8_000, 4_000]);
    heap.bind("named", &ids[2]).unwrap();
    heap.pin(&ids[2]).unwrap();
    heap.bind("other", &ids[4]).unwrap();
    for index in [0, 0, 1, 5] {
        heap.get_bytes(&ids[index]).unwrap();
    }
    (heap, ids)
}

fn left(heap: &Heap, ids: &[ObjectId]) -> Vec<ObjectId> {
    let stored = stored(heap, ids);
    ids.iter()
        .zip(stored)
        .filter(|(_, stored)| *stored)
        .map(|(id, _)| *id)
        .collect()
}

fn evicted(heap: &Heap) -> Vec<ObjectId> {
    let events = heap.events(EventFilter::default().kinds([EventKind::Evict]));
    events.map(|event| event.unwrap().object.unwrap()).collect()
}

#[test]
fn exactly_what_was_named_goes_with_and_without_a_written_plan() {
    for policy in Policy::ALL {
        let expected = {
            let (heap, ids) = full(policy);
            let victims = planned(&heap, 30_000);
            assert!(victims.len() > 1 && !victims.contains(&ids[2]), "{policy}");
            let done = heap.evict(30_000).unwrap();
            assert_eq!(evicted(&heap), victims, "{policy}");
            assert_eq!((done.policy, done.objects), (policy, victims.len() as u64));
            assert!(done.available >= 30_000);
            assert_eq!(heap.memram().unwrap().evicted_mem, done.bytes);
            heap.allocate_bytes(&content(99, 30_000)).unwrap();
            assert_eq!(evicted(&heap), victims, "there was room: {policy}");
            assert_balanced(&heap);
            left(&heap, &ids)
        };
        let (heap, ids) = full(policy);
        let plan = heap.plan_work(&Work::Evict(EvictOptions::room(30_000))).unwrap();
        assert_eq!(left(&heap, &ids), ids);
        let plan = WorkPlan::from_json(plan.to_json().as_bytes()).unwrap();
        let applied = heap.apply(&plan).unwrap();
        assert_eq!(applied.totals, plan.totals);
        assert_eq!(left(&heap, &ids), expected, "{policy}");
        let events = heap.events(EventFilter::default().kinds([EventKind::Evict, EventKind::Apply]));
        let events: Vec<_> = events.map(Result::unwrap).collect();
        let receipts = events.iter().filter(|event| event.kind == EventKind::Apply);
        assert!(
            receipts
                .map(|event| event.name.clone().unwrap())
                .all(|name| name == plan.digest().to_hex())
        );
        let cause: serde_json::Value = serde_json::from_str(events[0].changes.as_ref().unwrap()).unwrap();
        assert_eq!(
            (&cause["policy"], &cause["needed"]),
            (&policy.as_str().into(), &30_000.into())
        );
        assert_balanced(&heap);
    }
}

#[test]
fn nothing_goes_if_there_is_room_or_if_what_may_go_is_not_enough() {
    let (heap, ids) = full(Policy::Oldest);
    assert_eq!(heap.evict(100).unwrap().objects, 0);
    // The pinned one is in the way.
    let too_much = 64 * KIB - 10_000;
    assert!(matches!(heap.evict(too_much), Err(Error::OutOfMemory { .. })));
    let before = dump(&heap.sql());
    let refused = heap.plan_work(&Work::Evict(too_much.into())).unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory { .. }), "{refused}");
    assert_eq!(dump(&heap.sql()), before);
    assert_eq!(left(&heap, &ids), ids);
    heap.unpin(&ids[2]).unwrap();
    assert_eq!(heap.evict(64 * KIB).unwrap().objects, 8);
    assert_balanced(&heap);
}

#[test]
fn what_is_over_goes_before_anything_is_evicted() {
    let clock = Clock::take();
    let heap = cache(Policy::Oldest);
    let ids = fill(&heap, &[30_000]);
    heap.store_bytes(&content(7, 30_000), Hold::Name("short").expires(Expiry::In(HOUR)))
        .unwrap();
    clock.advance(HOUR);
    assert_eq!(heap.evict(20_000).unwrap().objects, 0);
    assert_eq!(left(&heap, &ids), ids);
}

#[test]
fn a_space_that_evicts_nothing_needs_a_policy_for_it() {
    let heap = Heap::made(quick().max_mem(64 * KIB));
    let ids = fill(&heap, &[10_000, 20_000, 10_000, 20_000]);
    let evicts_nothing = |error| matches!(error, Error::Space(SpaceError::EvictsNothing { .. }));
    assert!(evicts_nothing(heap.evict(30_000).unwrap_err()));
    assert!(evicts_nothing(heap.plan_work(&Work::Evict(30_000.into())).unwrap_err()));
    let by = |policy| EvictOptions::room(20_000).policy(policy);
    let unknown = heap.evict(by(Policy::Lru)).unwrap_err();
    assert!(
        matches!(unknown, Error::Space(SpaceError::UseUnknown { .. })),
        "{unknown}"
    );
    assert_eq!(heap.plan_eviction(by(Policy::Largest)).unwrap().victims[0].id, ids[1]);
    heap.evict(by(Policy::Largest)).unwrap();
    assert_eq!(left(&heap, &ids), [ids[0], ids[2], ids[3]]);
    let plan = heap
        .plan_work(&Work::Evict(EvictOptions::room(30_000).policy(Policy::Oldest)))
        .unwrap();
    heap.apply(&plan).unwrap();
    assert_eq!(left(&heap, &ids), [ids[2], ids[3]]);
    assert!(heap.eviction().unwrap().is_none());
    assert_balanced(&heap);
}

#[test]
fn a_plan_is_stale_if_a_victim_has_changed() {
    let _clock = Clock::take();
    let plan = |heap: &Heap| heap.plan_work(&Work::Evict(30_000.into())).unwrap();
    let refused = |heap: &Heap, plan: &WorkPlan, word: &str| {
        let before = dump(&heap.sql());
        let error = heap.apply(plan).unwrap_err();
        assert!(matches!(error, Error::Plan(PlanError::Stale { .. })), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(dump(&heap.sql()), before);
    };
    let (heap, ids) = full(Policy::Oldest);
    let made = plan(&heap);
    // What others do with what stays does not matter, nor that a victim is read.
    heap.bind("stays", &ids[7]).unwrap();
    heap.get_bytes(&ids[0]).unwrap();
    heap.pin(&ids[0]).unwrap();
    refused(&heap, &made, "is pinned");
    heap.unpin(&ids[0]).unwrap();
    heap.set_eviction(Some(heapledger::Eviction::by(Policy::Oldest).min_age(HOUR)))
        .unwrap();
    refused(&heap, &made, "is too young");
    heap.set_eviction(Some(Policy::Oldest.into())).unwrap();
    heap.bind("new", &ids[0]).unwrap();
    refused(&heap, &made, "is held otherwise");
    heap.unbind("new").unwrap();
    heap.apply(&made).unwrap();
    assert_eq!(left(&heap, &ids)[0], ids[2]);
    // Stored again, it is another object.
    let (heap, ids) = full(Policy::Oldest);
    let made = plan(&heap);
    heap.force_free(&ids[0]).unwrap();
    fill(&heap, &[9_000]);
    refused(&heap, &made, "was stored again");
    assert_balanced(&heap);
}

#[test]
fn many_objects_go_in_slices_and_none_twice() {
    let heap = Heap::made(quick().max_mem(8 * MIB).evict(Policy::Oldest));
    let ids = fill(&heap, &[10_000; 800]);
    let plan = heap.plan_work(&Work::Evict((5 * MIB).into())).unwrap();
    assert!(plan.slices.iter().filter(|slice| !slice.frees.is_empty()).count() > 1);
    heap.apply(&plan).unwrap();
    let again = heap.apply(&plan).unwrap();
    assert_eq!((again.slices, again.done_before), (0, plan.slices.len() as u64));
    assert_eq!(evicted(&heap).len() as u64, plan.totals.freed);
    assert_eq!(left(&heap, &ids), ids[plan.totals.freed as usize..]);
    assert!(heap.memram().unwrap().available() >= 5 * MIB);
    assert_balanced(&heap);
}

#[test]
fn a_full_file_of_many_small_objects_is_emptied() {
    files_only!(Ceiling);
    let dir = tempfile::tempdir().unwrap();
    let options = quick().max_mem(100_000).max_file(2 * MIB);
    let memory = options.open(dir.path().join("heap.db")).unwrap();
    let mut count = 0;
    while memory.set(&count.to_string(), &count).is_ok() {
        count += 1;
    }
    let all = EvictOptions::room(100_000).policy(Policy::Oldest);
    assert_eq!(memory.evict(all).unwrap().objects, count);
    memory.collect_garbage().unwrap();
    assert_balanced(&memory);
    memory.set("after", &1).unwrap();
}

#[test]
fn room_below_a_ceiling_is_made_in_steps_for_whatever_needs_it() {
    files_only!(Ceiling);
    // If it moved, a large object would count as abandoned while it is being stored.
    let _clock = Clock::take();
    let large = content(1, 2_500_000);
    type Store = fn(&MemManager, &[u8]);
    let ways: [Store; 4] = [
        |memory, large| drop(memory.store_bytes(large, Hold::Anonymous).unwrap()),
        |memory, large| drop(memory.store_from(large, Hold::Anonymous).unwrap()),
        |memory, large| {
            let mut writer = memory.writer(Hold::Anonymous).unwrap();
            writer.write_all(large).unwrap();
            writer.finish().unwrap();
        },
        |memory, large| {
            let reserved = memory.reserve(large.len() as u64).make().unwrap();
            reserved.post_bytes(large, Hold::Anonymous).unwrap();
        },
    ];
    for store in ways {
        let dir = tempfile::tempdir().unwrap();
        let options = quick().max_mem(3_000_000).max_file(8 * MIB).evict(Policy::Oldest);
        let memory = options.open(dir.path().join("heap.db")).unwrap();
        let mut count = 0_u64;
        while memory.memram().unwrap().available() > 500 {
            count += 1;
            let small = count.to_le_bytes().repeat(60);
            memory.store_bytes(&small, Hold::Anonymous).unwrap();
        }
        store(&memory, &large);
        assert_eq!(memory.get_bytes(&ObjectId::of_bytes(&large)).unwrap(), large);
        assert_balanced(&memory);
    }
}

/// A heap below a ceiling, full of objects of `size` to `size + spread` bytes.
fn full_of_small(dir: &Path, max_mem: u64, max_file: u64, size: u64, spread: u64) -> MemManager {
    let options = MemManager::options().max_mem(max_mem).max_file(max_file);
    let options = options.durability(Durability::Normal).history(History::Off);
    let memory = options.open(dir.join("heap.db")).unwrap();
    let (mut seed, mut step) = (0_u64, 200);
    while step > 0 {
        let done = memory.batch(|batch| {
            for seed in seed..seed + step {
                let length = size + seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (spread + 1);
                batch.allocate_bytes(&content(seed, length))?;
            }
            Ok(())
        });
        match done {
            Ok(()) => seed += step,
            Err(_) => step /= 2,
        }
    }
    memory
}

#[test]
fn nothing_is_evicted_for_what_the_ceiling_refuses_all_the_same() {
    files_only!(Ceiling);
    let dir = tempfile::tempdir().unwrap();
    // The file does not become smaller, so that there is no room for a part of the content in the log.
    let memory = full_of_small(dir.path(), 1_310_720, 4_800_000, 100, 39);
    memory.set_eviction(Some(Policy::Largest.into())).unwrap();
    let before = memory.stats().unwrap().objects;
    let large = content(1, 900_000);
    assert!(memory.plan_eviction(900_000).unwrap().fits());
    for _ in 0..2 {
        let refused = memory.allocate_bytes(&large);
        assert!(matches!(refused, Err(Error::FileFull { .. })), "{refused:?}");
    }
    assert_eq!(memory.stats().unwrap().objects, before);
    assert_balanced(&memory);
}

#[test]
fn room_for_the_end_of_a_stream_is_made_in_steps_too() {
    files_only!(Ceiling);
    // If it moved, a large object would count as abandoned while it is being stored.
    let _clock = Clock::take();
    let large = content(1, 1_000_000);
    type Store = fn(&MemManager, &[u8]);
    let ways: [Store; 2] = [
        |memory, mut large| drop(memory.store_from(&mut large, Hold::Anonymous).unwrap()),
        |memory, large| {
            let mut writer = memory.writer(Hold::Anonymous).unwrap();
            writer.write_all(large).unwrap();
            writer.finish().unwrap();
        },
    ];
    for store in ways {
        let dir = tempfile::tempdir().unwrap();
        let memory = full_of_small(dir.path(), MIB, 4_800_000, 100, 0);
        memory.set_eviction(Some(Policy::Oldest.into())).unwrap();
        store(&memory, &large);
        assert_eq!(memory.get_bytes(&ObjectId::of_bytes(&large)).unwrap(), large);
        assert_balanced(&memory);
    }
}
