//! A diff of two moments, or of two files, lists the objects added, removed and moved.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{Heap, KIB, MIB, cases, content, quick};
use heapledger::{
    ClassDiff, CompactOptions, Diff, Error, EventFilter, EventId, Geometry, History, Hold, MemManager, Moment,
    ObjectId, ObjectSize, Timestamp,
};
use proptest::prelude::*;
use proptest::sample::Index;

/// Where the pieces of each object are, and what is in each size class.
#[derive(Debug, Clone, PartialEq)]
struct Picture {
    objects: BTreeMap<ObjectId, BTreeSet<(i64, u64)>>,
    sizes: BTreeMap<ObjectId, u64>,
    classes: Vec<(u64, u64, u64)>,
}

fn now(memory: &MemManager) -> Picture {
    let objects: Vec<_> = memory.objects().map(Result::unwrap).collect();
    let id = |object: &heapledger::ObjectInfo| object.id;
    let pieces = |id: &ObjectId| {
        let entries = memory.ledger(id).unwrap();
        entries
            .iter()
            .map(|entry| (entry.block_id.0, entry.allocated_mem))
            .collect()
    };
    let classes = memory.stats().unwrap().classes;
    Picture {
        objects: objects.iter().map(|object| (id(object), pieces(&id(object)))).collect(),
        sizes: objects.iter().map(|object| (id(object), object.size)).collect(),
        classes: classes
            .iter()
            .map(|class| (class.totals.block_size, class.totals.mem, class.totals.entries))
            .collect(),
    }
}

/// The diff expected between two pictures.
fn expected(before: &Picture, after: &Picture) -> Diff {
    let only = |one: &Picture, other: &Picture| {
        let ids = one.objects.keys().filter(|id| !other.objects.contains_key(id));
        sorted(ids, one)
    };
    let moved = before
        .objects
        .iter()
        .filter(|(id, pieces)| after.objects.get(id).is_some_and(|now| now != *pieces));
    let classes = before.classes.iter().zip(&after.classes);
    let class = |(before, after): (&(u64, u64, u64), &(u64, u64, u64))| {
        let mut class = ClassDiff::default();
        class.block_size = before.0;
        (class.mem_before, class.mem_after) = (before.1, after.1);
        (class.entries_before, class.entries_after) = (before.2, after.2);
        class
    };
    let mut diff = Diff::default();
    diff.added = only(after, before);
    diff.freed = only(before, after);
    diff.moved = sorted(moved.map(|(id, _)| id), before);
    diff.classes = classes.map(class).collect();
    diff
}

fn sorted<'a>(ids: impl Iterator<Item = &'a ObjectId>, picture: &Picture) -> Vec<ObjectSize> {
    let mut objects: Vec<_> = ids.map(|id| ObjectSize::new(*id, picture.sizes[id])).collect();
    objects.sort_by_key(|object| (std::cmp::Reverse(object.size), object.object_id));
    objects
}

fn last_event(memory: &MemManager) -> Moment {
    Moment::Event(memory.newest_events(&EventFilter::default(), 1).unwrap()[0].id)
}

#[derive(Debug, Clone)]
enum Op {
    Allocate(u8, u64),
    Name(u8),
    Free(Index),
    Collect,
    Compact(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0u8..12, 0u64..40_000).prop_map(|(key, size)| Op::Allocate(key, size - size % 1000)),
        2 => (0u8..12).prop_map(Op::Name),
        5 => any::<Index>().prop_map(Op::Free),
        1 => Just(Op::Collect),
        2 => any::<bool>().prop_map(Op::Compact),
    ]
}

fn take(op: &Op, memory: &MemManager) {
    match op {
        Op::Allocate(key, size) => drop(memory.allocate_bytes(&content((*key).into(), *size))),
        Op::Name(key) => drop(memory.store_bytes(&content((*key).into(), 2000), Hold::Name("name"))),
        Op::Free(pick) => {
            let ids: Vec<_> = now(memory).objects.into_keys().collect();
            if !ids.is_empty() {
                drop(memory.force_free(pick.get(&ids)));
            }
        }
        Op::Collect => drop(memory.collect_garbage().unwrap()),
        Op::Compact(join) => drop(
            memory
                .compact(CompactOptions::default().under(100).join(*join))
                .unwrap(),
        ),
    }
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn a_diff_of_any_two_moments_is_the_difference_of_their_contents(
        geometry in prop::sample::select(vec![Geometry::standard(), Geometry::classic()]),
        ops in prop::collection::vec(op(), 1..20),
    ) {
        let heap = Heap::of(300 * KIB, geometry);
        let mut recorded = vec![(last_event(&heap), now(&heap))];
        for op in &ops {
            take(op, &heap);
            recorded.push((last_event(&heap), now(&heap)));
        }
        for (from, before) in &recorded {
            for (to, after) in &recorded {
                let diff = heap.diff(*from, *to).unwrap();
                prop_assert_eq!(&diff, &expected(before, after), "{:?} to {:?}", from, to);
            }
        }
    }

    #[test]
    fn a_diff_of_two_files_is_the_difference_of_their_contents(
        common in prop::collection::vec(op(), 0..12),
        ops in prop::collection::vec(op(), 0..12),
    ) {
        let heap = Heap::of(300 * KIB, Geometry::standard());
        let old = Heap::of(300 * KIB, Geometry::standard());
        for op in &common {
            take(op, &heap);
            take(op, &old);
        }
        for op in &ops {
            take(op, &heap);
        }
        let (before, after) = (now(&old), now(&heap));
        prop_assert_eq!(old.diff_files(&heap).unwrap(), expected(&before, &after));
        prop_assert_eq!(heap.diff_files(&old).unwrap(), expected(&after, &before));
    }
}

#[test]
fn an_object_that_was_freed_and_stored_elsewhere_has_moved() {
    let heap = Heap::classic();
    let start = last_event(&heap);
    let first = heap.allocate_bytes(&content(1, 512)).unwrap();
    let second = heap.allocate_bytes(&content(2, 512)).unwrap();
    let before = last_event(&heap);
    heap.free(&first).unwrap();
    heap.free(&second).unwrap();
    heap.allocate_bytes(&content(2, 512)).unwrap();
    heap.allocate_bytes(&content(1, 512)).unwrap();
    let diff = heap.diff(before, last_event(&heap)).unwrap();
    assert_eq!((diff.added.len(), diff.freed.len(), diff.moved.len()), (0, 0, 2));
    assert_eq!(diff.growth(), 0);
    // An object that was stored and freed between the moments is in neither.
    let third = heap.allocate_bytes(&content(3, 512)).unwrap();
    heap.free(&third).unwrap();
    let diff = heap.diff(start, last_event(&heap)).unwrap();
    assert_eq!((diff.added.len(), diff.freed.len(), diff.moved.len()), (2, 0, 0));
    assert_eq!(diff.growth(), 1024);
}

#[test]
fn spaces_of_one_file_can_be_compared_too() {
    let heap = Heap::new();
    let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
    for memory in [&*heap, &other] {
        memory.allocate_bytes(&content(1, 5000)).unwrap();
    }
    other.allocate_bytes(&content(2, 7000)).unwrap();
    let diff = heap.diff_files(&other).unwrap();
    assert_eq!((diff.added.len(), diff.added[0].size), (1, 7000));
    assert_eq!(diff.freed, []);
    assert_eq!(diff.growth(), 7000);
}

#[test]
fn a_diff_beyond_the_history_is_refused() {
    let heap = Heap::classic();
    let now = last_event(&heap);
    for moment in [
        Moment::Event(EventId(50)),
        Moment::Time(Timestamp::from_micros(i64::MAX)),
    ] {
        let error = heap.diff(now, moment).unwrap_err();
        assert!(matches!(error, Error::OutsideHistory { .. }), "{error}");
    }
    for moment in [now, Moment::Event(EventId(0)), Moment::Time(Timestamp::default())] {
        assert_eq!(heap.diff(now, moment).unwrap().growth(), 0);
    }
    heap.set_history(History::Off).unwrap();
    assert!(matches!(heap.diff(now, now), Err(Error::HistoryOff { .. })));
    assert!(heap.diff_files(&heap).is_ok(), "two files need no history");
}
