//! A heap that evicts by use has exactly what the policy has in a replay.

use heapledger::{Error, Geometry, Hold, MemManager, ObjectId, Policy, Replay, ReplayStrategy, TraceRequest};

use crate::common::{Heap, KIB, assert_balanced, content, quick};

const CAPACITY: u64 = 16 * KIB;

/// Requests for objects of different sizes, of which some are asked for much more often than others.
fn trace(requests: usize) -> Vec<(u64, u64)> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut request = || {
        let object = (random.f64().powi(3) * 150.0) as u64;
        (object, 100 + object * 7919 % 2_000)
    };
    (0..requests).map(|_| request()).collect()
}

/// Whether an object was there; stores it if it was not.
fn request(heap: &MemManager, (object, size): (u64, u64)) -> bool {
    let content = content(object, size);
    match heap.get_bytes(&ObjectId::of_bytes(&content)) {
        Ok(found) => {
            assert_eq!(found, content);
            true
        }
        Err(Error::NotStored { .. }) => {
            let planned = heap.plan_eviction(size).unwrap();
            let before = heap.stats().unwrap().objects;
            heap.store_bytes(&content, Hold::Anonymous).unwrap();
            for victim in &planned.victims {
                assert!(!heap.contains(&victim.id).unwrap());
            }
            let after = heap.stats().unwrap().objects;
            assert_eq!(before + 1 - planned.victims.len() as u64, after);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn hits_of_replay(policy: Policy, trace: &[(u64, u64)]) -> u64 {
    let requests = trace.iter().map(|&(object, size)| TraceRequest::Use { object, size });
    let replay = Replay::new([CAPACITY]).policies([policy]).best(false);
    let replayed = replay.run(requests.map(Ok::<_, ()>)).unwrap();
    let run = replayed.runs[0];
    assert_eq!(run.strategy, ReplayStrategy::Policy(policy));
    assert!(run.evicted > 50, "{run:?}");
    run.hits
}

fn compare(policy: Policy, reopens: bool) {
    let requests = trace(600);
    let heap = Heap::made(quick().max_mem(CAPACITY).geometry(Geometry::standard()).evict(policy));
    let mut memory = heap.open_again();
    let mut hits = 0;
    for (number, &asked) in requests.iter().enumerate() {
        hits += u64::from(request(&memory, asked));
        if reopens && number % 25 == 0 {
            drop(memory);
            memory = heap.open_again();
        }
    }
    assert_eq!(hits, hits_of_replay(policy, &requests), "{policy}");
    assert_balanced(&heap);
}

#[test]
fn lru_is_the_same() {
    compare(Policy::Lru, false);
}

#[test]
fn sieve_is_the_same() {
    compare(Policy::Sieve, false);
}

#[test]
fn s3_fifo_is_the_same() {
    compare(Policy::S3Fifo, false);
}

#[test]
fn nothing_is_forgotten_when_the_heap_is_opened_again() {
    for policy in [Policy::Lru, Policy::Sieve, Policy::S3Fifo] {
        compare(policy, true);
    }
}
