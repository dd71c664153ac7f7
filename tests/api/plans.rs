//! A written plan is carried out exactly, or refused.

use crate::common::{Heap, KIB, MIB, assert_balanced, cases, content, dump, number, quick};
use heapledger::{
    CompactOptions, Error, EventFilter, EventKind, Geometry, MemManager, ObjectId, PlanError, Work, WorkKind, WorkPlan,
};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// A heap of twelve nearly empty arenas and an empty one, and what is in them.
fn sparse() -> (Heap, Vec<ObjectId>) {
    let heap = Heap::of(4 * MIB, Geometry::standard());
    let ids: Vec<_> = (0..104)
        .map(|seed| heap.allocate_bytes(&content(seed, 32 * KIB)).unwrap())
        .collect();
    let ids = ids.into_iter().enumerate();
    let (stay, go): (Vec<_>, Vec<_>) = ids.partition(|(number, _)| number % 8 == 0 && *number < 96);
    go.iter().for_each(|(_, id)| drop(heap.free(id).unwrap()));
    (heap, stay.into_iter().map(|(_, id)| id).collect())
}

fn compaction() -> Work {
    Work::Compact(CompactOptions::default())
}

fn reread(plan: &WorkPlan) -> WorkPlan {
    let again = WorkPlan::from_json(plan.to_json().as_bytes()).unwrap();
    assert_eq!((&again, again.digest()), (plan, plan.digest()));
    again
}

/// Applies a plan that must be stale, and must leave everything as it is.
fn refused(heap: &Heap, plan: &WorkPlan) -> String {
    let before = dump(&heap.sql());
    let error = heap.apply(plan).unwrap_err();
    assert!(matches!(error, Error::Plan(PlanError::Stale { .. })), "{error}");
    assert_eq!(dump(&heap.sql()), before, "{error}");
    assert_balanced(heap);
    error.to_string()
}

#[test]
fn a_plan_is_made_without_changing_anything() {
    let (heap, ids) = sparse();
    let before = dump(&heap.sql());
    for work in [Work::Gc, Work::Free(ids), compaction()] {
        let plan = heap.plan_work(&work).unwrap();
        assert_eq!((plan.work, plan.state), (work.kind(), heap.layout_digest().unwrap()));
        assert!(!plan.slices.is_empty());
        reread(&plan);
    }
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn what_is_applied_is_what_was_planned() {
    for work in [WorkKind::Gc, WorkKind::Free, WorkKind::Compact] {
        let (heap, ids) = sparse();
        heap.bind("named", &ids[3]).unwrap();
        let work = match work {
            WorkKind::Gc => Work::Gc,
            WorkKind::Free => Work::Free(ids[..8].to_vec()),
            _ => compaction(),
        };
        let plan = reread(&heap.plan_work(&work).unwrap());
        let applied = heap.apply(&plan).unwrap();
        assert_eq!(applied.totals, plan.totals, "{work:?}");
        assert_eq!((applied.slices, applied.done_before), (plan.slices.len() as u64, 0));
        assert_balanced(&heap);
        let receipts = format!(
            "SELECT count(*) FROM log WHERE kind = 'apply' AND name = '{}'",
            plan.digest()
        );
        assert_eq!(number(&heap.sql(), &receipts), plan.slices.len() as i64);
        // Nothing is done twice.
        let again = heap.apply(&plan).unwrap();
        assert_eq!((again.slices, again.done_before), (0, plan.slices.len() as u64));
        assert_eq!(number(&heap.sql(), &receipts), plan.slices.len() as i64);
    }
}

#[test]
fn an_object_that_is_freed_in_steps_is_freed_by_a_plan_too() {
    let heap = Heap::of(256 * MIB, Geometry::standard());
    let id = heap.allocate_bytes(&vec![7; 65 << 20]).unwrap();
    let plan = heap.plan_work(&Work::Free(vec![id])).unwrap();
    let applied = heap.apply(&plan).unwrap();
    assert_eq!((applied.totals, applied.totals.bytes), (plan.totals, 65 << 20));
    assert_eq!(heap.memram().unwrap().mem, 0);
    assert_balanced(&heap);
}

#[test]
fn what_others_do_with_other_objects_does_not_matter() {
    let (heap, ids) = sparse();
    let plan = heap.plan_work(&compaction()).unwrap();
    // Into an arena that is kept.
    heap.allocate_bytes(&content(500, 100)).unwrap();
    heap.bind("named", &ids[0]).unwrap();
    let exact = heap.apply_with(&plan, true, &mut |_, _, _| {}).unwrap_err();
    assert!(
        matches!(exact, Error::Plan(PlanError::Stale { slice: 0, .. })),
        "{exact}"
    );
    let applied = heap.apply(&plan).unwrap();
    assert_eq!(applied.totals.arenas, plan.totals.arenas);
    assert_balanced(&heap);
}

#[test]
fn a_plan_for_the_very_layout_is_applied_exactly() {
    let (heap, _) = sparse();
    let plan = heap.plan_work(&compaction()).unwrap();
    let applied = heap.apply_with(&plan, true, &mut |_, _, _| {}).unwrap();
    assert_eq!(applied.totals, plan.totals);
}

#[test]
fn a_plan_is_stale_when_an_object_that_it_moves_was_freed() {
    let (heap, ids) = sparse();
    let plan = heap.plan_work(&compaction()).unwrap();
    let moved = plan
        .slices
        .iter()
        .flat_map(|slice| &slice.moves)
        .next()
        .unwrap()
        .object_id;
    assert!(ids.contains(&moved));
    heap.free(&moved).unwrap();
    refused(&heap, &plan);
    // The same content has other pieces.
    let seed = ids.iter().position(|id| *id == moved).unwrap() as u64 * 8;
    assert_eq!(heap.allocate_bytes(&content(seed, 32 * KIB)).unwrap(), moved);
    refused(&heap, &plan);
}

#[test]
fn a_plan_is_stale_when_others_have_moved_a_piece() {
    let (heap, _) = sparse();
    let plan = heap.plan_work(&compaction()).unwrap();
    heap.compact(CompactOptions::default().most(40 * KIB)).unwrap();
    let before = dump(&heap.sql());
    // The rest of what was moved together.
    assert!(heap.apply(&plan).is_err());
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn a_plan_is_stale_when_there_is_no_room_any_more() {
    let (heap, _) = sparse();
    let plan = heap.plan_work(&compaction()).unwrap();
    // Fills all blocks of the class.
    for seed in 700.. {
        if heap.memram().unwrap().arenas > 13 {
            break;
        }
        heap.allocate_bytes(&content(seed, 30 * KIB)).unwrap();
    }
    refused(&heap, &plan);
}

#[test]
fn a_plan_to_free_is_stale_when_the_object_is_held_otherwise() {
    let (heap, ids) = sparse();
    let plan = heap.plan_work(&Work::Free(vec![ids[0], ids[1]])).unwrap();
    heap.bind("new", &ids[1]).unwrap();
    assert!(refused(&heap, &plan).contains("held otherwise"));
    heap.unbind("new").unwrap();
    heap.apply(&plan).unwrap();
    assert!(!heap.contains(&ids[0]).unwrap());
}

#[test]
fn a_plan_to_collect_is_stale_when_a_block_is_used_again() {
    let heap = Heap::new();
    let id = heap.allocate_bytes(&content(1, 5000)).unwrap();
    heap.free(&id).unwrap();
    let plan = heap.plan_work(&Work::Gc).unwrap();
    heap.allocate_bytes(&content(2, 5000)).unwrap();
    assert!(refused(&heap, &plan).contains("is not empty"));
}

#[test]
fn a_plan_that_was_partly_applied_goes_on() {
    let (heap, _) = sparse();
    let plan = heap.plan_work(&compaction()).unwrap();
    for done in 0..plan.slices.len() {
        let mut part = plan.clone();
        part.slices.truncate(done);
        heap.apply(&part).unwrap();
        assert_balanced(&heap);
    }
    let applied = heap.apply(&plan).unwrap();
    assert_eq!((applied.slices, applied.done_before), (1, plan.slices.len() as u64 - 1));
    assert_eq!(applied.totals.file_size, plan.totals.file_size);
}

#[test]
fn a_plan_is_for_one_space() {
    let (heap, _) = sparse();
    let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
    let plan = heap.plan_work(&Work::Gc).unwrap();
    let error = other.apply(&plan).unwrap_err();
    assert!(matches!(error, Error::Plan(PlanError::OtherSpace { .. })), "{error}");
    let (another, _) = sparse();
    assert!(matches!(
        another.apply(&plan),
        Err(Error::Plan(PlanError::OtherSpace { .. }))
    ));
    // It cannot reach into another space, whatever it says.
    let mut forged = other.plan_work(&Work::Gc).unwrap();
    forged.slices = plan.slices.clone();
    let before = dump(&heap.sql());
    let applied = other.apply(&forged).unwrap();
    assert_eq!((applied.slices, dump(&heap.sql())), (0, before));
}

#[test]
fn what_is_no_plan_is_refused() {
    let (heap, _) = sparse();
    let json = heap.plan_work(&compaction()).unwrap().to_json();
    let replaced = |from: &str, to: &str| {
        assert!(json.contains(from), "{from}");
        json.replacen(from, to, 1)
    };
    let deep = format!("{{\"more\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let seq = "\"seq\": 0";
    for (text, why) in [
        (String::new(), "EOF"),
        ("[]".into(), "expected"),
        (deep, "missing field"),
        (replaced("heapledger plan", "other plan"), "format"),
        (replaced("\"version\": 1", "\"version\": 0"), "version 0"),
        (replaced("\"version\": 1", "\"version\": -1"), "expected u64"),
        (replaced("\"work\": \"compact\"", "\"work\": \"evict\""), "evict"),
        (replaced("\"slices\"", "\"more\": 1, \"slices\""), "more"),
        (replaced(seq, "\"seq\": -1"), "no object has"),
        (replaced("\"bytes\": 32768", "\"bytes\": -32768"), "1 to"),
        (replaced("\"bytes\": 32768", "\"bytes\": 9223372036854775807"), "1 to"),
        (
            replaced("\"from\": [", "\"from\": [{\"block_id\": 1, \"bytes\": 262145}, "),
            "never joined",
        ),
        (replaced("\"block\":", "\"new_block\":"), "does not have"),
        (replaced("\"arenas\": [", "\"arenas\": [1, 1, "), "twice"),
    ] {
        let error = WorkPlan::from_json(text.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Plan(PlanError::Unreadable { .. })), "{error}");
        assert!(error.to_string().contains(why), "{error}: {why}");
    }
    let error = WorkPlan::from_json(replaced("\"version\": 1", "\"version\": 2").as_bytes()).unwrap_err();
    assert!(
        matches!(error, Error::Plan(PlanError::TooNew { version: 2, most: 1 })),
        "{error}"
    );
}

#[test]
fn a_forged_plan_cannot_join_a_part_of_an_object() {
    let heap = Heap::classic();
    // Two blocks with room for 62 bytes each, and then room for more in the first.
    let fillers: Vec<_> = [450, 62, 450, 62]
        .into_iter()
        .zip(10..)
        .map(|(size, seed)| heap.allocate_bytes(&content(seed, size)).unwrap())
        .collect();
    heap.free(&fillers[1]).unwrap();
    heap.free(&fillers[3]).unwrap();
    let id = heap.allocate_bytes(&content(2, 200)).unwrap();
    assert_eq!(heap.ledger(&id).unwrap().len(), 3);
    heap.free(&fillers[0]).unwrap();
    // The first two of its pieces.
    let pieces = &heap.ledger(&id).unwrap()[..2];
    let from: Vec<_> = pieces
        .iter()
        .map(|piece| json!({"block_id": piece.block_id, "bytes": piece.allocated_mem}))
        .collect();
    let mut plan: Value = serde_json::from_str(&heap.plan_work(&Work::Gc).unwrap().to_json()).unwrap();
    let key = pieces[0].stored_object_id;
    let to = json!({"block": pieces[0].block_id});
    let mut moved = json!({"object_id": id, "stored_object_id": key, "seq": 0, "from": from, "to": to});
    plan["slices"] = json!([{"moves": [moved]}]);
    refused(&heap, &WorkPlan::from_json(plan.to_string().as_bytes()).unwrap());
    assert_eq!(heap.get_bytes(&id).unwrap(), content(2, 200));
    // A piece that no object can have.
    moved["from"] = json!([{"block_id": 1, "bytes": 1}]);
    for (key, seq) in [(key.0, i64::MAX), (i64::MAX, 1), (i64::MAX, i64::MAX)] {
        (moved["stored_object_id"], moved["seq"]) = (key.into(), seq.into());
        plan["slices"] = json!([{"moves": [moved]}]);
        let error = WorkPlan::from_json(plan.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Plan(PlanError::Unreadable { .. })), "{error}");
    }
}

/// The numbers in a plan.
fn numbers<'v>(value: &'v mut Value, into: &mut Vec<&'v mut Value>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| numbers(item, into)),
        Value::Object(members) => members.values_mut().for_each(|item| numbers(item, into)),
        Value::Number(_) => into.push(value),
        _ => {}
    }
}

/// Edits the lists in a plan: removes an item, or has it twice.
fn edit(value: &mut Value, index: &Index, item: &Index, twice: bool) {
    fn lists<'v>(value: &'v mut Value, into: &mut Vec<&'v mut Vec<Value>>) {
        match value {
            Value::Array(items) => {
                let is_innermost = items.iter().all(|item| item.is_number() || item.get("bytes").is_some());
                match is_innermost {
                    true => into.push(items),
                    false => items.iter_mut().for_each(|item| lists(item, into)),
                }
            }
            Value::Object(members) => members.values_mut().for_each(|item| lists(item, into)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    lists(value, &mut found);
    if found.is_empty() {
        return;
    }
    let at = index.index(found.len());
    let list = &mut found[at];
    if list.is_empty() {
        return;
    }
    let at = item.index(list.len());
    let item = list.remove(at);
    if twice {
        list.insert(at, item.clone());
        list.insert(at, item);
    }
}

proptest! {
    #![proptest_config(cases(32))]

    /// A piece may move again, or be joined, after it was moved to an arena that is emptied, too.
    #[test]
    fn pieces_that_move_twice_are_applied_as_planned(
        objects in prop::collection::vec((prop_oneof![Just(60_000u64), Just(120_000), Just(300_000)], 0u8..4), 40..80),
        under in 70u8..=100,
        join in any::<bool>(),
        start in any::<Index>(),
    ) {
        let heap = Heap::of(32 * MIB, Geometry::standard());
        let store = |(seed, (size, stays)): (usize, &(u64, u8))| {
            let content = content(seed as u64, *size);
            (heap.allocate_bytes(&content).unwrap(), content, *stays == 0)
        };
        let stored: Vec<_> = objects.iter().enumerate().map(store).collect();
        stored.iter().filter(|(.., stays)| !stays).for_each(|(id, ..)| drop(heap.free(id).unwrap()));
        let options = CompactOptions::default().under(under).join(join);
        let plan = reread(&heap.plan_work(&Work::Compact(options)).unwrap());
        let slices = plan.slices.len();
        let start = start.index(slices + 1);
        let mut part = plan.clone();
        part.slices.truncate(start);
        if start > 0 {
            heap.apply(&part).unwrap();
        }
        let applied = heap.apply(&plan).unwrap();
        prop_assert_eq!((applied.slices, applied.done_before), ((slices - start) as u64, start as u64));
        if start == 0 {
            prop_assert_eq!(applied.totals, plan.totals);
        }
        let again = heap.apply(&plan).unwrap();
        prop_assert_eq!((again.slices, again.done_before), (0, slices as u64));
        for (id, content, _) in stored.iter().filter(|(.., stays)| *stays) {
            prop_assert_eq!(&heap.get_bytes(id).unwrap(), content);
        }
        assert_balanced(&heap);
    }
}

/// A heap of which every kind of step is planned: objects in several pieces, and room that is not carved.
fn in_pieces() -> (Heap, Vec<(u64, ObjectId)>) {
    let heap = Heap::of(MIB, Geometry::classic().with_arena_size(16 * KIB).unwrap());
    let stored = (0..240).map(|seed| (seed, heap.allocate_bytes(&content(seed, 100 + seed * 3)).unwrap()));
    let (stay, go): (Vec<_>, Vec<_>) = stored.partition(|(seed, _)| seed % 5 == 0);
    go.iter().for_each(|(_, id)| drop(heap.free(id).unwrap()));
    heap.collect_garbage().unwrap();
    (heap, stay)
}

fn change() -> impl Strategy<Value = (Index, i64)> {
    let number = prop_oneof![0i64..40, -2i64..600, any::<i64>(), Just(i64::MAX)];
    (any::<Index>(), number)
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_forged_plan_never_breaks_the_books(
        changes in prop::collection::vec(change(), 0..4),
        edits in prop::collection::vec(any::<(Index, Index, bool)>(), 0..3),
        which in 0..4,
    ) {
        let (heap, kept) = in_pieces();
        let (free, stay) = kept.split_at(8);
        let work = match which {
            0 => Work::Free(free.iter().map(|(_, id)| *id).collect()),
            _ => Work::Compact(CompactOptions::default().under(100).join(which > 1)),
        };
        let plan = heap.plan_work(&work).unwrap();
        prop_assert!(which < 2 || (plan.totals.joined > 0 && plan.totals.arenas > 1), "{:?}", plan.totals);
        let mut forged: Value = serde_json::from_str(&plan.to_json()).unwrap();
        for (index, item, twice) in &edits {
            edit(&mut forged["slices"], index, item, *twice);
        }
        let mut found = Vec::new();
        numbers(&mut forged["slices"], &mut found);
        for (index, number) in changes {
            let at = index.index(found.len());
            *found[at] = number.into();
        }
        if let Ok(forged) = WorkPlan::from_json(forged.to_string().as_bytes()) {
            let _ = heap.apply(&forged);
        }
        assert_balanced(&heap);
        for (seed, id) in stay {
            prop_assert_eq!(heap.get_bytes(id).unwrap(), content(*seed, 100 + seed * 3));
        }
    }
}

#[test]
fn others_write_between_the_slices_of_a_plan() {
    let heap = Heap::of(64 * MIB, Geometry::standard());
    let ids: Vec<_> = (0..3000)
        .map(|seed| heap.allocate_bytes(&content(seed, 600)).unwrap())
        .collect();
    let plan = heap.plan_work(&Work::Free(ids)).unwrap();
    assert!(plan.slices.len() > 8);
    let other = heap.open_again();
    let mut stored = 0;
    let applied = heap.apply_with(&plan, false, &mut |_, done, _| {
        if done % 3 == 1 && done < 8 {
            other.allocate_bytes(&content(90_000 + done, 40 * KIB)).unwrap();
            stored += 1;
        }
    });
    assert!(stored > 1);
    assert_eq!(applied.unwrap().totals.freed, 3000);
    assert_balanced(&heap);
    let mut filter = EventFilter::default();
    filter.kinds = vec![EventKind::Apply];
    let receipts: u64 = heap.events(filter).map(|event| event.unwrap().bytes as u64).sum();
    assert_eq!(receipts, plan.totals.freed_bytes);
}

#[test]
fn nothing_is_planned_for_objects_that_are_not_stored() {
    let (heap, _) = sparse();
    let error = heap
        .plan_work(&Work::Free(vec![ObjectId::of_bytes(b"none")]))
        .unwrap_err();
    assert!(matches!(error, Error::NotStored { .. }), "{error}");
    let read_only = quick().read_only(true).open(heap.address()).unwrap();
    assert!(matches!(read_only.plan_work(&Work::Gc), Err(Error::ReadOnly)));
    let plan = heap.plan_work(&Work::Gc).unwrap();
    assert!(matches!(MemManager::apply(&read_only, &plan), Err(Error::ReadOnly)));
}
