//! What can happen to a large object while it is stored: its source fails, others are quicker, its
//! space changes, its geometry does not fit the parts. Nothing half may ever be left.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use heapledger::{Allocation, Error, EventFilter, Geometry, History, Hold, MemManager, Moment, ObjectId, SizeClass};

use crate::common::{Heap, MIB, assert_balanced, content, quick};
use crate::upload::{assert_over, layout, space};

/// More than two parts.
const SIZE: u64 = 19 * MIB + 12_345;

/// A source of `bytes` that calls `at` with its position before each read.
struct Source<F> {
    bytes: Cursor<Vec<u8>>,
    at: F,
}

impl<F: FnMut(u64)> Read for Source<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.at)(self.bytes.position());
        self.bytes.read(buffer)
    }
}

/// Calls `then` once, when more than `after` bytes were read.
fn source(bytes: Vec<u8>, after: u64, then: impl FnOnce()) -> Source<impl FnMut(u64)> {
    let mut then = Some(then);
    Source {
        bytes: Cursor::new(bytes),
        at: move |at| {
            if at > after
                && let Some(then) = then.take()
            {
                then();
            }
        },
    }
}

/// A heap with a small object, and its layout.
fn heap_of(max_mem: u64, geometry: Geometry) -> (Heap, String) {
    let heap = Heap::of(max_mem, geometry);
    heap.allocate_bytes(b"small").unwrap();
    let before = layout(&heap);
    (heap, before)
}

#[test]
fn a_source_that_panics_leaves_nothing() {
    let (heap, before) = heap_of(64 * MIB, Geometry::standard());
    let panicking = source(content(1, SIZE), 17 * MIB, || panic!("the source panics"));
    assert!(catch_unwind(AssertUnwindSafe(|| heap.store_from(panicking, Hold::Anonymous))).is_err());
    assert_eq!(layout(&heap), before);
    assert_over(&heap);
    // A callback is code of the caller too.
    let mut file = crate::upload::file(&content(2, SIZE));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        heap.store_file_with(&mut file, Hold::Anonymous, &mut |_, done, _| {
            assert!(done < 17 * MIB, "the callback panics");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(layout(&heap), before);
    assert_over(&heap);
}

#[test]
fn a_file_that_changes_while_it_is_stored_is_refused() {
    let (heap, before) = heap_of(64 * MIB, Geometry::standard());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("source");
    for len in [30 * MIB, 18 * MIB, 9 * MIB, SIZE + 1, SIZE - 1] {
        std::fs::write(&path, content(1, SIZE)).unwrap();
        let mut file = File::open(&path).unwrap();
        let error = heap
            .store_file_with(&mut file, Hold::Anonymous, &mut |_, _, _| {
                File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
            })
            .unwrap_err();
        assert!(
            error.to_string().contains("changed while it was read"),
            "{len}: {error}"
        );
        assert_eq!(layout(&heap), before, "{len}");
        assert_over(&heap);
    }
}

#[test]
fn content_that_is_stored_as_another_kind_is_refused_at_the_end() {
    let heap = space();
    let text = "x".repeat(9 * MIB as usize);
    heap.allocate(&text).unwrap();
    let before = layout(&heap);
    let bytes = [b"str\0".as_slice(), text.as_bytes()].concat();
    let error = heap.store_from(bytes.as_slice(), Hold::Name("same")).unwrap_err();
    assert!(matches!(error, Error::KindConflict { .. }), "{error}");
    assert_eq!(layout(&heap), before);
    assert_over(&heap);
}

#[test]
fn a_name_that_somebody_else_takes_meanwhile_is_respected() {
    let (heap, _) = heap_of(64 * MIB, Geometry::standard());
    let other = heap.open_again();
    let taken = source(content(1, SIZE), 12 * MIB, || {
        other.bind_new("mine", &ObjectId::of_bytes(b"small")).unwrap();
    });
    let error = heap.store_from(taken, Hold::NewName("mine")).unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }), "{error}");
    assert_over(&heap);
    assert_eq!(heap.memram().unwrap().mem, 5);
}

#[test]
fn of_two_uploads_of_the_same_content_one_is_a_dedup_hit() {
    let heap = space();
    let bytes = content(1, SIZE);
    let other = heap.open_again();
    let within = source(bytes.clone(), 12 * MIB, || {
        let first = other.store_from(bytes.as_slice(), Hold::Name("first")).unwrap();
        assert!(!first.dedup);
    });
    let second = heap.store_from(within, Hold::Name("second")).unwrap();
    assert!(second.dedup);
    assert_eq!(heap.resolve("first").unwrap(), heap.resolve("second").unwrap());
    assert_eq!(heap.memram().unwrap().mem, SIZE);
    assert_eq!(heap.get_bytes(&second.id).unwrap(), bytes);
    assert_over(&heap);
}

#[test]
fn the_heap_itself_may_be_the_source() {
    let heap = space();
    let bytes = content(1, SIZE);
    let id = heap.store_bytes(&bytes, Hold::Anonymous).unwrap().id;
    let longer = heap.reader(&id).unwrap().chain(b"and more".as_slice());
    let stored = heap.store_from(longer, Hold::Anonymous).unwrap();
    let expected = [bytes.as_slice(), b"and more"].concat();
    assert_eq!(heap.get_bytes(&stored.id).unwrap(), expected);
    assert_over(&heap);
}

#[test]
fn small_blocks_and_blocks_larger_than_a_part_are_filled_as_at_once() {
    let class = |block_size, pool_size| SizeClass { block_size, pool_size };
    let large = Geometry::new(40 * MIB, 1, vec![class(20 * MIB, 40 * MIB)]).unwrap();
    for geometry in [Geometry::classic(), large] {
        let bytes = content(1, 9 * MIB + 77);
        let (heap, before) = heap_of(64 * MIB, geometry.clone());
        let (expected, _) = heap_of(64 * MIB, geometry.clone());
        expected
            .batch(|batch| batch.store_bytes(&bytes, Hold::Anonymous))
            .unwrap();
        let stored = heap.store_from(bytes.as_slice(), Hold::Anonymous).unwrap();
        assert_eq!(heap.get_bytes(&stored.id).unwrap(), bytes);
        if geometry == Geometry::classic() {
            assert_eq!(layout(&heap), layout(&expected));
        }
        assert_over(&heap);
        heap.free(&stored.id).unwrap();
        heap.collect_garbage().unwrap();
        let failing = source(bytes, 9 * MIB, || panic!("the source fails"));
        assert!(catch_unwind(AssertUnwindSafe(|| heap.store_from(failing, Hold::Anonymous))).is_err());
        assert_eq!(layout(&heap), before);
        assert_over(&heap);
    }
}

#[test]
fn a_space_may_be_resized_meanwhile() {
    let (heap, before) = heap_of(64 * MIB, Geometry::standard());
    let other = heap.open_again();
    // What is promised stays.
    let mut file = crate::upload::file(&content(1, SIZE));
    let mut refused = false;
    heap.store_file_with(&mut file, Hold::Name("file"), &mut |_, _, _| {
        refused |= matches!(other.resize(18 * MIB), Err(Error::CannotShrink { .. }));
    })
    .unwrap();
    assert!(refused);
    heap.unbind("file").unwrap();
    heap.collect_garbage().unwrap();
    // A stream gets what is left.
    let stream = source(content(2, SIZE), 9 * MIB, || drop(other.resize(10 * MIB).unwrap()));
    let error = heap.store_from(stream, Hold::Anonymous).unwrap_err();
    match error {
        Error::OutOfMemory { max_mem, .. } => assert_eq!(max_mem, 10 * MIB),
        other => panic!("{other}"),
    }
    assert_eq!(layout(&heap), before);
    assert_over(&heap);
}

#[test]
fn the_history_may_be_switched_off_on_or_trimmed_meanwhile() {
    let heap = space();
    let other = heap.open_again();
    let switches: [fn(&MemManager); 4] = [
        |heap| heap.set_history(History::Off).unwrap(),
        |heap| heap.set_history(History::On).unwrap(),
        |heap| {
            heap.set_history(History::Keep {
                age: Some(Duration::from_micros(1)),
                bytes: None,
            })
            .unwrap()
        },
        |heap| heap.set_history(History::On).unwrap(),
    ];
    for (seed, switch) in switches.into_iter().enumerate() {
        let stream = source(content(seed as u64, SIZE), 9 * MIB, || switch(&other));
        let stored = heap.store_from(stream, Hold::Name("it")).unwrap();
        assert_balanced(&heap);
        assert_over(&heap);
        assert_eq!(heap.objects().count(), 1);
        assert_eq!(heap.resolve("it").unwrap(), Some(stored.id));
    }
    for event in heap.events(EventFilter::default()) {
        heap.layout_at(Moment::Event(event.unwrap().id)).unwrap();
    }
}

/// Making room for the next part does not end the upload that needs it.
#[test]
fn a_stream_whose_lease_is_over_and_that_does_not_fit_is_refused_like_any_other() {
    let heap = Heap::of(20 * MIB, Geometry::standard());
    heap.allocate_bytes(&content(2, 3 * MIB)).unwrap();
    let slow = quick().lease(Duration::from_millis(1)).open(heap.address()).unwrap();
    let stream = Source {
        bytes: Cursor::new(content(1, 19 * MIB + 12)),
        at: |at| {
            // Between the second part and the third.
            if at == 16 * MIB + 256 * 1024 {
                std::thread::sleep(Duration::from_millis(3));
            }
        },
    };
    let error = slow.store_from(stream, Hold::Anonymous).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    assert_over(&heap);
    assert_eq!(heap.memram().unwrap().mem, 3 * MIB);
}

/// The first and the last of the ids that an object and its pieces have.
fn ids(memory: &MemManager, stored: &Allocation) -> (i64, i64) {
    let first = memory.object(&stored.id).unwrap().id.0;
    (first, first + stored.pieces as i64 - 1)
}

/// Ids that were set aside for an upload and not used are given back when it ends, while others
/// take new ones.
#[test]
fn no_id_is_assigned_twice_while_uploads_end() {
    let heap = Heap::of(256 * MIB, Geometry::standard());
    let again = || {
        let patient = quick().busy_timeout(Duration::from_secs(60));
        patient.open(heap.address()).unwrap()
    };
    let others = [again(), again()];
    let over = AtomicBool::new(false);
    let seen: Vec<(i64, i64)> = std::thread::scope(|scope| {
        let small: Vec<_> = (0..4)
            .map(|thread: u64| {
                let (over, memory) = (&over, &others[thread as usize % 2]);
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    for number in 0.. {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        let bytes = content(thread << 32 | number, 700);
                        let stored = memory.store_bytes(&bytes, Hold::Anonymous).unwrap();
                        seen.push(ids(memory, &stored));
                        if number % 3 > 0 {
                            memory.free(&stored.id).unwrap();
                        }
                    }
                    seen
                })
            })
            .collect();
        let mut seen = Vec::new();
        for number in 0..6 {
            let manager = &others[number as usize % 2];
            let bytes = content(number, 8 * MIB + 600 * number + 1);
            let stored = manager.store_from(bytes.as_slice(), Hold::Anonymous).unwrap();
            seen.push(ids(manager, &stored));
            if number % 2 == 1 {
                manager.free(&stored.id).unwrap();
            }
        }
        over.store(true, Ordering::Relaxed);
        seen.extend(small.into_iter().flat_map(|thread| thread.join().unwrap()));
        seen
    });
    let mut sorted: BTreeSet<_> = BTreeSet::new();
    for ids in &seen {
        assert!(sorted.insert(*ids), "{ids:?} twice");
    }
    let mut last = 0;
    for (first, end) in sorted {
        assert!(first > last, "{first} was assigned before");
        last = end;
    }
    assert!(seen.len() > 20, "{}", seen.len());
    assert_over(&heap);
}
