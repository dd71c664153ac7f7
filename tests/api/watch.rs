//! Events as they happen, and how many there were.

use heapledger::{Error, EventCounts, EventFilter, EventId, EventKind, History, SpaceError};

use crate::common::{Heap, KIB, content, quick};

#[test]
fn a_watch_sees_what_others_do_from_its_beginning_on() {
    let heap = Heap::new();
    heap.set("before", "text").unwrap();
    let mut watch = heap
        .watch(EventFilter::default().kinds([EventKind::Bind, EventKind::Free]))
        .unwrap();
    assert_eq!(watch.ready().unwrap(), None);
    let other = heap.open_again();
    other.set("a", "one").unwrap();
    other
        .batch(|batch| (0..300).try_for_each(|n| batch.set(&n.to_string(), &n).map(drop)))
        .unwrap();
    let seen: Vec<_> = watch.by_ref().take(301).map(Result::unwrap).collect();
    assert!(seen.iter().all(|event| event.kind == EventKind::Bind));
    assert!(seen.is_sorted_by_key(|event| event.id));
    assert_eq!(watch.ready().unwrap(), None);

    // From any of them, also from within a row that several share.
    let middle = seen[150].id;
    let mut again = heap.watch(EventFilter::default().after(middle)).unwrap();
    assert_eq!(again.next().unwrap().unwrap().id, EventId(middle.0 + 1));
    assert_eq!(watch.ready().unwrap(), None);
}

#[test]
fn a_watch_tells_of_a_refusal_each_time() {
    let heap = Heap::new();
    let refuse = || heap.allocate_bytes(&content(1, 2 << 20)).unwrap_err();
    refuse();
    let mut watch = heap.watch(EventFilter::default()).unwrap();
    let mut counts = || watch.by_ref().next().unwrap().unwrap().count;
    refuse();
    assert_eq!(counts(), 2);
    refuse();
    refuse();
    assert_eq!(counts(), 4);
    heap.set("a", "one").unwrap();
    refuse();
    let kinds: Vec<_> = watch
        .by_ref()
        .take(3)
        .map(|event| event.unwrap())
        .map(|event| (event.kind, event.count))
        .collect();
    assert_eq!(
        kinds,
        [(EventKind::Allocate, 1), (EventKind::Bind, 1), (EventKind::Refusal, 1)]
    );
    assert_eq!(watch.ready().unwrap(), None);
}

#[test]
fn a_watch_of_what_is_gone_says_so() {
    let heap = Heap::new();
    let other = quick().space("other").max_mem(64 * KIB).open(heap.address()).unwrap();
    let mut watch = other.watch(EventFilter::default()).unwrap();
    heap.drop_space("other").unwrap();
    let error = watch.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::Space(SpaceError::Dropped { .. })), "{error}");
    assert!(watch.next().is_none());
    heap.set_history(History::Off).unwrap();
    assert!(matches!(
        heap.watch(EventFilter::default()),
        Err(Error::HistoryOff { .. })
    ));
}

#[test]
fn removed_events_are_an_opening_in_a_watch() {
    let heap = Heap::new();
    heap.set("a", "one").unwrap();
    let first = heap.events(EventFilter::default()).next().unwrap().unwrap().id;
    heap.set_history(History::keep_bytes(History::LEAST_BYTES)).unwrap();
    for number in 0..500 {
        heap.set("a", &number).unwrap();
    }
    let mut watch = heap.watch(EventFilter::default().after(first)).unwrap();
    let next = watch.next().unwrap().unwrap();
    assert!(
        next.kind == EventKind::Opening && next.id.n() > first.n() + 1,
        "{next:?}"
    );
}

#[test]
fn events_are_counted_once_each() {
    let heap = Heap::new();
    let mut counts = EventCounts::default();
    let mut count = |kind| {
        heap.count_events(&mut counts).unwrap();
        counts.of(kind)
    };
    assert_eq!(count(EventKind::Allocate), 0);
    heap.batch(|batch| (0..300).try_for_each(|n| batch.allocate(&n).map(drop)))
        .unwrap();
    assert_eq!(count(EventKind::Allocate), 300);
    assert_eq!(count(EventKind::Allocate), 300);
    let refuse = || heap.allocate_bytes(&content(1, 2 << 20)).unwrap_err();
    refuse();
    refuse();
    assert_eq!(count(EventKind::Refusal), 2);
    refuse();
    assert_eq!(count(EventKind::Refusal), 3);
    let by_list = heap.events(EventFilter::default().kinds([EventKind::Allocate])).count() as u64;
    assert_eq!(count(EventKind::Allocate), by_list);
    heap.set_history(History::Off).unwrap();
    heap.set_history(History::On).unwrap();
    assert_eq!((count(EventKind::Allocate), count(EventKind::Refusal)), (300, 3));
}

#[test]
fn refusals_of_any_size_are_counted() {
    let heap = Heap::of(KIB, heapledger::Geometry::standard());
    heap.reserve(u64::MAX).make().unwrap_err();
    heap.set("a", &1).unwrap();
    heap.allocate_bytes(&content(1, 2 * KIB)).unwrap_err();
    let mut counts = EventCounts::default();
    heap.count_events(&mut counts).unwrap();
    assert_eq!(counts.of(EventKind::Refusal), 2);
    assert_eq!(counts.bytes_of(EventKind::Refusal), i64::MAX as u64);
}
