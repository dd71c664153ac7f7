//! A clock that is far ahead of the last write gives nothing back.

use heapledger::{Error, EventKind, Eviction, Geometry, History, Hold, Policy};

use super::{content, events, rows};
use crate::common::{Heap, KIB, assert_balanced};
use crate::{Clock, DAY, HOUR};

#[test]
fn a_clock_far_ahead_gives_nothing_back_unless_it_is_asked_to() {
    let clock = Clock::take();
    for history in [History::On, History::Off] {
        let heap = Heap::of(64 * KIB, Geometry::standard());
        heap.set_history(history).unwrap();
        for seed in 0..60 {
            heap.store_bytes(&content(seed, 1000), Hold::Anonymous.expires_in(HOUR))
                .unwrap();
        }
        clock.advance(2 * DAY);
        let memory = heap.open_again();
        assert_eq!(memory.objects().count(), 0, "nobody sees them");
        for seed in 100..110 {
            memory.allocate_bytes(&content(seed, 100)).unwrap();
        }
        memory.collect_garbage().unwrap();
        assert_eq!(rows(&heap), 70);
        let refused = memory.allocate_bytes(&content(200, 50_000)).unwrap_err();
        assert!(
            matches!(refused, Error::OutOfMemory { expired: 60_000, .. }),
            "{refused:?}"
        );
        assert!(
            refused.to_string().ends_with("call MemManager::collect_expired"),
            "{refused}"
        );
        let expired = memory.collect_expired().unwrap();
        assert_eq!((expired.objects, expired.bytes), (60, 60_000));
        memory.allocate_bytes(&content(200, 50_000)).unwrap();
        assert_balanced(&heap);
    }
}

#[test]
fn after_an_hour_it_is_taken_for_right() {
    let clock = Clock::take();
    let heap = Heap::new();
    heap.store("it", Hold::Name("it").expires_in(HOUR)).unwrap();
    clock.advance(2 * DAY);
    heap.allocate("a write").unwrap();
    clock.advance(HOUR / 2);
    heap.allocate("another").unwrap();
    assert_eq!(events(&heap, &[EventKind::Expire]).len(), 0);
    clock.advance(HOUR / 2);
    heap.allocate("a third").unwrap();
    assert_eq!(events(&heap, &[EventKind::Expire]).len(), 1);
    assert_balanced(&heap);
}

#[test]
fn a_heap_that_was_idle_for_days_gives_back_at_once() {
    let clock = Clock::take();
    for history in [History::On, History::Off] {
        let heap = Heap::of(64 * KIB, Geometry::standard());
        heap.set_history(history).unwrap();
        heap.store_bytes(&content(1, 60_000), Hold::Anonymous.expires_in(HOUR))
            .unwrap();
        clock.pass(3 * DAY);
        heap.allocate_bytes(&content(2, 60_000)).unwrap();
        assert_eq!(rows(&heap), 1);
        assert_balanced(&heap);
    }
}

#[test]
fn a_clock_that_jumped_before_it_was_opened_is_not_trusted_for_counting_since() {
    let clock = Clock::take();
    let heap = Heap::of(64 * KIB, Geometry::standard());
    heap.store_bytes(&content(1, 60_000), Hold::Anonymous.expires_in(HOUR))
        .unwrap();
    clock.advance(3 * DAY);
    let memory = heap.open_again();
    clock.pass(HOUR / 2);
    let refused = memory.allocate_bytes(&content(2, 60_000)).unwrap_err();
    assert!(
        matches!(refused, Error::OutOfMemory { expired: 60_000, .. }),
        "{refused:?}"
    );
    assert_balanced(&heap);
}

#[test]
fn what_is_over_by_any_clock_goes_before_what_is_evicted() {
    let clock = Clock::take();
    for policy in Policy::ALL.iter().copied() {
        let heap = Heap::of(64 * KIB, Geometry::standard());
        heap.set_eviction(Some(Eviction::by(policy))).unwrap();
        heap.store_bytes(&content(1, 30_000), Hold::Name("lives")).unwrap();
        heap.store_bytes(&content(2, 30_000), Hold::Name("is over").expires_in(HOUR))
            .unwrap();
        clock.advance(2 * DAY);
        let memory = heap.open_again();
        memory.allocate_bytes(&content(3, 100)).unwrap();
        assert_eq!(rows(&heap), 3, "nothing has to go for it");
        memory.store_bytes(&content(4, 20_000), Hold::Name("new")).unwrap();
        assert!(memory.resolve("lives").unwrap().is_some(), "{policy}");
        assert_eq!(events(&heap, &[EventKind::Evict]), []);
        assert_eq!(rows(&heap), 3);
        assert_balanced(&heap);
    }
}

#[test]
fn what_is_refused_does_not_make_a_clock_trusted() {
    let clock = Clock::take();
    let heap = Heap::of(64 * KIB, Geometry::standard());
    heap.set_eviction(Some(Eviction::by(Policy::Oldest))).unwrap();
    let pinned = heap.store_bytes(&content(1, 60_000), Hold::Name("pinned")).unwrap();
    heap.pin(&pinned.id).unwrap();
    for seed in 2..12 {
        heap.store_bytes(&content(seed, 100), Hold::Anonymous.expires_in(HOUR))
            .unwrap();
    }
    clock.advance(2 * DAY);
    let memory = heap.open_again();
    let stored = memory.batch(|batch| {
        let refused = batch.allocate_bytes(&content(20, 10_000));
        assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
        batch.allocate_bytes(b"other")
    });
    assert!(memory.contains(&stored.unwrap()).unwrap());
    memory.allocate_bytes(b"another").unwrap();
    assert_eq!(rows(&heap), 13);
    // What has expired is enough for this.
    memory.allocate_bytes(&content(21, 5_000)).unwrap();
    assert_eq!(rows(&heap), 4);
    assert_balanced(&heap);
}

#[test]
fn whoever_names_it_still_replaces_it() {
    let clock = Clock::take();
    let heap = Heap::new();
    heap.store("mine", Hold::NewName("lock").expires_in(HOUR)).unwrap();
    clock.advance(2 * DAY);
    heap.store("yours", Hold::NewName("lock").expires_in(HOUR)).unwrap();
    assert_eq!(heap.get_by_name::<String>("lock").unwrap().as_deref(), Some("yours"));
    assert_balanced(&heap);
}

#[test]
fn a_clock_far_ahead_does_not_empty_a_history_that_is_kept_by_age() {
    let clock = Clock::take();
    let heap = Heap::new();
    heap.set_history(History::keep_for(DAY)).unwrap();
    for seed in 0..10 {
        heap.allocate_bytes(&content(seed, 50)).unwrap();
    }
    let count = || heap.events(heapledger::EventFilter::default()).count();
    clock.advance(30 * DAY);
    let memory = heap.open_again();
    memory.allocate_bytes(&content(10, 50)).unwrap();
    memory.collect_garbage().unwrap();
    assert_eq!(count(), 12);
    clock.advance(HOUR);
    memory.collect_garbage().unwrap();
    assert!(count() <= 3, "{}", count());
    assert_balanced(&heap);
}
