//! Everything that reads knows large objects that are being stored, and those that are given back.

use std::io::{self, Cursor, Read};

use heapledger::{CheckOptions, EntryInfo, Error, EventFilter, EventKind, Figure, Geometry, Hold, MemManager, Moment};

use crate::common::{Heap, MIB, assert_balanced, content, number, quick, server};
use crate::upload::{abandoned, assert_over, file, layout};

const SIZE: u64 = 19 * MIB + 12_345;

/// Calls `look` once, when two parts are stored.
struct Looking<F: FnMut()> {
    bytes: Cursor<Vec<u8>>,
    look: Option<F>,
}

impl<F: FnMut()> Read for Looking<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.position() > 18 * MIB
            && let Some(mut look) = self.look.take()
        {
            look();
        }
        self.bytes.read(buffer)
    }
}

#[test]
fn what_is_being_stored_is_shown_as_such_everywhere() {
    let heap = Heap::of(64 * MIB, Geometry::standard());
    let small = heap.allocate_bytes(b"small").unwrap();
    let other = heap.open_again();
    let dir = tempfile::tempdir().unwrap();
    let look = || {
        assert_balanced(&other);
        let (mut last, mut all) = (0, 0);
        other
            .check_with(CheckOptions::default(), &mut |_, done, total| {
                (last, all) = (done, total)
            })
            .unwrap();
        assert_eq!((last, all), (5, 5));
        let of_upload: Vec<EntryInfo> = other
            .entries()
            .map(Result::unwrap)
            .filter(|entry| entry.object_id.is_none())
            .collect();
        let bytes: u64 = of_upload.iter().map(|entry| entry.allocated_mem).sum();
        assert_eq!(bytes, other.memram().unwrap().mem - 5);
        assert!(of_upload.iter().all(|entry| entry.reservation_id.is_some()));
        let pieces = other.pieces_in(of_upload[0].block_id).unwrap();
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].reservation_id, of_upload[0].reservation_id);
        assert_eq!(other.objects().count(), 1);
        assert_eq!(other.stats().unwrap().kinds[0].objects, 1);
        let exported = other.export(dir.path().join("export")).unwrap();
        assert_eq!((exported.objects, exported.bytes), (1, 5));
        let first = other.events(EventFilter::default()).next().unwrap().unwrap();
        let last = other.newest_events(&EventFilter::default(), 1).unwrap().remove(0);
        let diff = other.diff(Moment::Event(first.id), Moment::Event(last.id)).unwrap();
        assert_eq!((diff.added.len(), diff.freed.len(), diff.growth()), (1, 0, 5));
        assert_eq!(diff.classes.iter().map(|class| class.mem_after).sum::<u64>(), bytes + 5);
        for finding in other.doctor().unwrap() {
            assert!(!["leftovers", "scattered"].contains(&finding.code), "{finding}");
        }
        if server().is_none() {
            other.backup(dir.path().join("backup.db")).unwrap();
        }
    };
    let bytes = content(1, SIZE);
    let stream = Looking {
        bytes: Cursor::new(bytes.clone()),
        look: Some(look),
    };
    heap.store_from(stream, Hold::Anonymous).unwrap();
    if server().is_some() {
        return;
    }
    // In the backup the upload never goes on.
    let backup = quick().open(dir.path().join("backup.db")).unwrap();
    assert_balanced(&backup);
    crate::common::sql(backup.path()).execute("UPDATE reservations SET expires_at = 1");
    backup.collect_garbage().unwrap();
    assert_eq!(backup.memram().unwrap().mem, 5);
    assert!(backup.contains(&small).unwrap());
    assert_balanced(&backup);
}

#[test]
fn what_fits_does_not_count_what_is_promised() {
    let heap = Heap::of(32 * MIB, Geometry::standard());
    let other = heap.open_again();
    let mut looked = false;
    let mut source = file(&content(1, SIZE));
    heap.store_file_with(&mut source, Hold::Anonymous, &mut |_, _, _| {
        looked = true;
        let plan = other.plan_allocation(13 * MIB).unwrap();
        assert_eq!(plan.shortfall, 13 * MIB + SIZE - 32 * MIB);
    })
    .unwrap();
    assert!(looked);
}

/// The events of each kind.
fn count(heap: &MemManager, kind: EventKind) -> usize {
    heap.events(EventFilter::default().kinds([kind])).count()
}

#[test]
fn the_history_of_large_objects_can_be_followed() {
    let heap = Heap::of(100 * MIB, Geometry::standard());
    let bytes = content(1, 66 * MIB);
    let opening = heap.newest_events(&EventFilter::default(), 1).unwrap()[0].id;
    let id = heap.store_bytes(&bytes, Hold::Anonymous).unwrap().id;
    let stored = heap.newest_events(&EventFilter::default(), 1).unwrap()[0].id;
    heap.free(&id).unwrap();
    let freed = heap.newest_events(&EventFilter::default(), 1).unwrap()[0].id;
    let again = heap.store_from(bytes.as_slice(), Hold::Anonymous).unwrap();
    let last = heap.newest_events(&EventFilter::default(), 1).unwrap()[0].id;
    assert!(count(&heap, EventKind::Upload) >= 16 && count(&heap, EventKind::Reclaim) >= 5);
    let (opening, stored, freed, last) = (
        Moment::Event(opening),
        Moment::Event(stored),
        Moment::Event(freed),
        Moment::Event(last),
    );
    let lens = |from, to| {
        let diff = heap.diff(from, to).unwrap();
        (diff.added.len(), diff.freed.len(), diff.moved.len())
    };
    assert_eq!(lens(opening, stored), (1, 0, 0));
    assert_eq!(lens(stored, freed), (0, 1, 0));
    assert_eq!(lens(freed, last), (1, 0, 0));
    // It is in the same blocks again.
    assert_eq!(lens(stored, last), (0, 0, 0));
    assert_eq!(lens(opening, last), (1, 0, 0));
    for event in heap.events(EventFilter::default()) {
        let event = event.unwrap();
        assert_eq!(heap.layout_at(Moment::Event(event.id)).unwrap().mem, event.mem);
    }
    assert_eq!(again.id, id);
    assert_over(&heap);
}

#[test]
fn what_an_abandoned_upload_carved_goes_with_its_pieces_in_one_event() {
    let heap = abandoned(true);
    heap.collect_garbage().unwrap();
    assert_over(&heap);
    assert_eq!(count(&heap, EventKind::Gc), 0);
    let steps = count(&heap, EventKind::Reclaim);
    assert!((1..=2).contains(&steps), "{steps}");
    for event in heap.events(EventFilter::default()) {
        let event = event.unwrap();
        assert_eq!(heap.layout_at(Moment::Event(event.id)).unwrap().mem, event.mem);
    }
}

#[test]
fn a_plan_of_freeing_a_large_object_says_what_happens() {
    let heap = Heap::of(100 * MIB, Geometry::standard());
    heap.allocate_bytes(b"small").unwrap();
    let id = heap.store_bytes(&content(1, 66 * MIB), Hold::Name("large")).unwrap().id;
    let before = layout(&heap);
    let plan = heap.plan_free(&[id]).unwrap();
    assert_eq!(layout(&heap), before);
    assert_balanced(&heap);
    heap.batch(|batch| batch.force_free(&id)).unwrap();
    let collected = heap.collect_garbage().unwrap();
    assert_eq!(plan.collected, collected);
    assert!(collected.blocks > 250, "{collected:?}");
    match server() {
        None => assert!(collected.file_bytes > 60 * MIB, "{collected:?}"),
        // Its autovacuum decides what is given back.
        Some(_) => assert_eq!((collected.file_bytes, collected.file_size), (0, 0)),
    }
}

#[test]
fn the_doctor_finds_what_waits_to_be_given_back() {
    let heap = abandoned(false);
    let codes = |heap: &MemManager| {
        heap.doctor()
            .unwrap()
            .into_iter()
            .map(|finding| finding.code)
            .collect::<Vec<_>>()
    };
    assert!(!codes(&heap).contains(&"leftovers"));
    let held = heap.memram().unwrap().mem - 5;
    heap.sql().execute("UPDATE reservations SET expires_at = 1");
    let findings = heap.doctor().unwrap();
    let found = findings.iter().find(|finding| finding.code == "leftovers").unwrap();
    assert_eq!(found.figures["lapsed_bytes"], Figure::Bytes(held));
    assert_eq!(found.figures["lapsed"], Figure::Count(1));
    heap.collect_garbage().unwrap();
    assert!(!codes(&heap).contains(&"leftovers"));
    let heap = abandoned(false);
    heap.sql().execute("UPDATE reservations SET created_at = 1");
    assert!(codes(&heap).contains(&"old_uploads"));
}

#[test]
fn a_repair_leaves_an_upload_alone_unless_its_pieces_are_broken() {
    let heap = abandoned(false);
    let sql = heap.sql();
    let before = layout(&heap);
    sql.execute("UPDATE memram SET mem = mem + 1, peak_mem = mem + 1; UPDATE arenas SET mem = mem - 1 WHERE id = 3");
    assert!(heap.repair().unwrap().left.is_empty());
    assert_eq!(number(&sql, "SELECT count(*) FROM reservations"), 1);
    assert_eq!(layout(&heap), before);
    assert_balanced(&heap);
    sql.execute("DELETE FROM ledger WHERE id = (SELECT stored_object_id + 3 FROM reservations)");
    assert!(heap.repair().unwrap().left.is_empty());
    assert_eq!(heap.memram().unwrap().mem, 5);
    assert_over(&heap);
    // The ids of its pieces are not assigned again.
    let id = heap.allocate_bytes(b"another").unwrap();
    assert!(heap.object(&id).unwrap().id.0 > 4000);
}

#[test]
fn a_large_object_with_missing_pieces_is_not_freed_and_a_gap_stops_nobody() {
    let heap = Heap::of(100 * MIB, Geometry::standard());
    let id = heap.store_bytes(&content(1, 66 * MIB), Hold::Anonymous).unwrap().id;
    let sql = heap.sql();
    let last = heap.ledger(&id).unwrap().len() - 1;
    sql.execute(&format!(
        "CREATE TABLE aside AS SELECT * FROM ledger WHERE id = (SELECT id + {last} FROM stored_objects);
         DELETE FROM ledger WHERE id = (SELECT id + {last} FROM stored_objects)"
    ));
    let error = heap.free(&id).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(heap.contains(&id).unwrap());
    sql.execute(
        "INSERT INTO ledger SELECT * FROM aside; DROP TABLE aside;
         DELETE FROM ledger WHERE id = (SELECT id + 30 FROM stored_objects)",
    );
    // Only a check finds it.
    heap.free(&id).unwrap();
    for number in 0..5 {
        heap.allocate(&number).unwrap();
    }
    assert!(!heap.check().unwrap().is_empty());
    assert!(heap.repair().unwrap().left.is_empty());
    assert_eq!(heap.memram().unwrap().mem, 5);
    assert_over(&heap);
    assert_eq!(heap.get::<u64>(&heap.objects().next().unwrap().unwrap().id).unwrap(), 0);
}
