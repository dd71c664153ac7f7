//! What the history says of an eviction.

use heapledger::{EventFilter, EventKind, Hold, Moment, Policy, Replay};

use super::cache;
use crate::common::{assert_balanced, content};

#[test]
fn the_history_has_the_victims_their_names_and_the_cause() {
    let heap = cache(Policy::Oldest);
    let page = heap.store_bytes(&content(1, 30_000), Hold::Name("page")).unwrap().id;
    let before = heap.newest_events(&EventFilter::default(), 1).unwrap()[0].id;
    heap.allocate_bytes(&content(2, 30_000)).unwrap();
    let new = heap
        .because("a larger one")
        .allocate_bytes(&content(3, 20_000))
        .unwrap();
    let events: Vec<_> = heap
        .newest_events(&EventFilter::default(), 4)
        .unwrap()
        .into_iter()
        .map(|event| (event.kind, event.object, event.name, event.bytes))
        .collect();
    let name = Some("page".to_owned());
    let expected = [
        (EventKind::Unbind, Some(page), name, 0),
        (EventKind::Evict, Some(page), None, 30_000),
        (EventKind::Free, Some(page), None, 30_000),
        (EventKind::Allocate, Some(new), None, 20_000),
    ];
    assert_eq!(events, expected);
    let evicted = heap.events(EventFilter::default().kinds([EventKind::Evict])).next();
    let evicted = evicted.unwrap().unwrap();
    assert_eq!(evicted.reason.as_deref(), Some("a larger one"));
    let cause: serde_json::Value = serde_json::from_str(&evicted.changes.unwrap()).unwrap();
    let expected = serde_json::json!({
        "policy": "oldest", "wanted": new.to_hex(), "needed": 20_000, "available": 5_536
    });
    assert_eq!(cause, expected);
    // Reports of earlier moments go by the same events.
    let [then, now] = [before, evicted.id].map(Moment::Event);
    assert_eq!(heap.layout_at(then).unwrap().mem, 30_000);
    assert_eq!(
        heap.layout_at(now).unwrap().mem,
        60_000,
        "it goes with the event that follows"
    );
    let now = heap.newest_events(&EventFilter::default(), 1).unwrap()[0].id;
    assert_eq!(heap.diff(then, Moment::Event(now)).unwrap().freed.len(), 1);
    assert_balanced(&heap);
}

#[test]
fn for_a_replay_an_eviction_is_not_a_free() {
    let heap = cache(Policy::Oldest);
    for seed in [1, 2, 3, 1] {
        heap.allocate_bytes(&content(seed, 30_000)).unwrap();
    }
    let replay = Replay::new([100_000]).policies([Policy::Oldest]);
    let replayed = replay.run(heap.requests().unwrap()).unwrap();
    assert_eq!((replayed.requests, replayed.runs[0].hits), (4, 1));
    let id = heap.allocate_bytes(&content(3, 30_000)).unwrap();
    heap.free(&id).unwrap();
    let replay = Replay::new([100_000]).policies([Policy::Oldest]);
    let frees = heap
        .requests()
        .unwrap()
        .filter(|request| matches!(request, Ok(heapledger::TraceRequest::Free { .. })));
    assert_eq!(frees.count(), 1);
    replay.run(heap.requests().unwrap()).unwrap();
}
