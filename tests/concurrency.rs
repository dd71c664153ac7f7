//! Many at once: clones in threads, managers of their own, other processes. One writer at
//! a time, readers in parallel, and the books balance for everybody who looks.

#![cfg(test)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{Heap, KIB, MIB, assert_balanced, assert_file_balanced, content, number, quick};
use heapledger::{Durability, Error, Geometry, Hold, MemManager, ObjectId};

const THREADS: u64 = 8;

#[test]
fn a_manager_goes_where_it_is_needed() {
    fn everywhere<T: Clone + Send + Sync + 'static>() {}
    everywhere::<MemManager>();
}

#[test]
fn every_thread_gets_the_results_of_its_own_puts() {
    let heap = Heap::of(8 * MIB, Geometry::standard());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let memory = heap.clone();
            scope.spawn(move || {
                for put in 0..20 {
                    let bytes = content(thread * 100 + put, 100 + 37 * put);
                    let stored = memory.store_bytes(&bytes, Hold::Anonymous).unwrap();
                    assert_eq!(stored.id, ObjectId::of_bytes(&bytes));
                    assert_eq!((stored.size, stored.dedup), (100 + 37 * put, false));
                    assert_eq!(memory.get_bytes(&stored.id).unwrap(), bytes);
                }
            });
        }
    });
    let space = heap.memram().unwrap();
    assert_eq!((space.allocations, space.dedup_hits), (8 * 20, 0));
    assert_balanced(&heap);
}

#[test]
fn full_durability_keeps_every_put_of_every_thread() {
    let dir = tempfile::tempdir().unwrap();
    let memory = MemManager::options()
        .durability(Durability::Full)
        .open(dir.path().join("heap.db"))
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let memory = memory.clone();
            scope.spawn(move || {
                for put in 0..10 {
                    memory.allocate(&format!("{thread} {put}")).unwrap();
                }
            });
        }
    });
    assert_eq!(memory.objects().count(), 80);
    assert_balanced(&memory);
}

#[test]
fn one_that_is_refused_does_not_fail_the_others() {
    let heap = Heap::of(64 * KIB, Geometry::standard());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let memory = heap.clone();
            scope.spawn(move || {
                for put in 0..15 {
                    if thread % 2 == 0 {
                        let bytes = content(thread * 100 + put, 64);
                        assert_eq!(memory.allocate_bytes(&bytes).unwrap(), ObjectId::of_bytes(&bytes));
                    } else {
                        let error = memory
                            .allocate_bytes(&content(thread * 100 + put, 65 * KIB))
                            .unwrap_err();
                        assert!(matches!(error, Error::OutOfMemory { needed: 66_560, .. }), "{error}");
                        assert!(matches!(memory.unbind("nobody"), Err(Error::UnknownName { .. })));
                    }
                }
            });
        }
    });
    let space = heap.memram().unwrap();
    assert_eq!((space.allocations, space.mem), (4 * 15, 4 * 15 * 64));
    assert_balanced(&heap);
}

#[test]
fn threads_that_put_the_same_value_share_one_object() {
    let heap = Heap::new();
    let stored_anew: usize = thread::scope(|scope| {
        let spawn = |_| {
            let memory = heap.clone();
            scope.spawn(move || !memory.store("the same", Hold::Anonymous).unwrap().dedup)
        };
        let threads: Vec<_> = (0..THREADS).map(spawn).collect();
        threads
            .into_iter()
            .filter(|_| true)
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    assert_eq!(stored_anew, 1);
    assert_eq!(heap.memram().unwrap().dedup_hits, 7);
    assert_balanced(&heap);
}

#[test]
fn a_panic_in_one_thread_leaves_the_others_a_working_heap() {
    let heap = Heap::new();
    let panicked = thread::scope(|scope| {
        let memory = heap.clone();
        let thread = scope.spawn(move || {
            memory.batch(|batch| -> heapledger::Result<()> {
                batch.allocate("half done")?;
                panic!("in the middle of a batch")
            })
        });
        thread.join().is_err()
    });
    assert!(panicked);
    heap.allocate("after").unwrap();
    assert_eq!(heap.objects().count(), 1);
    assert_balanced(&heap);
}

#[test]
fn readers_beside_the_writer_see_balanced_books() {
    let heap = Heap::of(2 * MIB, Geometry::standard());
    heap.allocate("so that there is something").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let memory = heap.clone();
                let sql = heap.sql();
                while !done.load(Ordering::Relaxed) {
                    let sum: i64 = memory.trial_balance().unwrap().iter().map(|bucket| bucket.bytes).sum();
                    assert_eq!(sum, 2 * 1024 * 1024);
                    assert_file_balanced(&sql);
                }
            });
        }
        let writer = scope.spawn(|| {
            for seed in 0..60 {
                let id = heap.allocate_bytes(&content(seed, 300 + 1511 * (seed % 20))).unwrap();
                if seed % 3 != 0 {
                    heap.free(&id).unwrap();
                }
                if seed % 16 == 15 {
                    heap.collect_garbage().unwrap();
                }
            }
        });
        let result = writer.join();
        done.store(true, Ordering::Relaxed);
        result.unwrap();
    });
    assert_balanced(&heap);
}

/// Runs `work` in a thread of its own; a wait without end is a failure, not a hang.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver
        .recv_timeout(Duration::from_secs(60))
        .expect("a result, not a wait without end")
}

#[test]
fn a_snapshot_stays_as_it_was_while_others_write() {
    let heap = Heap::new();
    let id = heap.store("first", Hold::Name("it")).unwrap().id;
    let memory = heap.clone();
    in_time(move || {
        let writer = memory.clone();
        memory
            .read(|snapshot| {
                assert!(snapshot.contains(&id)?);
                let other = thread::spawn(move || writer.store("second", Hold::Name("it")).unwrap().id);
                let second = other.join().unwrap();
                assert_eq!(snapshot.resolve("it")?, Some(id));
                assert_eq!(snapshot.get::<String>(&id)?, "first");
                assert_eq!(snapshot.object(&id)?.size, 5);
                assert!(!snapshot.contains(&second)?);
                Ok(())
            })
            .unwrap();
        assert!(!memory.contains(&id).unwrap());
    });
    assert_balanced(&heap);
}

#[test]
fn reading_goes_on_while_a_batch_is_open() {
    let heap = Heap::new();
    let id = heap.allocate("before").unwrap();
    let memory = heap.clone();
    in_time(move || {
        let reader = memory.clone();
        memory
            .batch(|batch| {
                batch.free(&id)?;
                let seen = thread::spawn(move || reader.get::<String>(&id).unwrap())
                    .join()
                    .unwrap();
                assert_eq!(seen, "before");
                Ok(())
            })
            .unwrap();
    });
    assert!(!heap.contains(&id).unwrap());
}

#[test]
fn a_second_writer_waits_no_longer_than_it_was_told() {
    let heap = Heap::new();
    let impatient = quick()
        .busy_timeout(Duration::from_millis(30))
        .open(heap.path())
        .unwrap();
    heap.batch(|batch| {
        batch.allocate("first")?;
        let error = impatient.allocate("second").unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        Ok(())
    })
    .unwrap();
    impatient.allocate("second").unwrap();
    assert_eq!(heap.objects().count(), 2);
    assert_balanced(&heap);
}

#[test]
fn managers_of_their_own_take_turns() {
    let heap = Heap::of(4 * MIB, Geometry::standard());
    thread::scope(|scope| {
        for thread in 0..4 {
            let memory = heap.open_again();
            scope.spawn(move || {
                for put in 0..20 {
                    let id = memory.allocate_bytes(&content(thread * 100 + put, 1000)).unwrap();
                    if put % 4 == 0 {
                        memory.free(&id).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(number(&heap.sql(), "SELECT count(*) FROM stored_objects"), 4 * 15);
    assert_balanced(&heap);
}
