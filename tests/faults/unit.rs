//! Sources and closures that fail halfway, and clocks that go backwards.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::{Heap, KIB, MIB, assert_balanced, content, files_in, row_counts, server};
use crate::rows;
use heapledger::{Error, Geometry, Hold, ObjectId};

/// A source that fails after a number of bytes.
struct FailsAfter {
    bytes: u64,
    how: fn() -> io::Result<usize>,
}

impl Read for FailsAfter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes == 0 {
            return (self.how)();
        }
        let count = buffer.len().min(self.bytes as usize).min(4096);
        buffer[..count].fill(7);
        self.bytes -= count as u64;
        Ok(count)
    }
}

/// A heap with something in it.
fn heap() -> Heap {
    let heap = Heap::of(8 * MIB, Geometry::standard());
    let id = heap.allocate_bytes(&content(1, 3 * KIB)).unwrap();
    heap.bind("kept", &id).unwrap();
    heap
}

#[test]
fn a_source_that_fails_halfway_stores_nothing() {
    let heap = heap();
    let before = rows(&heap);
    // Held in memory, at the limit for spooling to a file, and beyond it.
    for bytes in [0, 1, 5_000, MIB, 3 * MIB] {
        let how = || Err(io::Error::new(io::ErrorKind::ConnectionReset, "the line went dead"));
        let error = heap
            .store_from(FailsAfter { bytes, how }, Hold::Name("half"))
            .unwrap_err();
        assert!(matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::ConnectionReset));
        assert!(error.to_string().contains("the line went dead"), "{error}");
        assert_eq!(rows(&heap), before);
    }
    if server().is_none() {
        let folder = heap.address().parent().unwrap();
        assert_eq!(files_in(folder).len(), 3, "a spool file is left behind");
    }
    assert_balanced(&heap);
}

#[test]
fn a_source_that_panics_halfway_stores_nothing() {
    let heap = heap();
    let before = rows(&heap);
    let how = || panic!("the source gave up");
    let source = FailsAfter { bytes: 3 * MIB, how };
    assert!(catch_unwind(AssertUnwindSafe(|| heap.allocate_from(source))).is_err());
    assert_eq!(rows(&heap), before);
    heap.allocate("and on").unwrap();
    assert_balanced(&heap);
}

/// More than one part is read while it is stored.
const LARGE: u64 = 9 * MIB;

#[test]
fn a_file_that_is_truncated_while_it_is_read_is_not_stored() {
    for is_read_twice in [false, true] {
        nothing_is_stored_of_a_file_that_changes(is_read_twice, |file| file.set_len(MIB).unwrap());
    }
}

/// Its size does not reveal the change, but its hash does: because an object of that size is stored,
/// it is hashed first.
#[test]
fn a_file_that_is_overwritten_in_place_while_it_is_read_is_not_stored() {
    nothing_is_stored_of_a_file_that_changes(true, |file| invert(file, LARGE - 1));
}

/// A file that is read once is stored as it was read.
#[test]
fn a_file_that_changes_after_it_was_read_is_stored_as_it_was() {
    let bytes = content(3, 2 * MIB);
    let heap = Heap::of(8 * MIB, Geometry::standard());
    let stored = store_while_it_changes(&heap, &bytes, |file| invert(file, 1_500_000)).unwrap();
    assert_eq!(stored.id, ObjectId::of_bytes(&bytes));
    assert_eq!(heap.get_bytes(&stored.id).unwrap(), bytes);
}

fn invert(file: &File, at: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}

fn nothing_is_stored_of_a_file_that_changes(is_read_twice: bool, change: impl Fn(&File) + Send) {
    let heap = Heap::of(32 * MIB, Geometry::standard());
    if is_read_twice {
        heap.allocate_bytes(&content(4, LARGE)).unwrap();
    }
    // The parts that were stored and given back are in the history.
    let before = row_counts(&heap.sql());
    let error = store_while_it_changes(&heap, &content(3, LARGE), change).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(error.to_string().contains("changed while it was read"), "{error}");
    assert_eq!(row_counts(&heap.sql()), before);
    assert_balanced(&heap);
}

/// Changes the file while its storing waits for the writer's turn.
fn store_while_it_changes(
    heap: &Heap,
    bytes: &[u8],
    change: impl Fn(&File) + Send,
) -> heapledger::Result<heapledger::Allocation> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    std::thread::scope(|scope| {
        let other = file.try_clone().unwrap();
        // Holds the writer's turn until the file has been read and changed.
        let (started, begin) = std::sync::mpsc::channel();
        let (changed, go_on) = std::sync::mpsc::channel::<()>();
        let memory = (**heap).clone();
        scope.spawn(move || {
            memory
                .batch(|_| {
                    started.send(()).unwrap();
                    let _ = go_on.recv();
                    Ok(())
                })
                .unwrap();
        });
        begin.recv().unwrap();
        scope.spawn(move || {
            // Reading it takes a few milliseconds.
            std::thread::sleep(std::time::Duration::from_secs(1));
            change(&other);
            drop(changed);
        });
        heap.store_file(&mut file, Hold::Name("moving"))
    })
}

#[test]
fn a_panic_anywhere_in_a_batch_leaves_no_trace() {
    let heap = heap();
    let before = rows(&heap);
    for steps in 0..6 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            heap.batch(|batch| {
                for step in 0..steps {
                    let id = batch.allocate_bytes(&content(100 + step, 300 * KIB))?;
                    batch.bind("kept", &id)?;
                    if step == 3 {
                        batch.unbind("kept")?;
                        batch.free(&id)?;
                    }
                }
                panic!("after {steps} steps");
                #[allow(unreachable_code)]
                Ok(())
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(rows(&heap), before, "after {steps} steps");
    }
    heap.allocate("and on").unwrap();
    assert_balanced(&heap);
}

#[test]
fn a_panic_does_not_harm_concurrent_writers() {
    let heap = heap();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let memory = heap.clone();
            scope.spawn(move || {
                for round in 0..30 {
                    let bytes = content(1000 * thread + round, 200);
                    let put = || {
                        memory.batch(|batch| {
                            let id = batch.allocate_bytes(&bytes)?;
                            assert!(thread % 2 == 0, "an odd thread");
                            Ok(id)
                        })
                    };
                    match catch_unwind(AssertUnwindSafe(put)) {
                        Ok(id) => assert_eq!(memory.get_bytes(&id.unwrap()).unwrap(), bytes),
                        Err(_) => assert!(!memory.contains(&ObjectId::of_bytes(&bytes)).unwrap()),
                    }
                }
            });
        }
    });
    assert_eq!(heap.objects().count(), 1 + 3 * 30);
    assert_balanced(&heap);
}

/// The clock was an hour, or far, ahead when the rows were written.
#[test]
fn a_clock_that_goes_backwards_affects_only_times() {
    for ahead in [3_600_000_000_i64, 4_000_000_000_000_000] {
        let heap = heap();
        for table in ["memram", "stored_objects"] {
            heap.sql()
                .change(&format!("UPDATE {table} SET created_at = created_at + {ahead}"));
        }
        heap.sql()
            .change(&format!("UPDATE names SET bound_at = bound_at + {ahead}"));
        let heap = heap.open_again();
        let id = heap.allocate("later, by a clock that says earlier").unwrap();
        heap.bind("kept", &id).unwrap();
        let objects: Vec<_> = heap.objects().map(Result::unwrap).collect();
        assert_eq!(objects.last().unwrap().id, id, "listed in the order of allocation");
        heap.unbind("kept").unwrap();
        heap.free(&id).unwrap();
        heap.collect_garbage().unwrap();
        assert_balanced(&heap);
    }
}
