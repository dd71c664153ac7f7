//! The layout reconstructed for a past moment is the one that existed then.

use std::time::Duration;

use crate::common::{Heap, KIB, MIB, cases, content, quick, sql};
use heapledger::{
    Arena, Block, Error, EventFilter, EventId, EventKind, Geometry, History, Hold, Layout, MemManager, Moment,
    ObjectId, Pool, SizeClass,
};
use proptest::prelude::*;
use proptest::sample::Index;

/// A space according to its rows.
type Picture = ([u64; 3], Vec<Arena>, Vec<Pool>, Vec<Block>);

fn now(memory: &MemManager) -> Picture {
    let space = memory.memram().unwrap();
    let arenas = memory.arenas().unwrap();
    let mut pools: Vec<_> = arenas
        .iter()
        .flat_map(|arena| memory.pools(arena.id).unwrap())
        .collect();
    let mut blocks: Vec<_> = pools.iter().flat_map(|pool| memory.blocks(pool.id).unwrap()).collect();
    pools.sort_by_key(|pool| pool.id);
    blocks.sort_by_key(|block| block.id);
    ([space.max_mem, space.mem, space.reserved], arenas, pools, blocks)
}

fn then(layout: Layout) -> Picture {
    (
        [layout.max_mem, layout.mem, layout.reserved],
        layout.arenas,
        layout.pools,
        layout.blocks,
    )
}

fn last_event(memory: &MemManager) -> EventId {
    memory.newest_events(&EventFilter::default(), 1).unwrap()[0].id
}

#[derive(Debug, Clone)]
enum Op {
    Allocate(u8, u64),
    Name(u8, u64),
    Free(Index),
    Unbind,
    Collect,
    AddArena,
    AddPool(Index, Index),
    AddBlock(Index),
    Resize(u64),
    Other(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![3 => 0u64..3000, 2 => 3000u64..60_000, 1 => 60_000u64..400_000];
    let pick = any::<Index>;
    prop_oneof![
        8 => (0u8..40, size.clone()).prop_map(|(key, size)| Op::Allocate(key, size)),
        3 => (0u8..40, size).prop_map(|(key, size)| Op::Name(key, size)),
        6 => pick().prop_map(Op::Free),
        1 => Just(Op::Unbind),
        3 => Just(Op::Collect),
        1 => Just(Op::AddArena),
        1 => (pick(), pick()).prop_map(|(arena, class)| Op::AddPool(arena, class)),
        1 => pick().prop_map(Op::AddBlock),
        1 => (300_000u64..900_000).prop_map(Op::Resize),
        1 => (1u64..5000).prop_map(Op::Other),
    ]
}

fn geometry() -> impl Strategy<Value = Geometry> {
    let class = |block_size, pool_size| SizeClass { block_size, pool_size };
    let odd = Geometry::new(9240, 3, vec![class(11, 33), class(70, 840), class(1155, 4620)]).unwrap();
    prop::sample::select(vec![Geometry::standard(), Geometry::classic(), odd])
}

/// A refusal is fine: it changes no layout, and is an event too.
fn take(op: &Op, memory: &MemManager, other: &MemManager) {
    match op {
        Op::Allocate(key, size) => drop(memory.allocate_bytes(&content((*key).into(), *size))),
        Op::Name(key, size) => drop(memory.store_bytes(&content((*key).into(), *size), Hold::Name("name"))),
        Op::Free(pick) => {
            let ids: Vec<ObjectId> = memory.objects().map(|object| object.unwrap().id).collect();
            if !ids.is_empty() {
                drop(memory.free(pick.get(&ids)));
            }
        }
        Op::Unbind => drop(memory.unbind("name")),
        Op::Collect => drop(memory.collect_garbage().unwrap()),
        Op::AddArena => drop(memory.add_arena()),
        Op::AddPool(arena, class) => {
            let arenas = memory.arenas().unwrap();
            if !arenas.is_empty() {
                let class = class.get(memory.geometry().classes());
                drop(memory.add_pool(arena.get(&arenas).id, class.block_size));
            }
        }
        Op::AddBlock(pool) => {
            let pools = now(memory).2;
            if !pools.is_empty() {
                drop(memory.add_block(pool.get(&pools).id));
            }
        }
        Op::Resize(bytes) => drop(memory.resize(*bytes)),
        Op::Other(size) => drop(other.allocate_bytes(&content(*size, *size))),
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn the_layout_at_every_event_is_the_one_seen_then(
        geometry in geometry(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let heap = Heap::of(600_000, geometry);
        let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
        let opened = last_event(&heap);
        let mut recorded = vec![(opened, now(&heap))];
        for op in &ops {
            take(op, &heap, &other);
            recorded.push((last_event(&heap), now(&heap)));
        }
        for (event, picture) in &recorded {
            let layout = heap.layout_at(Moment::Event(*event)).unwrap();
            prop_assert_eq!(layout.event_id, *event);
            prop_assert_eq!(&then(layout), picture);
        }
        // In the middle of an operation with several events, at least the sums must be right;
        // layout_at fails if they are not.
        for event in heap.events(EventFilter::default()) {
            let event = event.unwrap();
            let layout = heap.layout_at(Moment::Event(event.id)).unwrap();
            prop_assert_eq!(layout.mem, event.mem);
        }
    }
}

#[test]
fn a_moment_is_an_event_or_the_last_one_before_a_time() {
    let heap = Heap::classic();
    let pause = || std::thread::sleep(Duration::from_millis(3));
    pause();
    heap.allocate_bytes(&content(1, 700)).unwrap();
    pause();
    heap.allocate_bytes(&content(2, 300)).unwrap();
    let events: Vec<_> = heap.events(EventFilter::default()).map(Result::unwrap).collect();
    let mem = |moment| heap.layout_at(moment).unwrap().mem;
    assert_eq!(mem(Moment::Time(events[0].at)), 0);
    assert_eq!(mem(Moment::Time(events[1].at - Duration::from_micros(1))), 0);
    assert_eq!(mem(Moment::Time(events[1].at)), 700);
    assert_eq!(mem(Moment::Time(events[2].at + Duration::from_micros(1))), 1000);
    assert_eq!(mem(Moment::Event(events[1].id)), 700);
}

#[test]
fn a_moment_outside_the_history_is_refused() {
    let heap = Heap::classic();
    heap.allocate_bytes(&content(1, 700)).unwrap();
    let refused = |moment: Moment, part: &str| {
        let error = heap.layout_at(moment).unwrap_err();
        assert!(matches!(error, Error::OutsideHistory { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    let day = Duration::from_secs(86_400);
    let opened = heap.events(EventFilter::default()).next().unwrap().unwrap();
    refused(
        Moment::Event(EventId(99)),
        "event 99 is outside the history: no such event has happened",
    );
    // Before its creation a space is empty.
    for moment in [Moment::Event(EventId(0)), Moment::Time(opened.at - day)] {
        let layout = heap.layout_at(moment).unwrap();
        assert_eq!((layout.event_id, layout.mem, layout.reserved), (opened.id, 0, 0));
    }
    refused(Moment::Time(opened.at + day), "in the future");
    heap.set_history(History::Off).unwrap();
    heap.allocate_bytes(&content(2, 700)).unwrap();
    heap.set_history(History::On).unwrap();
    refused(
        Moment::Event(opened.id),
        "the history of space main begins later, with event 3",
    );
    refused(Moment::Time(opened.at - day), "begins later");
    assert_eq!(heap.layout_at(Moment::Event(EventId(3))).unwrap().mem, 1400);
}

#[test]
fn rows_that_contradict_the_events_are_an_error() {
    let heap = Heap::classic();
    let first = heap.allocate_bytes(&content(1, 700)).unwrap();
    heap.free(&first).unwrap();
    let sql = sql(heap.address());
    // The block that the first event carved.
    sql.change("DELETE FROM blocks WHERE id = 2");
    let error = heap.layout_at(Moment::Event(EventId(2))).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("the rows contradict event 3"), "{error}");
    sql.change("UPDATE events SET changes = 'nonsense' WHERE id = 3");
    let error = heap.layout_at(Moment::Event(EventId(2))).unwrap_err();
    assert!(error.to_string().contains("the rows contradict event 3"), "{error}");
}

#[test]
fn only_moments_after_a_trim_can_be_reconstructed() {
    let heap = Heap::of(MIB, Geometry::standard());
    let id = heap.allocate_bytes(&content(1, 20 * KIB)).unwrap();
    heap.allocate_bytes(&content(2, 3 * KIB)).unwrap();
    std::thread::sleep(Duration::from_millis(2));
    heap.set_history(History::keep_for(Duration::from_millis(1))).unwrap();
    let picture = now(&heap);
    let opened = last_event(&heap);
    heap.set_history(History::On).unwrap();
    heap.free(&id).unwrap();
    heap.collect_garbage().unwrap();
    assert_eq!(then(heap.layout_at(Moment::Event(opened)).unwrap()), picture);
    let before = heap.layout_at(Moment::Event(EventId(opened.0 - 1)));
    assert!(matches!(before, Err(Error::OutsideHistory { .. })));
}

#[test]
fn moments_before_a_repair_cannot_be_reconstructed() {
    let heap = Heap::classic();
    heap.allocate_bytes(&content(1, 700)).unwrap();
    let before = last_event(&heap);
    let sql = sql(heap.address());
    sql.change("UPDATE blocks SET mem = 500, is_free = TRUE WHERE id = 1");
    assert!(!heap.check().unwrap().is_empty());
    heap.repair().unwrap();
    assert!(heap.check().unwrap().is_empty());
    let repaired = heap.newest_events(&EventFilter::default(), 1).unwrap().remove(0);
    assert_eq!(repaired.kind, EventKind::Repair);
    heap.allocate_bytes(&content(2, 100)).unwrap();
    assert_eq!(heap.layout_at(Moment::Event(repaired.id)).unwrap().mem, 700);
    for refused in [
        heap.layout_at(Moment::Event(before)).map(drop),
        heap.diff(Moment::Event(before), last(&heap)).map(drop),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("the books were repaired by event"), "{error}");
    }
}

fn last(memory: &MemManager) -> Moment {
    Moment::Event(last_event(memory))
}
