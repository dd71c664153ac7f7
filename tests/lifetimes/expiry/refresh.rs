//! A read lets a hold last that asks for it: what is read in time is never lost, and what is not is gone.

use std::time::Duration;

use heapledger::{EventFilter, EventKind, Expiry, Hold, HoldWith, MemManager, ObjectId};

use super::{content, events, rows};
use crate::common::{Heap, assert_balanced, number, quick};
use crate::{Clock, HOUR, MINUTE};

const HALF: Duration = Duration::from_secs(30 * 60);

fn idle(hold: Hold<'_>) -> HoldWith<'_> {
    hold.expires_in(HOUR).refresh_on_get()
}

/// Whether a name is bound, according to the tables alone.
fn is_bound(heap: &Heap, name: &str) -> bool {
    let now = "(SELECT max(bound_at) FROM names)";
    number(
        &heap.sql(),
        &format!("SELECT count(*) FROM names WHERE name = '{name}' AND expires_at > {now}"),
    ) == 1
}

#[test]
fn a_name_lasts_as_long_again_from_each_read_on() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = heap.store("ann", idle(Hold::Name("session"))).unwrap().id;
    heap.store("bob", Hold::Name("other").expires_in(HOUR)).unwrap();
    for round in 0..6 {
        clock.advance(HALF);
        if round % 2 == 0 {
            assert_eq!(heap.get_by_name::<String>("session").unwrap().as_deref(), Some("ann"));
        } else {
            assert!(heap.reader_by_name("session").unwrap().is_some());
        }
        let _ = heap.get_by_name::<String>("other").unwrap();
    }
    assert_eq!(heap.resolve("other").unwrap(), None);
    // To look does not count, nor does another way to the object.
    clock.advance(HALF);
    assert_eq!(heap.resolve("session").unwrap(), Some(id));
    assert!(heap.contains(&id).unwrap());
    heap.get_bytes(&id).unwrap();
    clock.advance(HALF + MINUTE);
    assert_eq!(heap.get_by_name::<String>("session").unwrap(), None);
    assert_balanced(&heap);
}

#[test]
fn the_anonymous_hold_lasts_with_each_read_by_the_id() {
    let clock = Clock::take();
    let heap = Heap::new();
    let sizes = [0, 200, 5_000, 300_000];
    let ids = sizes.map(|size| {
        let stored = heap.store_bytes(&content(1, size), idle(Hold::Anonymous)).unwrap();
        stored.id
    });
    let text = heap.store("text", idle(Hold::Anonymous)).unwrap().id;
    type Get = fn(&MemManager, &ObjectId);
    let gets: [Get; 4] = [
        |heap, id| drop(heap.get_bytes(id).unwrap()),
        |heap, id| drop(heap.reader(id).unwrap()),
        |heap, id| drop(heap.snapshot().unwrap().get_bytes(id).unwrap()),
        |heap, id| drop(heap.batch(|batch| batch.get_bytes(id)).unwrap()),
    ];
    for get in gets {
        clock.advance(40 * MINUTE);
        ids.iter().for_each(|id| get(&heap, id));
        assert_eq!(heap.get::<String>(&text).unwrap(), "text");
        // The second time, this is an hour after the time before last.
        clock.advance(15 * MINUTE);
        assert!(ids.iter().all(|id| heap.contains(id).unwrap()));
    }
    clock.advance(HOUR);
    assert!(!ids.iter().any(|id| heap.contains(id).unwrap()));
    assert_balanced(&heap);
}

#[test]
fn a_hold_is_refreshed_although_the_object_never_expires() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = heap.store("it", idle(Hold::Anonymous)).unwrap().id;
    heap.bind("forever", &id).unwrap();
    for _ in 0..3 {
        clock.advance(HALF);
        heap.get_bytes(&id).unwrap();
    }
    heap.unbind("forever").unwrap();
    assert!(heap.contains(&id).unwrap());
    assert_balanced(&heap);
    clock.advance(HOUR);
    assert!(!heap.contains(&id).unwrap());
}

#[test]
fn what_was_read_in_time_is_there_before_that_is_written_and_later() {
    let clock = Clock::take();
    let heap = Heap::new();
    for name in ["a", "b", "c"] {
        heap.store(name, idle(Hold::Name(name))).unwrap();
    }
    clock.advance(HALF);
    heap.get_by_name::<String>("a").unwrap();
    // The thread may or may not have written it: nobody can tell.
    clock.advance(HALF + MINUTE);
    assert!(heap.resolve("a").unwrap().is_some());
    assert!(is_bound(&heap, "a"));
    assert_eq!(heap.get_by_name::<String>("b").unwrap(), None);
    // Nothing revives what was recorded as expired.
    heap.collect_garbage().unwrap();
    assert_eq!(rows(&heap), 1);
    let expired = events(&heap, &[EventKind::Expire]);
    assert_eq!(expired.len(), 2);
    assert_balanced(&heap);
}

#[test]
fn reads_are_written_within_a_second_or_at_the_end() {
    let clock = Clock::take();
    let heap = Heap::made(quick());
    heap.store("it", idle(Hold::Name("it"))).unwrap();
    let before = heap.events(EventFilter::default()).count();
    let end = |memory: &MemManager| {
        let id = memory.resolve("it").unwrap().unwrap();
        memory.names(&id).unwrap()[0].expires_at.unwrap()
    };
    let first = end(&heap);
    clock.advance(MINUTE);
    let other = heap.open_again();
    other.get_bytes_by_name("it").unwrap();
    drop(other);
    let second = end(&heap);
    assert!(second >= first + MINUTE, "{first} {second}");
    clock.advance(MINUTE);
    heap.get_bytes_by_name("it").unwrap();
    let written = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        end(&heap) >= second + MINUTE
    });
    assert!(written);
    assert_eq!(
        heap.events(EventFilter::default()).count(),
        before,
        "it makes no events"
    );
    // Who may not write leaves it as it is.
    let read_only = quick().read_only(true).open(heap.address()).unwrap();
    let third = end(&heap);
    clock.advance(MINUTE);
    read_only.get_bytes_by_name("it").unwrap();
    drop(read_only);
    assert_eq!(end(&heap), third);
}

#[test]
fn expire_and_touch_and_another_set_decide_anew() {
    let clock = Clock::take();
    let heap = Heap::new();
    let refresh = |name: &str| {
        let id = heap.resolve(name).unwrap().unwrap();
        heap.names(&id).unwrap()[0].refresh
    };
    let hour = Some(HOUR.as_micros() as u64);
    heap.store("it", idle(Hold::Name("it"))).unwrap();
    assert_eq!(refresh("it"), hour);
    heap.touch("it", 2 * HOUR).unwrap();
    assert_eq!(refresh("it"), hour, "it lasts longer now, and as long after a read");
    heap.expire("it", HOUR).unwrap();
    assert_eq!(refresh("it"), None);
    heap.expire("it", Expiry::Idle(MINUTE)).unwrap();
    assert_eq!(refresh("it"), Some(60_000_000));
    clock.advance(MINUTE / 2);
    heap.get_by_name::<String>("it").unwrap();
    clock.advance(MINUTE / 2 + MINUTE / 4);
    assert!(heap.resolve("it").unwrap().is_some());
    heap.store("it", Hold::Name("it").expires_in(HOUR)).unwrap();
    assert_eq!(refresh("it"), None);
    heap.set("it", "it").unwrap();
    assert_eq!(
        heap.names(&heap.resolve("it").unwrap().unwrap()).unwrap()[0].expires_at,
        None
    );
    // Of two anonymous holds the longer one counts.
    let id = heap.store("two", idle(Hold::Anonymous)).unwrap().id;
    heap.store("two", Hold::Anonymous.expires_in(2 * HOUR)).unwrap();
    assert_eq!(heap.object(&id).unwrap().held_refresh, hour);
    heap.expire(&id, Expiry::Never).unwrap();
    assert_eq!(heap.object(&id).unwrap().held_refresh, None);
    assert_balanced(&heap);
}
