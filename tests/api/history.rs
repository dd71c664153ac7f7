//! The history has an event for everything that happens, with postings that balance.

use std::time::Duration;

use crate::common::{Heap, KIB, MIB, Place, assert_balanced, content, dump, number, quick, sql, texts};
use heapledger::{
    Error, Event, EventFilter, EventId, EventKind, Geometry, History, Hold, MemManager, Moment, ObjectId,
};

fn events(memory: &MemManager) -> Vec<Event> {
    memory.events(EventFilter::default()).map(Result::unwrap).collect()
}

fn last(memory: &MemManager) -> Event {
    events(memory).pop().unwrap()
}

/// Payload, room in blocks, uncarved in pools, uncarved in arenas, unreserved, capacity.
fn accounts(event: &Event) -> [i64; 6] {
    [
        event.payload,
        event.room_in_blocks,
        event.uncarved_in_pools,
        event.uncarved_in_arenas,
        event.unreserved,
        event.capacity,
    ]
}

/// Events whose postings do not sum to zero, and accounts whose sum is not the trial
/// balance.
fn imbalances(memory: &MemManager) -> Vec<String> {
    let sql = sql(memory.path());
    let mut found = texts(
        &sql,
        "SELECT 'event ' || event_id FROM postings GROUP BY event_id HAVING sum(bytes) <> 0",
    );
    found.extend(texts(
        &sql,
        "SELECT space || ' ' || bucket || ': booked ' || booked || ', found ' || found
         FROM history_balance WHERE booked <> found",
    ));
    found
}

/// A few operations of every sort.
fn work(memory: &MemManager) {
    let first = memory.allocate_bytes(&content(1, 1000)).unwrap();
    memory.allocate_bytes(&content(1, 1000)).unwrap();
    memory.store_bytes(&content(2, 300_000), Hold::Name("large")).unwrap();
    memory.store_bytes(b"", Hold::Name("empty")).unwrap();
    memory.store_bytes(&content(3, 30), Hold::Name("large")).unwrap();
    memory.free(&first).unwrap();
    memory.unbind("empty").unwrap();
    memory.collect_garbage().unwrap();
    memory.add_arena().unwrap();
    memory.resize(2 * MIB).unwrap();
    memory.allocate_bytes(&content(4, 3 * MIB)).unwrap_err();
}

#[test]
fn the_first_event_is_an_opening_with_the_whole_space() {
    let heap = Heap::classic();
    let events = events(&heap);
    assert_eq!((events.len(), events[0].kind.as_str()), (1, "opening"));
    assert_eq!(accounts(&events[0]), [0, 0, 0, 0, MIB as i64, MIB as i64]);
}

#[test]
fn an_allocation_records_what_it_carved_and_filled() {
    let heap = Heap::classic();
    let id = heap.allocate_bytes(&content(1, 1000)).unwrap();
    let event = last(&heap);
    assert_eq!((event.kind.as_str(), event.bytes, event.mem), ("allocate", 1000, 1000));
    assert_eq!(event.object, Some(id));
    let (arena, pool) = (256 * KIB as i64, 4 * KIB as i64);
    assert_eq!(accounts(&event), [1000, 24, pool - 1024, arena - pool, -arena, 0]);
    let carved = "[\"arena\",1,262144],[\"pool\",1,1,512,4096],[\"block\",1,1,1,512,512],[\"block\",2,1,1,512,512]";
    let pieces = "[1,1,1,512,512],[2,1,1,512,488]";
    assert_eq!(
        event.changes.unwrap(),
        format!("{{\"pieces\":[{pieces}],\"carved\":[{carved}]}}")
    );
    let blocks = texts(
        &heap.sql(),
        "SELECT block_id || ': ' || bytes FROM event_blocks ORDER BY event_id, block_id",
    );
    assert_eq!(blocks, ["1: 512", "2: 488"]);
}

#[test]
fn binding_and_holding_are_recorded_without_moving_bytes() {
    let heap = Heap::classic();
    let id = heap.store_bytes(&content(1, 700), Hold::Name("one")).unwrap().id;
    heap.allocate_bytes(&content(1, 700)).unwrap();
    heap.bind("two", &id).unwrap();
    heap.unbind("one").unwrap();
    let events = events(&heap);
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.kind.as_str(), event.name.as_deref(), event.bytes, event.mem))
        .collect();
    let expected = [
        ("opening", None, 0, 0),
        ("allocate", None, 700, 700),
        ("bind", Some("one"), 0, 700),
        ("dedup_hit", None, 700, 700),
        ("bind", Some("two"), 0, 700),
        ("unbind", Some("one"), 0, 700),
    ];
    assert_eq!(told, expected);
    for event in &events[2..] {
        assert_eq!(accounts(event), [0; 6], "{}", event.kind);
        assert_eq!(event.object, Some(id));
    }
}

#[test]
fn a_free_returns_its_bytes_to_their_blocks() {
    let heap = Heap::classic();
    let id = heap.allocate_bytes(&content(1, 700)).unwrap();
    heap.free(&id).unwrap();
    let event = last(&heap);
    assert_eq!((event.kind.as_str(), event.bytes, event.mem), ("free", 700, 0));
    assert_eq!(accounts(&event), [-700, 700, 0, 0, 0, 0]);
    assert_eq!(
        event.changes.unwrap(),
        "{\"pieces\":[[1,1,1,512,-512],[2,1,1,512,-188]]}"
    );
}

#[test]
fn a_name_that_moves_frees_what_it_held_in_one_commit() {
    let heap = Heap::classic();
    heap.store_bytes(&content(1, 700), Hold::Name("it")).unwrap();
    heap.store_bytes(&content(2, 300), Hold::Name("it")).unwrap();
    let kinds: Vec<_> = events(&heap).into_iter().map(|event| (event.kind, event.mem)).collect();
    let kinds: Vec<_> = kinds.iter().map(|(kind, mem)| (kind.as_str(), *mem)).collect();
    let expected = [
        ("opening", 0),
        ("allocate", 700),
        ("bind", 700),
        ("allocate", 1000),
        ("unbind", 1000),
        ("bind", 1000),
        ("free", 300),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn an_empty_object_is_recorded_too() {
    let heap = Heap::classic();
    let id = heap.allocate_bytes(b"").unwrap();
    heap.free(&id).unwrap();
    let events = events(&heap);
    let told: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(told, ["opening", "allocate", "free"]);
    assert_eq!(events[1].object, events[2].object);
}

#[test]
fn carving_collecting_and_resizing_move_bytes_between_the_levels() {
    let heap = Heap::classic();
    let arena = heap.add_arena().unwrap();
    let pool = heap.add_pool(arena.id, 512).unwrap();
    heap.add_block(pool.id).unwrap();
    heap.resize(2 * MIB).unwrap();
    let made = events(&heap).len();
    heap.collect_garbage().unwrap();
    let events = events(&heap);
    let moved: Vec<_> = events[1..made]
        .iter()
        .map(|event| (event.kind.as_str(), accounts(event)))
        .collect();
    let (kib, mib) = (KIB as i64, MIB as i64);
    let expected = [
        ("carve", [0, 0, 0, 256 * kib, -256 * kib, 0]),
        ("carve", [0, 0, 4 * kib, -4 * kib, 0, 0]),
        ("carve", [0, 512, -512, 0, 0, 0]),
        ("resize", [0, 0, 0, 0, mib, mib]),
    ];
    assert_eq!(moved, expected);
    // A collection may write several events, one for each batch of rows that it removes.
    let (mut collected, mut levels) = ([0; 6], String::new());
    for event in &events[made..] {
        assert_eq!(event.kind, EventKind::Gc);
        for (sum, bytes) in collected.iter_mut().zip(accounts(event)) {
            *sum += bytes;
        }
        levels += event.changes.as_deref().unwrap();
    }
    assert_eq!(collected, [0, -512, 512 - 4 * kib, -252 * kib, 256 * kib, 0]);
    for level in [
        "[\"block\",1,1,1,512,512]",
        "[\"pool\",1,1,512,4096]",
        "[\"arena\",1,262144]",
    ] {
        assert!(levels.contains(level), "{level} in {levels}");
    }
}

#[test]
fn a_collection_that_finds_nothing_leaves_no_event() {
    let heap = Heap::classic();
    heap.collect_garbage().unwrap();
    assert_eq!(events(&heap).len(), 1);
}

#[test]
fn postings_sum_to_zero_per_event_and_to_the_trial_balance_in_total() {
    for geometry in [Geometry::standard(), Geometry::classic()] {
        let heap = Heap::of(MIB, geometry);
        work(&heap);
        assert_eq!(imbalances(&heap), Vec::<String>::new());
        assert_balanced(&heap);
        let memory = heap.memram().unwrap();
        assert_eq!(last(&heap).mem, memory.mem);
    }
}

#[test]
fn a_batch_that_fails_leaves_no_event() {
    let heap = Heap::classic();
    let failed: Result<(), Error> = heap.batch(|batch| {
        batch.allocate_bytes(&content(1, 1000))?;
        batch.unbind("nothing").map(drop)
    });
    assert!(matches!(failed, Err(Error::UnknownName { .. })));
    assert_eq!(events(&heap).len(), 1);
    heap.batch(|batch| {
        let id = batch.allocate_bytes(&content(2, 1000))?;
        batch.free(&id)
    })
    .unwrap();
    let kinds: Vec<_> = events(&heap).into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Opening, EventKind::Allocate, EventKind::Free]);
    assert_balanced(&heap);
}

#[test]
fn a_refusal_leaves_an_event_and_nothing_else() {
    let heap = Heap::of(64 * KIB, Geometry::standard());
    heap.allocate_bytes(&content(1, 60_000)).unwrap();
    let before = dump(&heap.sql());
    let too_much = content(2, 10_000);
    let refusals: [&dyn Fn() -> Error; 3] = [
        &|| heap.allocate_bytes(&too_much).unwrap_err(),
        &|| heap.allocate_from(&too_much[..]).unwrap_err(),
        &|| heap.batch(|batch| batch.allocate_bytes(&too_much)).unwrap_err(),
    ];
    let events_before = events(&heap).len();
    for (refuse, count) in refusals.into_iter().zip(1..) {
        assert!(matches!(
            refuse(),
            Error::OutOfMemory {
                needed: 10_000,
                available: 5_536,
                ..
            }
        ));
        assert_eq!(dump(&heap.sql()), before);
        let event = last(&heap);
        // The same again is counted.
        assert_eq!((events(&heap).len(), event.count), (events_before + 1, count));
        assert_eq!(event.last_at.is_some(), count > 1);
        assert_eq!(
            (event.kind.as_str(), event.bytes, event.mem),
            ("refusal", 10_000, 60_000)
        );
        assert_eq!(accounts(&event), [0; 6]);
        assert_eq!(event.object, Some(ObjectId::of_bytes(&too_much)));
        let changes: serde_json::Value = serde_json::from_str(&event.changes.unwrap()).unwrap();
        assert_eq!(
            (&changes["available"], &changes["shortfall"]),
            (&5_536.into(), &4_464.into())
        );
    }
}

#[test]
fn a_trimmed_history_still_balances() {
    let heap = Heap::new();
    work(&heap);
    let before = last(&heap).id;
    std::thread::sleep(Duration::from_millis(2));
    heap.set_history(History::keep_for(Duration::from_millis(1))).unwrap();
    let kept = events(&heap);
    assert_eq!((kept.len(), kept[0].kind.as_str(), kept[0].id), (1, "opening", before));
    assert_eq!(kept[0].mem, heap.memram().unwrap().mem);
    assert_eq!(imbalances(&heap), Vec::<String>::new());
    assert_balanced(&heap);
    heap.set_history(History::keep_for(Duration::from_secs(3600))).unwrap();
    work(&heap);
    assert_eq!(imbalances(&heap), Vec::<String>::new());
    assert!(events(&heap).len() > 5, "recent events stay");
    std::thread::sleep(Duration::from_millis(2));
    heap.set_history(History::keep_for(Duration::from_millis(1))).unwrap();
    assert_eq!(events(&heap).len(), 1);
    heap.collect_garbage().unwrap();
    assert_balanced(&heap);
}

#[test]
fn event_numbers_never_repeat() {
    let heap = Heap::new();
    work(&heap);
    let mut highest = last(&heap).id;
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(2));
        heap.set_history(History::keep_for(Duration::from_millis(1))).unwrap();
        let again = heap.open_again();
        again.allocate_bytes(&content(9, 90)).unwrap();
        assert!(last(&again).id > highest, "{:?} after {highest:?}", last(&again).id);
        highest = last(&again).id;
        let id = ObjectId::of_bytes(&content(9, 90));
        again.free(&id).unwrap();
        heap.set_history(History::Off).unwrap();
        heap.set_history(History::On).unwrap();
        assert!(last(&heap).id > highest);
        highest = last(&heap).id;
    }
}

#[test]
fn a_clock_that_goes_backwards_does_not_reorder() {
    let heap = Heap::classic();
    let ids: Vec<_> = (1..=4)
        .map(|seed| heap.allocate_bytes(&content(seed, 100)).unwrap())
        .collect();
    // As if the clock had been set back an hour after the second allocation.
    let hour = 3_600_000_000_i64;
    heap.sql()
        .change(&format!("UPDATE events SET at = at - {hour} WHERE id > 3"));
    let events = events(&heap);
    let objects: Vec<_> = events[1..].iter().map(|event| event.object.unwrap()).collect();
    assert_eq!(objects, ids);
    assert!(events.is_sorted_by_key(|event| event.id));
    assert!(!events.is_sorted_by_key(|event| event.at));
    // A time stands for the event with the highest number at or before it.
    let at = events[2].at;
    assert_eq!(heap.layout_at(Moment::Time(at)).unwrap().event_id, events[4].id);
    assert_eq!(heap.newest_events(&EventFilter::default(), 1).unwrap(), events[4..]);
    assert_balanced(&heap);
}

#[test]
fn i11_an_update_by_another_tool_is_found() {
    let heap = Heap::new();
    work(&heap);
    let sql = heap.sql();
    // Breaks no other invariant.
    sql.change("UPDATE memram SET max_mem = max_mem + 4096");
    let found = heap.check().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].invariant.name(), found[0].table.as_str()), ("I11", "events"));
    assert!(
        found[0].expected.starts_with("unreserved of space main "),
        "{}",
        found[0].expected
    );
    sql.change("UPDATE memram SET max_mem = max_mem - 4096");
    assert_balanced(&heap);
}

#[test]
fn i11_names_the_first_event_that_does_not_fit_the_books() {
    let heap = Heap::classic();
    let ids: Vec<_> = (1..=5)
        .map(|seed| heap.allocate_bytes(&content(seed, 100)).unwrap())
        .collect();
    assert_eq!(ids.len(), 5);
    let gone = events(&heap)[3].id;
    heap.sql().change(&format!("DELETE FROM events WHERE id = {gone}"));
    let found = heap.check().unwrap();
    let first = found.iter().find(|violation| violation.id.is_some()).unwrap();
    assert_eq!((first.invariant.name(), first.id), ("I11", Some(gone.0 + 1)));
    assert_eq!((first.expected.as_str(), first.found.as_str()), ("mem 300", "mem 400"));
}

#[test]
fn history_off_records_nothing_and_turning_it_on_writes_an_opening() {
    let heap = Heap::new();
    work(&heap);
    heap.set_history(History::Off).unwrap();
    let silent = events(&heap).len();
    heap.allocate_bytes(&content(20, 5000)).unwrap();
    heap.allocate_bytes(&content(21, 5 * MIB)).unwrap_err();
    heap.collect_garbage().unwrap();
    assert_eq!(events(&heap).len(), silent);
    assert_balanced(&heap);
    for refused in [
        heap.layout_at(Moment::Event(EventId(1))).map(drop),
        heap.usage_over_time(5).map(drop),
    ] {
        assert!(matches!(refused, Err(Error::HistoryOff { .. })), "{refused:?}");
    }
    heap.set_history(History::On).unwrap();
    let opening = last(&heap);
    let balance: Vec<_> = heap
        .trial_balance()
        .unwrap()
        .iter()
        .map(|bucket| bucket.bytes as i64)
        .collect();
    assert_eq!(opening.kind, EventKind::Opening);
    assert_eq!(accounts(&opening)[..5], balance);
    heap.allocate_bytes(&content(22, 5000)).unwrap();
    assert_eq!(imbalances(&heap), Vec::<String>::new());
    assert_balanced(&heap);
    // Setting the same mode again writes no opening.
    let before = events(&heap).len();
    heap.set_history(History::On).unwrap();
    assert_eq!(events(&heap).len(), before);
}

#[test]
fn an_opening_states_the_balance_and_has_no_actor() {
    let place = Place::new();
    let memory = quick().actor("operator").open(place.address()).unwrap();
    memory.set_history(History::Off).unwrap();
    memory.because("an audit").set_history(History::On).unwrap();
    let opening = last(&memory);
    assert_eq!(
        (opening.kind, opening.actor, opening.reason),
        (EventKind::Opening, None, None)
    );
    assert_balanced(&memory);
}

#[test]
fn an_event_records_actor_and_reason() {
    let place = Place::new();
    let path = place.address();
    let memory = quick().actor("importer").max_mem(KIB).open(path).unwrap();
    memory.because("nightly run").allocate_bytes(b"one").unwrap();
    memory.allocate_bytes(b"two").unwrap();
    let refused = memory.because("too large").allocate_bytes(&content(1, 2 * KIB));
    assert!(matches!(refused, Err(Error::OutOfMemory { .. })));
    let nobody = quick().open(path).unwrap();
    nobody.allocate_bytes(b"three").unwrap();
    let told: Vec<_> = events(&memory)
        .into_iter()
        .skip(1)
        .map(|event| (event.kind.as_str(), event.actor, event.reason))
        .collect();
    let some = |text: &str| Some(text.to_owned());
    let expected = [
        ("allocate", some("importer"), some("nightly run")),
        ("allocate", some("importer"), None),
        ("refusal", some("importer"), some("too large")),
        ("allocate", None, None),
    ];
    assert_eq!(told, expected);

    let of = |filter: EventFilter| -> Vec<_> {
        let events = memory.events(filter).map(Result::unwrap);
        events.map(|event| event.kind.as_str()).collect()
    };
    assert_eq!(of(EventFilter::default().reason("nightly run")), ["allocate"]);
    assert_eq!(
        of(EventFilter::default().reason("too large").actor("importer")),
        ["refusal"]
    );
    let newest = memory.newest_events(&EventFilter::default().reason("nightly"), 5);
    assert_eq!(newest.unwrap(), []);
}

#[test]
fn a_filter_passes_events_that_meet_all_its_conditions() {
    let heap = Heap::new();
    work(&heap);
    let all = events(&heap);
    let found = |filter: EventFilter| {
        let ids: Vec<_> = heap.events(filter).map(|event| event.unwrap().id).collect();
        ids
    };
    let expected = |keep: &dyn Fn(&Event) -> bool| {
        let kept = all.iter().filter(|event| keep(event));
        kept.map(|event| event.id).collect::<Vec<_>>()
    };
    let kinds = vec![EventKind::Free, EventKind::Gc];
    let by_kind = EventFilter::default().kinds(kinds.clone());
    assert_eq!(found(by_kind), expected(&|event| kinds.contains(&event.kind)));
    let object = ObjectId::of_bytes(&content(1, 1000));
    let about = EventFilter::default().object(object);
    assert_eq!(found(about).len(), 3);
    let (since, until) = (all[4].at, all[9].at);
    let between = EventFilter::default().since(since).until(until);
    assert_eq!(found(between), expected(&|event| (since..=until).contains(&event.at)));
    let after = EventFilter::default().after(all[6].id);
    assert_eq!(found(after.clone()), expected(&|event| event.id > all[6].id));
    assert_eq!(heap.newest_events(&after, 2).unwrap(), all[all.len() - 2..]);
    let nobody = EventFilter::default().actor("nobody");
    assert!(found(nobody).is_empty());
}

#[test]
fn events_are_read_page_by_page_in_order() {
    let heap = Heap::new();
    heap.batch(|batch| {
        for seed in 0..1000 {
            batch.allocate_bytes(&content(seed, 8))?;
        }
        Ok(())
    })
    .unwrap();
    let events = events(&heap);
    assert_eq!(events.len(), 1001);
    assert!(events.is_sorted_by_key(|event| event.id));
    assert_eq!(events[1000].mem, 8000);
    assert_balanced(&heap);
}

#[test]
fn each_space_has_its_own_history_in_one_order() {
    let heap = Heap::new();
    let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
    // The view orders by milliseconds, then by id, so events of two spaces need different ones.
    let next = || std::thread::sleep(Duration::from_millis(2));
    heap.allocate_bytes(&content(1, 100)).unwrap();
    next();
    other.allocate_bytes(&content(2, 200)).unwrap();
    next();
    heap.allocate_bytes(&content(3, 300)).unwrap();
    let (mine, theirs) = (events(&heap), events(&other));
    assert_eq!((mine.len(), theirs.len()), (3, 2));
    assert_eq!(mine.iter().map(|event| event.id.n()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(theirs.iter().map(|event| event.id.n()).collect::<Vec<_>>(), [1, 2]);
    assert!(mine[1].at <= theirs[1].at && theirs[1].at <= mine[2].at);
    let in_order = "SELECT string_agg(CAST(bytes AS text), ',') FROM (SELECT bytes FROM log WHERE kind = 'allocate' ORDER BY time, id) t";
    assert_eq!(texts(&heap.sql(), in_order), ["100,200,300"]);
    // An event of one space is a moment for the other, too.
    assert_eq!(heap.layout_at(Moment::Event(theirs[1].id)).unwrap().mem, 100);
    assert_balanced(&heap);
    let sql = heap.sql();
    assert_eq!(number(&sql, "SELECT count(*) FROM log WHERE space = 'other'"), 2);
}

#[test]
fn freed_objects_are_found_in_the_history() {
    let heap = Heap::new();
    let id = heap.store_bytes(&content(1, 100), Hold::Name("was here")).unwrap().id;
    heap.unbind("was here").unwrap();
    let hex = id.to_hex();
    for text in ["was here", &hex, &hex[..7], &hex[..6].to_uppercase()] {
        assert!(heap.find(text).is_err(), "{text}");
        assert_eq!(heap.find_ever(text).unwrap(), id, "{text}");
    }
    for text in ["never", "", &hex[..5], &"0".repeat(64), &"0".repeat(70)] {
        assert!(
            matches!(heap.find_ever(text), Err(Error::UnknownReference { .. })),
            "{text}"
        );
    }
}

#[test]
fn every_event_of_a_batch_has_its_reason_and_time() {
    let heap = Heap::of(8 * 1024 * 1024, Geometry::standard());
    heap.because("why")
        .batch(|batch| {
            // More rows than the writer gathers before it writes.
            for i in 0..40 {
                batch.allocate_bytes(&content(i, 300))?;
                batch.allocate_bytes(&content(1000 + i, 70_000))?;
            }
            Ok(())
        })
        .unwrap();
    let sql = heap.sql();
    let unsigned = "SELECT count(*) FROM events WHERE kind = 'allocate' AND (reason IS DISTINCT FROM 'why' OR at = 0)";
    assert_eq!(number(&sql, unsigned), 0);
    assert_eq!(
        number(&sql, "SELECT count(*) FROM stored_objects WHERE created_at = 0"),
        0
    );
}

#[test]
fn a_collection_removes_old_events() {
    let heap = Heap::new();
    heap.set_history(History::keep_for(Duration::from_millis(1))).unwrap();
    work(&heap);
    std::thread::sleep(Duration::from_millis(2));
    heap.collect_garbage().unwrap();
    let kept: Vec<_> = events(&heap).into_iter().map(|event| event.kind).collect();
    assert!(
        matches!(&kept[..], [EventKind::Opening, ..]) && kept.len() <= 2,
        "{kept:?}"
    );
    assert_balanced(&heap);
}

/// It is not read beyond the size of the space, so its id is unknown.
#[test]
fn a_stream_larger_than_the_space_leaves_a_refusal() {
    let heap = Heap::of(64 * KIB, Geometry::standard());
    heap.allocate_bytes(&content(1, 60_000)).unwrap();
    let before = (dump(&heap.sql()), events(&heap).len());
    let refused = heap.because("too much").allocate_from(std::io::repeat(1));
    assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
    assert_eq!((dump(&heap.sql()), events(&heap).len()), (before.0, before.1 + 1));
    let event = last(&heap);
    assert_eq!(
        (event.kind.as_str(), event.mem, event.object),
        ("refusal", 60_000, None)
    );
    assert_eq!(event.bytes as u64, 64 * KIB + 1);
    assert_eq!(event.reason.as_deref(), Some("too much"));
}

#[test]
fn an_overlong_reason_or_actor_is_refused() {
    let heap = Heap::new();
    let before = dump(&heap.sql());
    let events = heap.events(EventFilter::default()).count();
    let long = "r".repeat(1025);
    let memory = heap.because(&long);
    let id = ObjectId::of_bytes(b"x");
    let refused = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::TooLong { length: 1025, .. }), "{error}");
    };
    refused(memory.allocate("x").map(drop));
    refused(memory.allocate_from(std::io::repeat(1)).map(drop));
    refused(memory.batch(|batch| batch.allocate("x")).map(drop));
    refused(memory.free(&id).map(drop));
    refused(memory.collect_garbage().map(drop));
    let other = Place::new();
    refused(quick().actor(long).open(other.address()).map(drop));
    assert_eq!(other.files(), 0);
    assert_eq!(dump(&heap.sql()), before);
    assert_eq!(heap.events(EventFilter::default()).count(), events);

    let long = "ß".repeat(512);
    let memory = quick().actor(&long).open(heap.address()).unwrap().because(&long);
    memory.allocate("x").unwrap();
    let event = heap.newest_events(&EventFilter::default(), 1).unwrap().remove(0);
    assert_eq!(
        (event.actor.as_deref(), event.reason.as_deref()),
        (Some(&*long), Some(&*long))
    );
}

#[test]
fn an_event_with_very_many_changes_has_a_row_of_its_own() {
    let heap = Heap::of(4 * MIB, Geometry::classic());
    let stored = heap.batch(|batch| {
        batch.allocate_bytes(&content(1, 3_000_000))?;
        batch.allocate_bytes(b"")
    });
    stored.unwrap();
    assert_balanced(&heap);
}
