//! Large objects are stored in parts: while that goes on nobody sees them, and others write.

use std::io::{self, Cursor, Read, Seek, Write};
use std::sync::mpsc;
use std::time::Duration;

use heapledger::{Error, Geometry, Hold, MemManager, ObjectId, Policy, ReservationError};

use crate::common::{Heap, MIB, assert_balanced, content, number, quick, texts};

/// More than two parts.
const SIZE: u64 = 19 * MIB + 12_345;

pub fn space() -> Heap {
    Heap::of(64 * MIB, Geometry::standard())
}

/// What is in which block. One text, because a failed comparison would fill the screen.
pub fn layout(heap: &MemManager) -> String {
    let sql = crate::common::sql(heap.path());
    let mut rows = texts(
        &sql,
        "SELECT o.object_id || ' ' || l.seq || ' ' || l.start || ' ' || l.is_last || ' ' || l.allocated_mem || ' ' || l.block_id
         FROM ledger l JOIN stored_objects o ON o.id = l.stored_object_id ORDER BY o.object_id, l.seq",
    );
    rows.extend(texts(
        &sql,
        "SELECT id || ' ' || pool_id || ' ' || block_size || ' ' || max_mem || ' ' || mem FROM blocks ORDER BY id",
    ));
    let digest = ObjectId::of_bytes(rows.join("\n").as_bytes());
    format!("{} rows, {digest}", rows.len())
}

/// What is left of all uploads: nothing.
pub fn assert_over(heap: &Heap) {
    let sql = heap.sql();
    assert_eq!(number(&sql, "SELECT count(*) FROM reservations"), 0);
    assert_eq!(heap.memram().unwrap().promised, 0);
    assert_balanced(heap);
}

/// Others ended it, and nothing is left.
pub fn assert_lapsed(heap: &Heap, error: &Error) {
    assert!(
        matches!(error, Error::Reservation(ReservationError::UploadLapsed { .. })),
        "{error}"
    );
    assert_over(heap);
    assert_eq!(heap.memram().unwrap().mem, 0);
}

/// Runs `between` after about this many bytes were read, and fails or ends at the end.
struct Watched<F: FnMut(u64)> {
    bytes: Cursor<Vec<u8>>,
    between: F,
    fails: bool,
}

impl<F: FnMut(u64)> Read for Watched<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.between)(self.bytes.position());
        match self.bytes.read(buffer)? {
            0 if self.fails && !buffer.is_empty() => Err(io::Error::other("the line was cut")),
            read => Ok(read),
        }
    }
}

pub fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn however_it_comes_it_is_placed_as_if_stored_at_once() {
    let bytes = content(1, SIZE);
    let id = ObjectId::of_bytes(&bytes);
    // In a batch everything is one transaction.
    let expected = space();
    expected.allocate_bytes(b"small").unwrap();
    expected
        .batch(|batch| batch.store_bytes(&bytes, Hold::Anonymous))
        .unwrap();
    type Store = fn(&MemManager, &[u8]) -> heapledger::Allocation;
    let ways: [(&str, Store); 4] = [
        ("bytes", |heap, bytes| heap.store_bytes(bytes, Hold::Anonymous).unwrap()),
        ("a stream", |heap, bytes| {
            heap.store_from(bytes, Hold::Anonymous).unwrap()
        }),
        ("a file", |heap, bytes| {
            heap.store_file(&mut file(bytes), Hold::Anonymous).unwrap()
        }),
        ("a writer", |heap, bytes| {
            let mut writer = heap.writer(Hold::Anonymous).unwrap();
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        }),
    ];
    for (way, store) in ways {
        let heap = space();
        heap.allocate_bytes(b"small").unwrap();
        let stored = store(&heap, &bytes);
        assert_eq!((stored.id, stored.size, stored.dedup), (id, SIZE, false), "{way}");
        assert_eq!(stored.pieces, heap.ledger(&id).unwrap().len() as u64, "{way}");
        assert_eq!(layout(&heap), layout(&expected), "{way}");
        assert_eq!(heap.get_bytes(&id).unwrap(), bytes, "{way}");
        assert_over(&heap);
        assert!(heap.check().unwrap().is_empty(), "{way}");
    }
}

#[test]
fn nobody_sees_it_before_its_end_and_others_write_meanwhile() {
    let heap = space();
    let bytes = content(2, SIZE);
    let id = ObjectId::of_bytes(&bytes);
    let other = heap.open_again();
    let mut seen = 0;
    let source = Watched {
        bytes: Cursor::new(bytes.clone()),
        between: |at| {
            if at >= 9 * MIB && seen < 8 {
                seen += 1;
                assert!(!other.contains(&id).unwrap());
                assert_eq!(other.stats().unwrap().objects, seen - 1);
                other.allocate_bytes(&content(seen, 1000)).unwrap();
                assert_balanced(&other);
                let sql = crate::common::sql(other.path());
                assert!(number(&sql, "SELECT bytes FROM claims WHERE bucket = 'uploads'") > 7 << 20);
            }
        },
        fails: false,
    };
    let stored = heap.store_from(source, Hold::Name("large")).unwrap();
    assert_eq!((seen, stored.id), (8, id));
    assert_eq!(heap.get_bytes(&id).unwrap(), bytes);
    for seed in 1..=8 {
        let small = content(seed, 1000);
        assert_eq!(heap.get_bytes(&ObjectId::of_bytes(&small)).unwrap(), small);
    }
    assert_over(&heap);
    assert!(heap.check().unwrap().is_empty());
}

#[test]
fn a_source_that_fails_leaves_the_layout_as_it_was() {
    let heap = space();
    heap.allocate_bytes(&content(1, 300_000)).unwrap();
    let before = layout(&heap);
    let mem = heap.memram().unwrap();
    let source = Watched {
        bytes: Cursor::new(content(2, SIZE)),
        between: |_| {},
        fails: true,
    };
    let error = heap.store_from(source, Hold::Anonymous).unwrap_err();
    assert!(error.to_string().contains("the line was cut"), "{error}");
    assert_eq!(layout(&heap), before);
    let after = heap.memram().unwrap();
    assert_eq!(
        (after.mem, after.reserved, after.arenas),
        (mem.mem, mem.reserved, mem.arenas)
    );
    assert_over(&heap);
}

#[test]
fn content_that_is_stored_is_found_at_the_end_of_a_stream_even_without_room() {
    let bytes = content(3, SIZE);
    for max_mem in [64 * MIB, 21 * MIB] {
        let heap = Heap::of(max_mem, Geometry::standard());
        let first = heap.store_from(&*bytes, Hold::Anonymous).unwrap();
        let before = layout(&heap);
        let again = heap.store_from(&*bytes, Hold::Name("again")).unwrap();
        assert!(again.dedup);
        assert_eq!((again.id, again.pieces), (first.id, first.pieces));
        let again = heap.store_file(&mut file(&bytes), Hold::Anonymous).unwrap();
        assert!(again.dedup);
        assert_eq!(layout(&heap), before);
        assert_eq!(heap.resolve("again").unwrap(), Some(first.id));
        assert_over(&heap);
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_figures_and_gives_everything_back() {
    let heap = Heap::of(32 * MIB, Geometry::standard());
    heap.store_bytes(&content(1, 14 * MIB), Hold::Anonymous).unwrap();
    let before = layout(&heap);
    let bytes = content(2, SIZE);
    for error in [
        heap.store_from(&*bytes, Hold::Anonymous).unwrap_err(),
        heap.store_bytes(&bytes, Hold::Anonymous).unwrap_err(),
        heap.store_file(&mut file(&bytes), Hold::Anonymous).unwrap_err(),
    ] {
        match error {
            Error::OutOfMemory {
                needed,
                available,
                max_mem,
                ..
            } => assert_eq!((needed, available, max_mem), (SIZE, 18 * MIB, 32 * MIB)),
            other => panic!("{other}"),
        }
    }
    assert_eq!(layout(&heap), before);
    assert_over(&heap);
}

#[test]
fn bytes_that_others_take_meanwhile_do_not_break_a_promise() {
    let heap = Heap::of(32 * MIB, Geometry::standard());
    let bytes = content(1, SIZE);
    let other = heap.open_again();
    let mut refused = 0;
    let mut large = file(&bytes);
    let stored = heap.store_file_with(&mut large, Hold::Anonymous, &mut |_, done, _| {
        if done > 0 && refused == 0 {
            refused += 1;
            let error = other.store_bytes(&content(9, 13 * MIB), Hold::Anonymous).unwrap_err();
            let Error::OutOfMemory { promised_to, .. } = &error else {
                panic!("{error}");
            };
            let upload = other.reservations().unwrap().remove(0);
            assert_eq!(promised_to[0].expires_at, upload.expires_at);
            assert!(
                error.advice().unwrap().starts_with("an upload whose process has died"),
                "{error}"
            );
        }
    });
    assert_eq!((stored.unwrap().size, refused), (SIZE, 1));
    assert_over(&heap);
}

/// Leaves an upload behind, as a process does that dies.
pub fn abandoned(is_over: bool) -> Heap {
    let heap = space();
    heap.allocate_bytes(b"small").unwrap();
    let slow = heap.open_again();
    let (reached, silent) = mpsc::channel();
    // Its source is silent forever.
    std::thread::spawn(move || {
        let source = Watched {
            bytes: Cursor::new(content(5, SIZE)),
            between: |at| {
                if at >= 18 * MIB {
                    reached.send(()).unwrap();
                    loop {
                        std::thread::park();
                    }
                }
            },
            fails: false,
        };
        slow.store_from(source, Hold::Anonymous)
    });
    silent.recv().unwrap();
    assert!(heap.memram().unwrap().mem > 8 * MIB);
    if is_over {
        heap.sql().execute("UPDATE reservations SET expires_at = 1");
    }
    heap
}

#[test]
fn what_a_dead_writer_left_is_given_back_after_its_lease() {
    let heap = abandoned(true);
    let before = {
        let heap = space();
        heap.allocate_bytes(b"small").unwrap();
        layout(&heap)
    };
    let mut writes = 0;
    while heap.memram().unwrap().mem > 5 {
        heap.bind(&format!("{writes}"), &ObjectId::of_bytes(b"small")).unwrap();
        writes += 1;
        assert_balanced(&heap);
    }
    assert!((1..5).contains(&writes), "{writes}");
    assert_eq!(layout(&heap), before);
    assert_over(&heap);
    let kinds = texts(
        &heap.sql(),
        "SELECT DISTINCT kind FROM log WHERE kind IN ('upload', 'lapse', 'reclaim') ORDER BY 1",
    );
    assert_eq!(kinds, ["lapse", "reclaim", "upload"]);
}

#[test]
fn a_collection_gives_back_at_once_what_a_dead_writer_left() {
    let heap = abandoned(true);
    heap.collect_garbage().unwrap();
    assert_eq!(heap.memram().unwrap().mem, 5);
    assert_over(&heap);
}

#[test]
fn an_allocation_gets_the_bytes_that_a_dead_writer_left() {
    let heap = abandoned(true);
    let bytes = content(7, 60 * MIB);
    heap.batch(|batch| batch.store_bytes(&bytes, Hold::Anonymous)).unwrap();
    assert_over(&heap);
}

#[test]
fn an_upload_within_its_lease_is_left_alone() {
    let heap = abandoned(false);
    let mem = heap.memram().unwrap().mem;
    heap.collect_garbage().unwrap();
    heap.set_eviction(Some(Policy::Oldest.into())).unwrap();
    // What it has stored is in the way, and neither pins nor ages are.
    let refused = heap.store_bytes(&content(1, 50 * MIB), Hold::Anonymous).unwrap_err();
    let Error::OutOfMemory {
        promised_to, spared, ..
    } = &refused
    else {
        panic!("{refused}");
    };
    assert_eq!((promised_to.len(), promised_to[0].bytes, *spared), (1, mem - 5, false));
    heap.allocate_bytes(b"another").unwrap();
    assert_eq!(heap.memram().unwrap().mem, mem + 7);
    assert_balanced(&heap);
    assert!(heap.check().unwrap().is_empty());
}

#[test]
fn an_upload_that_others_ended_fails_and_leaves_nothing() {
    let heap = space();
    let slow = quick().lease(Duration::from_millis(1)).open(heap.address()).unwrap();
    let mut ended = false;
    let source = Watched {
        bytes: Cursor::new(content(5, SIZE)),
        between: |at| {
            if at > 10 * MIB && !ended {
                ended = true;
                std::thread::sleep(Duration::from_millis(2));
                heap.collect_garbage().unwrap();
            }
        },
        fails: false,
    };
    assert_lapsed(&heap, &slow.store_from(source, Hold::Anonymous).unwrap_err());
}

#[test]
fn a_large_object_is_freed_in_steps() {
    let heap = Heap::of(80 * MIB, Geometry::standard());
    let bytes = content(1, 70 * MIB);
    let stored = heap.store_bytes(&bytes, Hold::Name("large")).unwrap();
    let freed = heap.unbind("large").unwrap().unwrap();
    assert_eq!((freed.size, freed.pieces), (70 * MIB, stored.pieces));
    assert_eq!(heap.memram().unwrap().mem, 0);
    assert_over(&heap);
    let steps = number(&heap.sql(), "SELECT count(*) FROM events WHERE kind = 'reclaim'");
    assert!(steps > 2, "{steps}");
    // The bytes can be had at once within a batch.
    heap.store_bytes(&bytes, Hold::Anonymous).unwrap();
    let other = content(2, 70 * MIB);
    heap.batch(|batch| {
        batch.free(&stored.id)?;
        batch.allocate_bytes(&other)
    })
    .unwrap();
    assert_eq!(heap.memram().unwrap().mem, 70 * MIB);
    assert_over(&heap);
    assert!(heap.check().unwrap().is_empty());
}
