//! Objects that a program writes piece by piece.

use std::io::{self, Read, Write};
use std::time::Duration;

use heapledger::{Error, Geometry, Hold, MemManager, ObjectId, QuotaLimits};
use proptest::prelude::*;

use crate::common::{Heap, MIB, assert_balanced, content, number, quick, server};
use crate::upload::{assert_lapsed, assert_over, layout, space};

/// More than two parts.
const SIZE: u64 = 19 * MIB + 12_345;

fn own(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap()
}

fn refusals(heap: &Heap) -> i64 {
    number(
        &heap.sql(),
        "SELECT coalesce(sum(count), 0) FROM events WHERE kind = 'refusal'",
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn in_whatever_pieces_it_comes_it_is_the_same_object(
        cuts in prop::collection::vec(0..2 * MIB as usize, 0..4),
        size in 0..2 * MIB,
    ) {
        let bytes = content(1, size);
        // Parts are small below a ceiling, which only a file has.
        let options = quick().max_mem(8 * MIB);
        let heap = Heap::made(if server().is_some() { options } else { options.max_file(16 * MIB) });
        let mut writer = heap.writer(Hold::Name("made")).unwrap();
        let mut rest = &bytes[..];
        for cut in cuts {
            let (piece, left) = rest.split_at(cut.min(rest.len()));
            writer.write_all(piece).unwrap();
            writer.flush().unwrap();
            rest = left;
        }
        prop_assert_eq!(writer.written(), size - rest.len() as u64);
        prop_assert_eq!(heap.resolve("made").unwrap(), None);
        writer.write_all(rest).unwrap();
        let stored = writer.finish().unwrap();
        prop_assert_eq!((stored.id, stored.size, stored.dedup), (ObjectId::of_bytes(&bytes), size, false));
        prop_assert_eq!(stored.pieces, heap.ledger(&stored.id).unwrap().len() as u64);
        prop_assert_eq!(heap.resolve("made").unwrap(), Some(stored.id));
        prop_assert_eq!(heap.get_bytes(&stored.id).unwrap(), bytes);
        assert_over(&heap);
    }
}

#[test]
fn serde_writes_into_it() {
    let heap = Heap::new();
    let value = serde_json::json!({"a": [1, 2, 3], "b": "text"});
    let mut writer = heap.writer(Hold::Anonymous).unwrap();
    serde_json::to_writer(&mut writer, &value).unwrap();
    let stored = writer.finish().unwrap();
    let back: serde_json::Value = serde_json::from_reader(heap.reader(&stored.id).unwrap()).unwrap();
    assert_eq!(back, value);
}

#[test]
fn one_that_is_dropped_leaves_nothing_and_others_write_meanwhile() {
    let heap = space();
    heap.allocate_bytes(b"small").unwrap();
    let before = layout(&heap);
    for size in [0, 1000, SIZE] {
        let mut writer = heap.writer(Hold::Name("dropped")).unwrap();
        writer.write_all(&content(1, size)).unwrap();
        assert_eq!(heap.memram().unwrap().mem > 8 * MIB, size == SIZE);
        let other = heap.allocate_bytes(b"other").unwrap();
        heap.free(&other).unwrap();
        assert_balanced(&heap);
        drop(writer);
        assert_eq!(heap.resolve("dropped").unwrap(), None);
        assert_eq!(layout(&heap), before);
        assert_over(&heap);
    }
}

#[test]
fn content_that_is_stored_is_found_at_the_end() {
    let heap = space();
    for size in [1000, SIZE] {
        let bytes = content(2, size);
        let first = heap.store_bytes(&bytes, Hold::Anonymous).unwrap();
        let before = layout(&heap);
        let mut writer = heap.writer(Hold::Name("again")).unwrap();
        writer.write_all(&bytes).unwrap();
        let again = writer.finish().unwrap();
        assert_eq!((again.id, again.dedup), (first.id, true));
        assert_eq!(heap.resolve("again").unwrap(), Some(first.id));
        assert_eq!(layout(&heap), before);
        assert_over(&heap);
    }
}

#[test]
fn a_write_without_room_is_refused_once_and_gives_everything_back() {
    let heap = Heap::of(16 * MIB, Geometry::standard());
    let before = layout(&heap);
    let mut writer = heap.writer(Hold::Anonymous).unwrap();
    let error = writer.write_all(&content(1, SIZE)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(matches!(own(error), Error::OutOfMemory { max_mem, .. } if max_mem == 16 * MIB));
    assert_eq!(layout(&heap), before);
    assert_over(&heap);
    // Neither is half of it stored later.
    assert!(matches!(own(writer.write_all(b"more").unwrap_err()), Error::Io { .. }));
    let error = writer.finish().unwrap_err();
    assert!(error.to_string().contains("an earlier write failed"), "{error}");
    assert_eq!(refusals(&heap), 1);

    // The last part, which `finish` stores.
    let mut writer = heap.writer(Hold::Anonymous).unwrap();
    heap.store_bytes(&content(2, 4 * MIB), Hold::Anonymous).unwrap();
    writer.write_all(&content(1, 15 * MIB)).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    // It does not stand in its own way.
    if let Error::OutOfMemory {
        needed,
        available,
        promised_to,
        ..
    } = &error
    {
        assert_eq!((*needed, *available), (15 * MIB, 12 * MIB));
        assert_eq!(promised_to, &[]);
    }
    assert_eq!(refusals(&heap), 2);
    assert_over(&heap);
}

fn quota(bytes: u64) -> Heap {
    let heap = Heap::of(64 * MIB, Geometry::standard());
    heap.set_quota("owner", "ann", QuotaLimits::none().hard_bytes(bytes))
        .unwrap();
    heap
}

#[test]
fn a_quota_counts_what_is_written() {
    for (bytes, at_end) in [(8 * MIB, false), (15 * MIB, true)] {
        let heap = quota(bytes);
        let mut writer = heap.writer(Hold::Name("n").tag("owner", "ann")).unwrap();
        let written = writer.write_all(&content(1, 15 * MIB + 1));
        let error = if at_end {
            written.unwrap();
            writer.finish().unwrap_err()
        } else {
            let error = written.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
            own(error)
        };
        assert!(matches!(error, Error::QuotaExceeded(_)), "{error}");
        assert_eq!(refusals(&heap), 1);
        assert_over(&heap);
    }
}

#[test]
fn a_refusal_at_the_end_of_a_stream_is_recorded_once() {
    let heap = quota(15 * MIB);
    let bytes = content(1, 15 * MIB + 1);
    let error = heap
        .store_from(&*bytes, Hold::Name("n").tag("owner", "ann"))
        .unwrap_err();
    assert!(matches!(error, Error::QuotaExceeded(_)), "{error}");
    assert_eq!(refusals(&heap), 1);
    assert_over(&heap);
}

#[test]
fn an_upload_that_others_ended_fails() {
    let heap = space();
    let slow = quick().lease(Duration::from_millis(1)).open(heap.address()).unwrap();
    let mut writer = slow.writer(Hold::Anonymous).unwrap();
    writer.write_all(&content(1, 9 * MIB)).unwrap();
    std::thread::sleep(Duration::from_millis(2));
    heap.collect_garbage().unwrap();
    assert_lapsed(&heap, &writer.finish().unwrap_err());
}

#[test]
fn holds_are_checked_at_the_beginning_and_taken_at_the_end() {
    let heap = Heap::new();
    assert!(matches!(
        heap.writer(Hold::Name("")).unwrap_err(),
        Error::BadName { .. }
    ));
    let mut writer = heap.writer(Hold::NewName("one")).unwrap();
    writer.write_all(b"written").unwrap();
    heap.store("taken", Hold::Name("one")).unwrap();
    assert!(matches!(writer.finish().unwrap_err(), Error::NameTaken { .. }));
    let reader = MemManager::options().read_only(true).open(heap.address()).unwrap();
    assert!(matches!(reader.writer(Hold::Anonymous).unwrap_err(), Error::ReadOnly));
}

#[test]
fn what_a_name_is_bound_to_is_read_to_its_end() {
    // More than a server sends at once.
    let heap = Heap::of(8 * MIB, Geometry::standard());
    assert!(heap.reader_by_name("none").unwrap().is_none());
    heap.store_bytes(&content(1, 3 * MIB), Hold::Name("it")).unwrap();
    let mut reader = heap.reader_by_name("it").unwrap().unwrap();
    let mut start = [0; 1000];
    reader.read_exact(&mut start).unwrap();
    heap.store_bytes(&content(2, 1000), Hold::Name("it")).unwrap();
    // That has freed the object, of which no other name keeps it.
    let mut rest = Vec::new();
    assert_eq!(
        reader.read_to_end(&mut rest).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    let mut reader = heap.reader_by_name("it").unwrap().unwrap();
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&content(2, 1000)));
}

#[test]
fn one_that_cannot_be_given_up_is_given_up_with_the_next_write() {
    let heap = Heap::of(40 * MIB, Geometry::standard());
    let mut writer = heap.writer(Hold::Anonymous).unwrap();
    writer.write_all(&content(1, 33 * MIB)).unwrap();
    // Nobody else can write until the batch is over.
    heap.batch(move |_| {
        drop(writer);
        Ok(())
    })
    .unwrap();
    assert_over(&heap);
    heap.store_bytes(&content(2, 20 * MIB), Hold::Anonymous).unwrap();
    assert_balanced(&heap);
}
