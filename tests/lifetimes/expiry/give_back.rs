//! Bytes of what has expired come back: when they are needed, a few at a time, or all at once.

use heapledger::{Error, EventFilter, EventKind, Geometry, History, Hold, Moment};

use super::{content, events, rows};
use crate::common::{Heap, KIB, MIB, assert_balanced, files_only, quick};
use crate::{Clock, HOUR, MINUTE};

fn fill(heap: &Heap, count: u8, size: usize) {
    heap.batch(|batch| {
        for seed in 0..count {
            batch.store_bytes(&content(seed, size), Hold::Anonymous.expires_in(HOUR))?;
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn an_allocation_that_would_be_refused_gets_the_bytes_in_its_own_transaction() {
    let clock = Clock::take();
    for history in [History::On, History::Off] {
        let heap = Heap::of(64 * KIB, Geometry::standard());
        heap.set_history(history).unwrap();
        fill(&heap, 60, 1000);
        assert!(matches!(
            heap.allocate_bytes(&content(99, 50_000)),
            Err(Error::OutOfMemory { .. })
        ));
        clock.advance(HOUR);
        let id = heap.allocate_bytes(&content(99, 50_000)).unwrap();
        assert_eq!(heap.get_bytes(&id).unwrap(), content(99, 50_000));
        assert_balanced(&heap);
    }
}

#[test]
fn a_large_object_is_given_back_for_one_that_needs_its_room() {
    let clock = Clock::take();
    let heap = Heap::of(80 * MIB, Geometry::standard());
    let size = 70 * MIB as usize;
    heap.store_bytes(&content(1, size), Hold::Name("large").expires_in(HOUR))
        .unwrap();
    clock.advance(HOUR);
    heap.store_bytes(&content(2, size), Hold::Name("large").expires_in(HOUR))
        .unwrap();
    assert_eq!(heap.get_bytes_by_name("large").unwrap().unwrap().len(), size);
    assert_balanced(&heap);
    clock.advance(HOUR);
    // In a stream its size is not known before.
    let id = heap.allocate_from(content(3, size).as_slice()).unwrap();
    assert_eq!(heap.get_bytes(&id).unwrap(), content(3, size));
    assert_balanced(&heap);
}

#[test]
fn a_large_object_that_a_stream_takes_the_place_of_is_given_back_in_full() {
    let clock = Clock::take();
    let heap = Heap::of(80 * MIB, Geometry::standard());
    heap.store_bytes(&content(1, 65 * MIB as usize), Hold::Name("large").expires_in(HOUR))
        .unwrap();
    clock.advance(HOUR);
    heap.allocate_from(content(2, 18 * MIB as usize).as_slice()).unwrap();
    assert_eq!(heap.memram().unwrap().mem, 18 * MIB);
    assert_balanced(&heap);
}

#[test]
fn a_reservation_gets_them_too_and_its_content_may_expire() {
    let clock = Clock::take();
    let heap = Heap::of(64 * KIB, Geometry::standard());
    fill(&heap, 60, 1000);
    clock.advance(HOUR);
    let reservation = heap.reserve(60_000).key("r").expires_in(HOUR).make().unwrap();
    let id = reservation
        .post_bytes(&content(1, 60_000), Hold::Anonymous.expires_in(HOUR))
        .unwrap()
        .id;
    assert!(heap.contains(&id).unwrap());
    clock.advance(HOUR);
    assert!(!heap.contains(&id).unwrap());
    assert_balanced(&heap);
}

#[test]
fn each_write_gives_a_few_back_and_a_collection_all() {
    let clock = Clock::take();
    let heap = Heap::new();
    fill(&heap, 200, 100);
    clock.advance(HOUR);
    assert_eq!(rows(&heap), 200);
    heap.set("a write", &1).unwrap();
    let left = rows(&heap);
    assert!((150..200).contains(&left), "{left}");
    let collected = heap.collect_garbage().unwrap();
    assert_eq!(collected.expired.objects as i64, left - 1);
    assert_eq!(rows(&heap), 1);
    assert_eq!(heap.stats().unwrap().expired, 0);
    assert_eq!(events(&heap, &[EventKind::Expire]).len(), 200);
    assert_balanced(&heap);
    let again = heap.collect_garbage().unwrap();
    assert_eq!((again.expired.objects, again.expired.names), (0, 0));
}

#[test]
fn content_that_is_stored_again_was_never_there() {
    let clock = Clock::take();
    let heap = Heap::new();
    let first = heap.store("it", Hold::Name("old").expires_in(HOUR)).unwrap();
    heap.bind("never seen again", &first.id).unwrap();
    heap.expire("never seen again", HOUR).unwrap();
    clock.advance(HOUR);
    let again = heap.allocate("it").unwrap();
    assert_eq!(again, first.id);
    assert_eq!(heap.names(&again).unwrap(), []);
    let kinds = [
        EventKind::Allocate,
        EventKind::DedupHit,
        EventKind::Expire,
        EventKind::Free,
    ];
    let told: Vec<_> = events(&heap, &kinds).into_iter().map(|(kind, ..)| kind).collect();
    let [allocate, expire, free] = [EventKind::Allocate, EventKind::Expire, EventKind::Free];
    assert_eq!(told, [allocate, expire, expire, free, allocate]);
    assert_balanced(&heap);
}

#[test]
fn a_recorded_expiry_is_history() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = heap
        .store_bytes(&content(1, 3000), Hold::Name("it").expires_in(HOUR))
        .unwrap()
        .id;
    let before = heap.newest_events(&EventFilter::default(), 1).unwrap()[0].id;
    clock.advance(HOUR);
    heap.collect_garbage().unwrap();
    let after = heap.newest_events(&EventFilter::default(), 1).unwrap()[0].id;
    let diff = heap.diff(Moment::Event(before), Moment::Event(after)).unwrap();
    assert_eq!(diff.freed[0].object_id, id);
    assert_eq!(heap.layout_at(Moment::Event(before)).unwrap().mem, 3000);
    assert_eq!(heap.find_ever("it").unwrap(), id);
    let expired = events(&heap, &[EventKind::Expire]);
    assert_eq!(expired, [(EventKind::Expire, Some("it".into()), 3000)]);
    assert_balanced(&heap);
}

#[test]
fn several_writers_give_back_what_one_of_them_has_stored() {
    let clock = Clock::take();
    let heap = Heap::of(MIB, Geometry::standard());
    for round in 0..3 {
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let heap = &heap;
                scope.spawn(move || {
                    for seed in 0..40 {
                        let content = content(writer * 40 + seed, 5000 + round);
                        let name = format!("{writer}-{}", seed % 20);
                        heap.store_bytes(&content, Hold::Name(&name).expires_in(HOUR)).unwrap();
                    }
                });
            }
        });
        clock.advance(HOUR + MINUTE);
        assert_eq!(heap.objects().count(), 0);
    }
    assert_balanced(&heap);
    heap.collect_garbage().unwrap();
    assert_eq!(heap.stats().unwrap().mem, 0);
    assert_balanced(&heap);
}

#[test]
fn a_plan_counts_on_what_is_over() {
    let clock = Clock::take();
    let heap = Heap::of(64 * KIB, Geometry::standard());
    fill(&heap, 60, 1000);
    let plan = |at| heap.plan_allocation_at(50_000, at).unwrap();
    let now = heap.objects().next().unwrap().unwrap().created;
    assert_eq!(plan(now + MINUTE).shortfall, 50_000 - (64 * KIB - 60_000));
    let later = plan(now + 2 * HOUR);
    assert!(later.fits() && later.due > 0, "{later:?}");
    clock.advance(HOUR);
    let planned = heap.plan_allocation(50_000).unwrap();
    assert_eq!((planned.shortfall, planned.due), (0, 50_000 - (64 * KIB - 60_000)));
    assert_eq!(heap.plan_allocation(70_000).unwrap().shortfall, 70_000 - 64 * KIB);
    heap.allocate_bytes(&content(99, 50_000)).unwrap();
    assert_balanced(&heap);
}

#[test]
fn a_file_full_of_what_has_expired_is_emptied() {
    files_only!(Ceiling);
    let clock = Clock::take();
    let dir = tempfile::tempdir().unwrap();
    let memory = quick().max_file(2 * MIB).open(dir.path().join("heap.db")).unwrap();
    let mut count = 0;
    let store = |number: u64| {
        let name = number.to_string();
        memory.store_bytes(name.as_bytes(), Hold::Name(&name).expires_in(HOUR))
    };
    while store(count).is_ok() {
        count += 1;
    }
    clock.advance(HOUR * 2);
    assert_eq!(memory.collect_garbage().unwrap().expired.objects, count);
    assert_balanced(&memory);
    memory.set("after", &1).unwrap();
}
