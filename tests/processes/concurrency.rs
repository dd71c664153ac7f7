//! Concurrent use: clones in threads, separate managers, other processes. There is one writer
//! at a time, readers run in parallel, and every reader sees books that balance.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use crate::common::{Heap, KIB, MIB, Place, assert_balanced, assert_sql_balanced, content, number, options, quick};
use heapledger::{Arena, Durability, Error, EventFilter, Geometry, Hold, MemManager, Moment, ObjectId, SparseOptions};

#[test]
fn a_manager_can_be_cloned_sent_and_shared() {
    fn everywhere<T: Clone + Send + Sync + 'static>() {}
    everywhere::<MemManager>();
}

/// Runs `work` in several threads, which all start at the same moment.
fn at_once<R: Send>(threads: u64, work: impl Fn(u64) -> R + Sync) -> Vec<R> {
    let start = Barrier::new(threads as usize);
    thread::scope(|scope| {
        let spawn = |number| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(number)
            })
        };
        let running: Vec<_> = (0..threads).map(spawn).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn every_thread_gets_the_results_of_its_own_puts() {
    let heap = Heap::of(8 * MIB, Geometry::standard());
    at_once(8, |thread| {
        let memory = heap.clone();
        for put in 0..20 {
            let bytes = content(thread * 100 + put, 100 + 37 * put);
            let stored = memory.store_bytes(&bytes, Hold::Anonymous).unwrap();
            assert_eq!(stored.id, ObjectId::of_bytes(&bytes));
            assert_eq!((stored.size, stored.dedup), (100 + 37 * put, false));
            assert_eq!(memory.get_bytes(&stored.id).unwrap(), bytes);
        }
    });
    let space = heap.memram().unwrap();
    assert_eq!((space.allocations, space.dedup_hits), (8 * 20, 0));
    assert_balanced(&heap);
}

#[test]
fn full_durability_loses_no_put_of_any_thread() {
    let place = Place::new();
    let options = options().durability(Durability::Full);
    let memory = options.open(place.address()).unwrap();
    at_once(8, |thread| {
        for put in 0..10 {
            memory.allocate(&format!("{thread} {put}")).unwrap();
        }
    });
    assert_eq!(memory.objects().count(), 80);
    assert_balanced(&memory);
}

#[test]
fn a_refused_put_does_not_fail_the_others() {
    let heap = Heap::of(64 * KIB, Geometry::standard());
    at_once(8, |thread| {
        for put in 0..15 {
            if thread % 2 == 0 {
                let bytes = content(thread * 100 + put, 64);
                assert_eq!(heap.allocate_bytes(&bytes).unwrap(), ObjectId::of_bytes(&bytes));
            } else {
                let error = heap.allocate_bytes(&content(thread * 100 + put, 65 * KIB)).unwrap_err();
                assert!(matches!(error, Error::OutOfMemory { needed: 66_560, .. }), "{error}");
                assert!(matches!(heap.unbind("nobody"), Err(Error::UnknownName { .. })));
            }
        }
    });
    let space = heap.memram().unwrap();
    assert_eq!((space.allocations, space.mem), (4 * 15, 4 * 15 * 64));
    assert_balanced(&heap);
}

#[test]
fn a_unit_that_fails_after_writing_leaves_nothing_and_fails_alone() {
    let heap = Heap::new();
    let mine = |thread| content(thread, 3000);
    at_once(9, |thread| {
        let result = heap.batch(|batch| {
            if thread == 0 {
                // Meanwhile the others queue up, so they share one commit.
                thread::sleep(Duration::from_millis(100));
            }
            batch.allocate_bytes(&mine(thread))?;
            batch.store("the last wins", Hold::Name("it"))?;
            if thread % 2 == 1 {
                batch.unbind("nobody").map(drop)
            } else {
                Ok(())
            }
        });
        assert_eq!(result.is_err(), thread % 2 == 1);
    });
    for thread in 0..9 {
        let id = ObjectId::of_bytes(&mine(thread));
        assert_eq!(heap.contains(&id).unwrap(), thread % 2 == 0, "thread {thread}");
    }
    assert_balanced(&heap);
}

#[test]
fn threads_that_put_the_same_value_share_one_object() {
    let heap = Heap::new();
    let stored = at_once(8, |_| heap.store("the same", Hold::Anonymous).unwrap());
    assert_eq!(stored.iter().filter(|allocation| !allocation.dedup).count(), 1);
    assert_eq!(heap.memram().unwrap().dedup_hits, 7);
    assert_balanced(&heap);
}

#[test]
fn a_panic_in_one_thread_does_not_affect_the_others() {
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
fn concurrent_readers_see_balanced_books() {
    let heap = Heap::of(2 * MIB, Geometry::standard());
    heap.allocate("something").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let memory = heap.clone();
                let sql = heap.sql();
                while !done.load(Ordering::Relaxed) {
                    let sum: u64 = memory.trial_balance().unwrap().iter().map(|bucket| bucket.bytes).sum();
                    assert_eq!(sum, 2 * 1024 * 1024);
                    assert_sql_balanced(&sql);
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

/// Runs `work` in a thread, so that an endless wait fails the test instead of hanging it.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver
        .recv_timeout(Duration::from_secs(60))
        .expect("a result, not an endless wait")
}

#[test]
fn a_snapshot_does_not_change_while_others_write() {
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
fn reading_continues_while_a_batch_is_open() {
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
fn a_second_writer_waits_no_longer_than_its_timeout() {
    let heap = Heap::new();
    let impatient = quick()
        .busy_timeout(Duration::from_millis(30))
        .open(heap.address())
        .unwrap();
    heap.batch(|batch| {
        batch.allocate("first")?;
        let error = thread::scope(|scope| scope.spawn(|| impatient.allocate("second")).join().unwrap()).unwrap_err();
        assert!(matches!(error, Error::Busy { waited_ms: 30.. }), "{error}");
        Ok(())
    })
    .unwrap();
    impatient.allocate("second").unwrap();
    assert_eq!(heap.objects().count(), 2);
    assert_balanced(&heap);
}

#[test]
fn separate_managers_take_turns() {
    let heap = Heap::of(4 * MIB, Geometry::standard());
    at_once(4, |thread| {
        let memory = heap.open_again();
        for put in 0..20 {
            let id = memory.allocate_bytes(&content(thread * 100 + put, 1000)).unwrap();
            if put % 4 == 0 {
                memory.free(&id).unwrap();
            }
        }
    });
    assert_eq!(number(&heap.sql(), "SELECT count(*) FROM stored_objects"), 4 * 15);
    assert_balanced(&heap);
}

#[test]
fn two_managers_that_alternate_see_each_others_room_and_ids() {
    let heap = Heap::of(40 * KIB, Geometry::classic());
    let other = heap.open_again();
    for round in 0..12 {
        let first = heap.allocate_bytes(&content(2 * round, 900)).unwrap();
        let second = other.allocate_bytes(&content(2 * round + 1, 1100)).unwrap();
        if round % 3 == 0 {
            other.free(&first).unwrap();
            heap.free(&second).unwrap();
            other.collect_garbage().unwrap();
        }
        assert_balanced(&heap);
    }
}

#[test]
fn all_methods_of_a_snapshot_see_one_state() {
    let heap = Heap::classic();
    let name = |number: u64| format!("name {number}");
    // More rows than one page, in every list.
    let ids: Vec<_> = (0..600)
        .map(|number| {
            let bytes = content(number, 700);
            heap.store_bytes(&bytes, Hold::Name(&name(number))).unwrap().id
        })
        .collect();
    let then = heap.snapshot().unwrap();
    let mut objects = then.objects();
    let mut entries = then.entries();
    let mut events = then.events(EventFilter::default());
    let mut reader = then.reader(&ids[7]).unwrap();
    assert!(objects.next().is_some() && entries.next().is_some() && events.next().is_some());
    let (before, layout) = (then.stats().unwrap(), then.arenas().unwrap());

    heap.batch(|batch| ids.iter().try_for_each(|id| batch.force_free(id).map(drop)))
        .unwrap();
    heap.collect_garbage().unwrap();
    heap.store("something else", Hold::Name(&name(0))).unwrap();

    assert_eq!(objects.count() + 1, 600);
    assert_eq!(entries.count() + 1, before.entries as usize);
    assert_eq!(events.count(), 2 * 600);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert_eq!(read, content(7, 700));
    assert_eq!(
        (then.stats().unwrap().mem, then.memram().unwrap().mem),
        (420_000, 420_000)
    );
    assert_eq!(blocks_below(&then, &layout), 420_000);
    assert_eq!(then.find(&name(0)).unwrap(), ids[0]);
    assert_eq!(then.names(&ids[0]).unwrap().len(), 1);
    assert_eq!(then.trial_balance().unwrap(), before.buckets);
    assert!(then.check().unwrap().is_empty());
    let last = then.newest_events(&EventFilter::default(), 1).unwrap().remove(0);
    assert_eq!(then.layout_at(Moment::Event(last.id)).unwrap().mem, 420_000);
    let error = then.allocate("no").unwrap_err();
    assert!(matches!(error, Error::ReadOnly), "{error}");
    assert_eq!(heap.memram().unwrap().mem, 14);
    drop(then);
    assert_balanced(&heap);
}

/// Bytes in the blocks of these arenas, found by descending level by level.
fn blocks_below(memory: &MemManager, arenas: &[Arena]) -> u64 {
    let pools = arenas.iter().flat_map(|arena| memory.pools(arena.id).unwrap());
    let blocks = pools.flat_map(|pool| memory.blocks(pool.id).unwrap());
    blocks
        .map(|block| {
            let pieces = memory.pieces_in(block.id).unwrap();
            let bytes: u64 = pieces.iter().map(|piece| piece.entry.allocated_mem).sum();
            assert_eq!((bytes, memory.block(block.id).unwrap().mem), (block.mem, block.mem));
            block.mem
        })
        .sum()
}

#[test]
fn a_snapshot_continues_after_an_error_and_shares_its_connection() {
    let heap = Heap::new();
    let id = heap.allocate("here").unwrap();
    let then = heap.snapshot().unwrap();
    heap.free(&id).unwrap();
    assert!(then.get::<String>(&ObjectId::of_bytes(b"not here")).is_err());
    assert!(then.find("nothing").is_err());
    assert!(
        at_once(4, |_| then.get::<String>(&id).unwrap() == "here")
            .into_iter()
            .all(|same| same)
    );
    let other = then.clone();
    let (nested, outer) = in_time(move || {
        let mut nested = None;
        let outer = other.read(|snapshot| {
            nested = Some(other.get::<String>(&id).unwrap_err());
            snapshot.get::<String>(&id)
        });
        (nested, outer)
    });
    let nested = nested.unwrap();
    assert!(matches!(nested, Error::Reentered), "{nested}");
    assert_eq!(outer.unwrap(), "here");
}

#[test]
fn snapshots_are_consistent_while_a_writer_carves_frees_and_collects() {
    let heap = Heap::classic();
    heap.allocate("something").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..20 {
                let ids: Vec<_> = (0..30)
                    .map(|number| heap.allocate_bytes(&content(round * 100 + number, 700)).unwrap())
                    .collect();
                heap.add_arena().unwrap();
                for id in ids {
                    heap.free(&id).unwrap();
                }
                heap.collect_garbage().unwrap();
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let then = heap.snapshot().unwrap();
                let space = then.memram().unwrap();
                assert_eq!(blocks_below(&then, &then.arenas().unwrap()), space.mem);
                let mut mem = 0;
                for object in then.objects() {
                    let object = object.unwrap();
                    let id = object.id;
                    assert_eq!(then.get_bytes(&id).unwrap().len() as u64, object.size);
                    assert_eq!(then.ledger(&id).unwrap().len() as u64, object.pieces);
                    mem += object.size;
                }
                assert_eq!(mem, space.mem);
                for occupant in then.sparse_with(SparseOptions::default()).unwrap() {
                    then.object(&occupant.unwrap().object_id).unwrap();
                }
                let last = then.newest_events(&EventFilter::default(), 1).unwrap().remove(0);
                assert_eq!(then.layout_at(Moment::Event(last.id)).unwrap().mem, space.mem);
            }
        });
        let result = writer.join();
        done.store(true, Ordering::Relaxed);
        result.unwrap();
    });
    assert_balanced(&heap);
}

/// A call to the manager from inside a batch of its heap.
type Call<'c> = (&'static str, &'c dyn Fn(&MemManager) -> heapledger::Result<()>);

/// The calls that write, and so would wait for the batch they are made in.
fn every_write() -> Vec<Call<'static>> {
    vec![
        ("allocate", &|memory| memory.allocate(&1).map(drop)),
        ("allocate_bytes", &|memory| memory.allocate_bytes(b"1").map(drop)),
        ("allocate_from", &|memory| memory.allocate_from(&b"1"[..]).map(drop)),
        ("a stream that is refused", &|memory| {
            memory.allocate_from(std::io::repeat(7)).map(drop)
        }),
        ("bind", &|memory| {
            memory.bind("other", &ObjectId::of(&"before").unwrap()).map(drop)
        }),
        ("unbind", &|memory| memory.unbind("before").map(drop)),
        ("free", &|memory| {
            memory.free(&ObjectId::of(&"before").unwrap()).map(drop)
        }),
        ("resize", &|memory| memory.resize(2 * MIB).map(drop)),
        ("add_arena", &|memory| memory.add_arena().map(drop)),
        ("set_history", &|memory| memory.set_history(heapledger::History::Off)),
        ("collect_garbage", &|memory| memory.collect_garbage().map(drop)),
        ("plan_free", &|memory| memory.plan_free(&[]).map(drop)),
        ("repair", &|memory| memory.repair().map(drop)),
        ("batch", &|memory| memory.batch(|batch| batch.allocate(&1)).map(drop)),
    ]
}

#[test]
fn a_write_from_inside_a_batch_is_refused_immediately_and_the_batch_continues() {
    let heap = Heap::of(MIB, Geometry::standard());
    heap.store("before", Hold::Name("before")).unwrap();
    let memory = quick().busy_timeout(Duration::MAX).open(heap.address()).unwrap();
    let space = quick().space("other").busy_timeout(Duration::MAX);
    let neighbour = space.open(heap.address()).unwrap();
    let path = heap.address().to_owned();
    let kept = in_time(move || {
        memory.batch(|batch| {
            for memory in [&memory, &neighbour] {
                for (name, call) in every_write() {
                    let error = call(memory).unwrap_err();
                    assert!(matches!(error, Error::Reentered), "{name}: {error:?}");
                }
            }
            let opened = quick().space("third").busy_timeout(Duration::MAX).open(&path);
            assert!(matches!(opened, Err(Error::Reentered)), "{opened:?}");
            batch.allocate("in the batch")
        })
    });
    assert!(heap.contains(&kept.unwrap()).unwrap());
    assert!(heap.resolve("before").unwrap().is_some());
    assert_eq!(heap.objects().count(), 2);
    assert_balanced(&heap);
}

#[test]
fn a_value_that_writes_while_it_is_stored_is_refused() {
    struct Meddler(MemManager);
    impl serde::Serialize for Meddler {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0.allocate("meddled") {
                Ok(_) => serializer.serialize_str("written"),
                Err(error) => serializer.serialize_str(&error.to_string()),
            }
        }
    }
    let heap = Heap::new();
    let memory = quick().busy_timeout(Duration::MAX).open(heap.address()).unwrap();
    let stored = in_time(move || memory.batch(|batch| batch.allocate(&Meddler(memory.clone()))));
    let said = heap.get::<String>(&stored.unwrap()).unwrap();
    assert!(said.contains("use what its closure is given"), "{said}");
    // Outside a batch, no turn is held while a value is encoded.
    let stored = heap.allocate(&Meddler(heap.clone())).unwrap();
    assert_eq!(heap.get::<String>(&stored).unwrap(), "written");
}

#[test]
fn a_source_may_write_to_the_heap_while_it_is_stored() {
    struct Meddler(MemManager, u64);
    impl Read for Meddler {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.1 == 3 {
                return Ok(0);
            }
            self.1 += 1;
            self.0.allocate(&self.1).map_err(std::io::Error::other)?;
            buffer[0] = 7;
            Ok(1)
        }
    }
    let heap = Heap::new();
    let memory = heap.clone();
    let stored = in_time(move || memory.allocate_from(Meddler(memory.clone(), 0)).unwrap());
    assert_eq!(heap.get_bytes(&stored).unwrap(), [7; 3]);
    assert_eq!(heap.objects().count(), 4);
}

#[test]
fn the_progress_callback_of_a_repair_may_read_but_not_write() {
    let heap = Heap::new();
    let id = heap.allocate("before").unwrap();
    let memory = quick().busy_timeout(Duration::MAX).open(heap.address()).unwrap();
    let mut said = 0;
    let said = in_time(move || {
        memory
            .repair_with(&mut |_, _, _| {
                assert_eq!(memory.get::<String>(&id).unwrap(), "before");
                assert!(matches!(memory.allocate(&1), Err(Error::Reentered)));
                said += 1;
            })
            .unwrap();
        said
    });
    assert!(said > 0);
    assert_balanced(&heap);
}

#[test]
fn a_batch_reads_its_own_writes_and_the_manager_the_committed_state() {
    let heap = Heap::new();
    let memory = heap.clone();
    in_time(move || {
        memory
            .batch(|batch| {
                let id = batch.store("new", Hold::Name("it"))?.id;
                assert_eq!(batch.get::<String>(&id)?, "new");
                assert_eq!(batch.resolve("it")?, Some(id));
                assert!(matches!(memory.get_bytes(&id), Err(Error::NotStored { .. })));
                assert_eq!(memory.resolve("it")?, None);
                memory.read(|snapshot| {
                    assert!(!snapshot.contains(&id)?);
                    Ok(())
                })
            })
            .unwrap();
    });
    assert!(heap.resolve("it").unwrap().is_some());
}

#[test]
fn threads_that_lock_two_heaps_in_opposite_order_end_by_their_deadline() {
    let timeout = Duration::from_millis(200);
    let [first, second] = [Heap::new(), Heap::new()];
    let [a, b] = [&first, &second].map(|heap| quick().busy_timeout(timeout).open(heap.address()).unwrap());
    let crossed = in_time(move || {
        let inside = Barrier::new(2);
        at_once(2, |thread| {
            let (outer, inner) = if thread == 0 { (&a, &b) } else { (&b, &a) };
            outer.batch(|_| {
                inside.wait();
                inner.allocate(&thread)
            })
        })
    });
    // One may get the turn that the other gives up.
    assert!(crossed.iter().any(|result| matches!(result, Err(Error::Busy { .. }))));
    for heap in [&first, &second] {
        heap.allocate("after").unwrap();
        assert_balanced(heap);
    }
}

#[test]
fn a_put_waits_for_another_threads_batch_no_longer_than_its_timeout() {
    let heap = Heap::new();
    for timeout in [Duration::ZERO, Duration::from_millis(100)] {
        let memory = quick().busy_timeout(timeout).open(heap.address()).unwrap();
        in_time(move || {
            let writer = memory.clone();
            let call = move || {
                let calls: [&dyn Fn() -> heapledger::Result<()>; 4] = [
                    &|| writer.allocate("no").map(drop),
                    &|| writer.batch(|batch| batch.allocate("no").map(drop)),
                    &|| writer.collect_garbage().map(drop),
                    &|| writer.plan_free(&[]).map(drop),
                ];
                for call in calls {
                    let Err(Error::Busy { waited_ms }) = call() else {
                        panic!("it did not wait");
                    };
                    assert!(waited_ms >= timeout.as_millis() as u64);
                }
            };
            memory
                .batch(|batch| {
                    // It ends only after the others have given up.
                    thread::spawn(call).join().unwrap();
                    batch.allocate("yes")
                })
                .unwrap();
        });
    }
    assert_eq!(heap.objects().count(), 1);
    assert_balanced(&heap);
}

/// A batch may wait for a thread whose put was queued before it, so they must not share a
/// commit.
#[test]
fn a_put_is_committed_before_a_batch_that_waits_for_its_thread() {
    let heap = Heap::new();
    let memory = heap.clone();
    in_time(move || {
        for round in 0..200_u32 {
            let (done, is_done) = mpsc::channel();
            thread::scope(|scope| {
                scope.spawn(|| {
                    memory.allocate(&round).unwrap();
                    done.send(()).unwrap();
                });
                let batch = memory.batch(|batch| {
                    // The put may also be queued behind the batch.
                    let _ = is_done.recv_timeout(Duration::from_millis(2));
                    batch.allocate(&(round, round))
                });
                batch.unwrap();
            });
        }
    });
    assert_eq!(heap.objects().count(), 400);
}
