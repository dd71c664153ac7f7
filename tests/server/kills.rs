//! Guards against these failures: connections are killed at random moments, and something acknowledged is
//! lost, something is done twice, or the books do not balance, at the end or for a reader in between.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use heapledger::{Error, Hold, MemManager, ObjectId, Result, ServerError};

use crate::common::{Place, assert_balanced, content, number, on_server, options};
use crate::harness::Random;

const KILLS: u64 = 200;
/// Managers, each of which has a writer of its own, and threads of each.
const WRITERS: u64 = 4;
const THREADS: u64 = 2;
const CAPACITY: u64 = 256 << 20;

/// What callers were told.
#[derive(Default)]
struct Told {
    allocations: AtomicU64,
    frees: AtomicU64,
    dedup_hits: AtomicU64,
}

fn add(to: &AtomicU64, count: u64) {
    to.fetch_add(count, Ordering::SeqCst);
}

/// The result, unless the connection was lost and the call says that nothing has changed.
fn unless_lost<R>(result: Result<R>) -> Option<R> {
    match result {
        Ok(result) => Some(result),
        Err(Error::Server(ServerError::Lost { .. })) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Writes until `done`, and returns what it keeps.
fn write(memory: &MemManager, thread: u64, told: &Told, done: &AtomicBool) -> Vec<ObjectId> {
    let mut kept = Vec::new();
    let mut random = Random(thread);
    let mut round = 0;
    while !done.load(Ordering::SeqCst) {
        round += 1;
        let own = content((thread << 32) + round, 100 + random.below(3000));
        match random.below(8) {
            // A large object, which is stored in parts.
            0 => {
                let large = content((thread << 32) + round, 9 << 20);
                if let Some(stored) = unless_lost(memory.store_bytes(&large, Hold::Anonymous)) {
                    assert!(!stored.dedup);
                    add(&told.allocations, 1);
                    memory.free(&stored.id).unwrap();
                    add(&told.frees, 1);
                }
            }
            1 => {
                let parts: Vec<_> = own.chunks(40).map(|part| [part, &own[..16]].concat()).collect();
                let stored = unless_lost(memory.batch(|batch| {
                    let stored = parts.iter().map(|part| batch.allocate_bytes(part));
                    stored.collect::<Result<Vec<_>>>()
                }));
                match stored {
                    Some(ids) => {
                        add(&told.allocations, ids.len() as u64);
                        kept.extend(ids);
                    }
                    None => {
                        let first = ObjectId::of_bytes(&parts[0]);
                        assert!(!memory.contains(&first).unwrap(), "half a batch");
                    }
                }
            }
            2 if !kept.is_empty() => {
                let id = kept.swap_remove(random.below(kept.len() as u64) as usize);
                memory.free(&id).unwrap();
                add(&told.frees, 1);
            }
            3 if !kept.is_empty() => {
                let id = kept[random.below(kept.len() as u64) as usize];
                let name = format!("{thread}");
                memory.bind(&name, &id).unwrap();
                assert_eq!(memory.resolve(&name).unwrap(), Some(id));
                memory.unbind(&name).unwrap();
            }
            _ => {
                let stored = memory.store_bytes(&own, Hold::Anonymous).unwrap();
                assert!(!stored.dedup, "done twice");
                assert!(memory.store_bytes(&own, Hold::Anonymous).unwrap().dedup);
                add(&told.allocations, 1);
                add(&told.dedup_hits, 1);
                kept.push(stored.id);
            }
        }
    }
    kept
}

/// One state has balanced books, whoever writes.
fn assert_reads_balance(heap: &MemManager) {
    let read = heap.snapshot().and_then(|then| {
        let stats = then.stats()?;
        let buckets: u64 = then.trial_balance()?.iter().map(|bucket| bucket.bytes).sum();
        let claims: u64 = then.claims()?.iter().map(|claim| claim.bytes).sum();
        assert_eq!([buckets, claims], [CAPACITY; 2]);
        assert_eq!(stats.allocations - stats.frees, stats.objects);
        Ok(())
    });
    unless_lost(read);
}

#[test]
fn what_is_acknowledged_is_there_once_though_connections_are_killed() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    let app = format!("kills_{}", std::process::id());
    let address = format!("{}&application_name={app}", place.address().display());
    let open = || {
        options()
            .max_mem(CAPACITY)
            .busy_timeout(Duration::from_secs(60))
            .open(&address)
            .unwrap()
    };
    let heap = open();
    let sql = place.sql();
    let (told, done) = (Told::default(), AtomicBool::new(false));
    let kept: Vec<ObjectId> = thread::scope(|scope| {
        let (told, done) = (&told, &done);
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let memory = open();
            for thread in 0..THREADS {
                let memory = memory.clone();
                writers.push(scope.spawn(move || write(&memory, 1 + writer * THREADS + thread, told, done)));
            }
        }
        let mut random = Random(7);
        let mut killed = 0;
        while killed < KILLS && !writers.iter().any(|writer| writer.is_finished()) {
            thread::sleep(Duration::from_millis(random.below(25)));
            killed += number(
                &sql,
                &format!(
                    "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) AS killed FROM (SELECT pid FROM pg_stat_activity
                     WHERE application_name = '{app}' ORDER BY random() LIMIT 1) t) k WHERE killed"
                ),
            ) as u64;
            // A reader sees balanced books in between, whoever writes.
            assert_reads_balance(&heap);
        }
        done.store(true, Ordering::SeqCst);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let stats = heap.stats().unwrap();
    let count = |of: &AtomicU64| of.load(Ordering::SeqCst);
    let expected = [count(&told.allocations), count(&told.frees), count(&told.dedup_hits)];
    assert_eq!([stats.allocations, stats.frees, stats.dedup_hits], expected);
    assert_eq!(stats.objects, kept.len() as u64);
    for id in &kept {
        assert!(heap.contains(id).unwrap(), "{id} is lost");
    }
    assert!(heap.check().unwrap().is_empty());
    assert_balanced(&heap);
}
