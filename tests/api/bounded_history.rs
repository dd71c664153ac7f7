//! A history that is bounded by size or age stays within its limits, and explains the balance at each
//! commit. Repeated refusals are one event.

use std::time::Duration;

use crate::common::{
    Heap, KIB, MIB, Place, assert_balanced, assert_sql_balanced, cases, content, pages, quick, server,
};
use heapledger::{
    Error, Event, EventFilter, EventKind, Geometry, History, HistoryMode, Hold, MemManager, Moment, ObjectId,
};
use proptest::prelude::*;

fn events(memory: &MemManager) -> Vec<Event> {
    memory.events(EventFilter::default()).map(Result::unwrap).collect()
}

fn bytes(memory: &MemManager) -> u64 {
    memory.memram().unwrap().history_bytes
}

/// Makes all events older.
fn age(heap: &Heap, by: Duration) {
    let by = i64::try_from(by.as_micros()).unwrap();
    heap.sql().change(&format!("UPDATE events SET at = at - {by}"));
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_new_space_keeps_a_sixteenth_of_its_capacity() {
    for (max_mem, most) in [
        (64 * KIB, MIB),
        (16 * MIB, MIB),
        (64 * MIB, 4 * MIB),
        (1 << 40, 64 * MIB),
    ] {
        let space = Heap::of(max_mem, Geometry::standard()).memram().unwrap();
        assert_eq!((space.history, space.history_keep), (HistoryMode::Keep, None));
        assert_eq!(space.history_max_bytes, Some(most), "{max_mem}");
    }
}

#[test]
fn options_choose_the_history_of_a_new_space() {
    let place = Place::new();
    let open = |space: &str, history| quick().space(space).history(history).open(place.address());
    assert_eq!(
        open("on", History::On).unwrap().memram().unwrap().history,
        HistoryMode::On
    );
    let off = open("off", History::Off).unwrap();
    off.allocate_bytes(b"unrecorded").unwrap();
    assert_eq!(events(&off), []);
    assert_balanced(&off);
    let kept = open("kept", History::keep_bytes(5000)).unwrap().memram().unwrap();
    assert_eq!(kept.history_max_bytes, Some(5000));
    let refused = open("refused", History::keep_bytes(100));
    assert!(
        matches!(refused, Err(Error::BadHistoryLimit { bytes: 100, .. })),
        "{refused:?}"
    );
    // An existing space stays as it is.
    let again = open("kept", History::Off).unwrap().memram().unwrap();
    assert_eq!(again.history, HistoryMode::Keep);
}

#[test]
fn a_limit_that_is_too_small_changes_nothing() {
    let heap = Heap::new();
    let before = heap.memram().unwrap();
    let refused = heap.set_history(History::keep_bytes(0));
    assert!(matches!(refused, Err(Error::BadHistoryLimit { .. })), "{refused:?}");
    assert_eq!(heap.memram().unwrap(), before);
}

#[test]
fn without_a_limit_every_event_is_kept() {
    let heap = Heap::new();
    heap.set_history(History::Keep { age: None, bytes: None }).unwrap();
    assert_eq!(heap.memram().unwrap().history, HistoryMode::On);
}

#[test]
fn the_newest_events_are_kept_up_to_the_limit() {
    let heap = Heap::new();
    heap.set_history(History::keep_bytes(20 * KIB)).unwrap();
    let mut most = 0;
    for seed in 0..1000 {
        heap.store_bytes(&content(seed, 100), Hold::Name("it")).unwrap();
        most = bytes(&heap).max(most);
    }
    assert!((19 * KIB..=20 * KIB).contains(&most), "{most}");
    let events = events(&heap);
    assert!((100..200).contains(&events.len()), "{}", events.len());
    assert_eq!(events[0].kind, EventKind::Opening);
    assert_balanced(&heap);
    let gone = heap.layout_at(Moment::Event(events[0].id)).unwrap();
    assert_eq!(gone.mem, events[0].mem);
}

#[test]
fn a_unit_of_work_that_exceeds_the_limit_is_trimmed_too() {
    let heap = Heap::new();
    heap.set_history(History::keep_bytes(4 * KIB)).unwrap();
    // On a server each takes two round trips.
    let binds = if server().is_none() { 10_000 } else { 1_000 };
    let named = heap.batch(|batch| {
        (0..binds).try_for_each(|seed: u64| {
            let id = batch.allocate_bytes(&content(seed % 100, 8 + seed % 256))?;
            batch.bind(&seed.to_string(), &id).map(drop)
        })
    });
    named.unwrap();
    assert!(bytes(&heap) <= 4 * KIB, "{}", bytes(&heap));
    assert_balanced(&heap);
}

#[test]
fn a_lower_limit_applies_at_once() {
    let heap = Heap::new();
    heap.set_history(History::On).unwrap();
    for seed in 0..500 {
        heap.allocate_bytes(&content(seed, 50)).unwrap();
    }
    assert!(bytes(&heap) > 40 * KIB);
    heap.set_history(History::keep_bytes(10 * KIB)).unwrap();
    assert!((8 * KIB..=10 * KIB).contains(&bytes(&heap)), "{}", bytes(&heap));
    assert_balanced(&heap);
}

#[test]
fn writes_remove_what_is_too_old() {
    let heap = Heap::new();
    heap.set_history(History::keep_for(HOUR)).unwrap();
    for seed in 0..600 {
        heap.allocate_bytes(&content(seed, 50)).unwrap();
    }
    assert_eq!(events(&heap).len(), 601);
    age(&heap, 2 * HOUR);
    for seed in 600..1200 {
        heap.allocate_bytes(&content(seed, 50)).unwrap();
    }
    let kept = events(&heap).len();
    assert!((600..=601 + 256).contains(&kept), "{kept}");
    assert_balanced(&heap);
}

#[test]
fn a_clock_far_ahead_does_not_empty_a_small_history() {
    let heap = Heap::new();
    let history = History::Keep {
        age: Some(HOUR),
        bytes: Some(MIB),
    };
    heap.set_history(history).unwrap();
    age(&heap, 2 * HOUR);
    for seed in 0..600 {
        heap.allocate_bytes(&content(seed, 50)).unwrap();
    }
    assert_eq!(events(&heap).len(), 601);
    age(&heap, 2 * HOUR);
    heap.collect_garbage().unwrap();
    assert_eq!(events(&heap).len(), 1, "a collection still goes by age");
    assert_balanced(&heap);
}

/// An opening says that all names until its time are explained by it.
#[test]
fn a_name_bound_while_the_clock_was_ahead_stays_explained() {
    let heap = Heap::new();
    heap.store_bytes(b"it", Hold::Name("it")).unwrap();
    let sql = heap.sql();
    for table in ["events SET at = at", "names SET bound_at = bound_at"] {
        sql.change(&format!("UPDATE {table} + 3600000000"));
    }
    heap.set_history(History::keep_bytes(4 * KIB)).unwrap();
    for seed in 0..200 {
        heap.allocate_bytes(&content(seed, 50)).unwrap();
    }
    assert!(events(&heap)[0].id.n() > 3);
    assert_balanced(&heap);
}

#[test]
fn refusals_in_a_loop_are_one_event_and_take_no_room() {
    let heap = Heap::of(64 * KIB, Geometry::standard());
    heap.allocate_bytes(&content(0, 60_000)).unwrap();
    let refuse = |seed: u64| {
        heap.because("again")
            .allocate_bytes(&content(seed, 10_000))
            .unwrap_err()
    };
    refuse(1);
    let before = (bytes(&heap), pages(&heap.sql()));
    for seed in 2..=400 {
        refuse(seed);
    }
    let refusal = events(&heap).pop().unwrap();
    assert_eq!((refusal.kind, refusal.count), (EventKind::Refusal, 400));
    assert_eq!(refusal.object, Some(ObjectId::of_bytes(&content(400, 10_000))));
    assert!(refusal.last_at.unwrap() > refusal.at);
    assert_eq!(events(&heap).len(), 3);
    assert_eq!((bytes(&heap), pages(&heap.sql())), before);
    assert_balanced(&heap);
}

#[test]
fn refusals_of_others_or_for_other_reasons_are_counted_separately() {
    let heap = Heap::of(64 * KIB, Geometry::standard());
    heap.allocate_bytes(&content(0, 60_000)).unwrap();
    let other = quick().actor("other").open(heap.address()).unwrap();
    let refuse = |memory: &MemManager| memory.allocate_bytes(&content(1, 10_000)).unwrap_err();
    for _ in 0..3 {
        refuse(&heap);
        refuse(&heap.because("why"));
        refuse(&other);
    }
    let told = |memory: &MemManager| {
        let refusals = memory.events(EventFilter::default().kinds([EventKind::Refusal]));
        let told = refusals
            .map(Result::unwrap)
            .map(|event| (event.actor, event.reason, event.count));
        told.collect::<Vec<_>>()
    };
    let (actor, why) = (Some("other".to_owned()), Some("why".to_owned()));
    let three = [(None, None, 3), (None, why.clone(), 3), (actor.clone(), None, 3)];
    assert_eq!(told(&heap), three);
    // After any other event, they are counted from one again.
    heap.allocate_bytes(b"fits").unwrap();
    refuse(&heap);
    assert_eq!(told(&heap), [three.as_slice(), &[(None, None, 1)]].concat());
    assert_balanced(&heap);
}

#[test]
fn refusals_that_a_batch_survives_are_counted() {
    let heap = Heap::of(64 * KIB, Geometry::standard());
    let too_much = content(1, 100_000);
    for _ in 0..2 {
        let survived = heap.batch(|batch| {
            for _ in 0..10 {
                batch.allocate_bytes(&too_much).unwrap_err();
            }
            Ok(())
        });
        survived.unwrap();
    }
    let events = events(&heap);
    assert_eq!(events.len(), 2);
    assert_eq!(events[1].count, 20);
    assert_balanced(&heap);
}

#[test]
fn a_counted_refusal_may_become_the_opening() {
    let heap = Heap::of(64 * KIB, Geometry::standard());
    for _ in 0..3 {
        heap.allocate_bytes(&content(1, 100_000)).unwrap_err();
    }
    std::thread::sleep(Duration::from_millis(2));
    heap.set_history(History::keep_for(Duration::from_millis(1))).unwrap();
    let [opening] = events(&heap).try_into().unwrap();
    assert_eq!(
        (opening.kind, opening.count, opening.last_at),
        (EventKind::Opening, 1, None)
    );
    assert_balanced(&heap);
}

#[derive(Debug, Clone)]
enum Op {
    Put(u64),
    Batch(u64),
    Named(u8),
    Unbind(u8),
    Refused,
    Free,
    Collect,
    Limit(u64),
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0u64..1000).prop_map(Op::Put),
        4 => (1u64..300).prop_map(Op::Batch),
        4 => any::<u8>().prop_map(Op::Named),
        2 => any::<u8>().prop_map(Op::Unbind),
        2 => Just(Op::Refused),
        2 => Just(Op::Free),
        1 => Just(Op::Collect),
        1 => (4096u64..20_000).prop_map(Op::Limit),
        1 => Just(Op::Reopen),
    ]
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_bounded_history_never_exceeds_its_limit(ops in prop::collection::vec(op(), 1..80)) {
        let heap = Heap::new();
        let mut memory = heap.open_again();
        memory.set_history(History::keep_bytes(4096)).unwrap();
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Put(seed) => drop(memory.allocate_bytes(&content(seed, 60)).unwrap()),
                Op::Batch(count) => memory
                    .batch(|batch| (0..count).try_for_each(|seed| batch.allocate_bytes(&content(seed, 70)).map(drop)))
                    .unwrap(),
                Op::Named(name) => {
                    memory.store_bytes(&content(name.into(), 80), Hold::Name(&format!("name {}", name % 16))).unwrap();
                }
                Op::Unbind(name) => drop(memory.unbind(&format!("name {}", name % 16))),
                Op::Refused => drop(memory.allocate_bytes(&content(0, 2_000_000)).unwrap_err()),
                Op::Free => {
                    let ids: Vec<_> = memory.objects().map(|object| object.unwrap().id).take(50).collect();
                    memory.batch(|batch| ids.iter().try_for_each(|id| batch.release(id).map(drop))).unwrap();
                }
                Op::Collect => drop(memory.collect_garbage().unwrap()),
                Op::Limit(bytes) => memory.set_history(History::keep_bytes(bytes)).unwrap(),
                Op::Reopen => memory = heap.open_again(),
            }
            let space = memory.memram().unwrap();
            prop_assert!(space.history_bytes <= space.history_max_bytes.unwrap());
            // A server takes long to plan what is read here.
            if server().is_none() || number % 4 == 0 {
                assert_sql_balanced(&heap.sql());
            }
        }
        assert_balanced(&heap);
    }
}
