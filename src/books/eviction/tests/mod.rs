//! The policies against naive implementations, in memory and over plain rows.

mod future;
mod naive;
mod rows;

use proptest::prelude::*;

use self::naive::Naive;
use self::rows::RowCache;
use super::policy::Policy;
use super::replay::Replay;
use super::run::ReplayStrategy;
use super::shelf::{Queue, Shelf};
use super::simulation::Simulation;
use super::trace::TraceRequest;

fn used(object: u64, size: u64) -> TraceRequest {
    TraceRequest::Use { object, size }
}

/// Few objects, each of one size, that are used again and again, and sometimes freed.
fn traces(sizes: impl Strategy<Value = u64>) -> impl Strategy<Value = Vec<TraceRequest>> {
    let sizes = prop::collection::vec(sizes, 16);
    let steps = prop::collection::vec((0u64..16, 0u8..20), 0..300);
    (sizes, steps).prop_map(|(sizes, steps)| {
        let request = |(object, what)| match what {
            0 => TraceRequest::Free { object },
            _ => used(object, sizes[object as usize]),
        };
        steps.into_iter().map(request).collect()
    })
}

fn contents(cache: &Simulation) -> Vec<u64> {
    (0..16).filter(|&object| cache.lists().find(object).is_some()).collect()
}

proptest! {
    #[test]
    fn each_policy_equals_a_naive_one(trace in traces(0u64..40), capacity in 1u64..200) {
        for policy in Policy::ALL {
            let mut cache = Simulation::new(policy, capacity);
            let mut naive = Naive::new(policy, capacity);
            let mut rows = RowCache::new(policy, capacity);
            for (number, &request) in trace.iter().enumerate() {
                let before = cache.tally.hits;
                cache.take(request);
                let is_hit = cache.tally.hits > before;
                prop_assert_eq!(is_hit, naive.take(request), "{} at request {}", policy, number);
                prop_assert_eq!(is_hit, rows.take(request), "{} over rows at request {}", policy, number);
                prop_assert_eq!(contents(&cache), naive.contents(), "{} at request {}", policy, number);
                prop_assert_eq!(contents(&cache), rows.contents(), "{} over rows at request {}", policy, number);
            }
            prop_assert_eq!(cache.tally.evicted, naive.evicted);
        }
    }

    #[test]
    fn just_enough_goes_and_the_capacity_holds(trace in traces(0u64..40), capacity in 1u64..200) {
        for policy in Policy::ALL {
            let mut cache = Simulation::new(policy, capacity);
            for &request in &trace {
                let before = contents(&cache);
                let (bytes, evicted) = (cache.lists().total(), cache.tally.evicted_bytes);
                cache.take(request);
                prop_assert!(cache.lists().total() <= capacity, "{}", policy);
                let TraceRequest::Use { object, size } = request else { continue };
                let is_here = cache.lists().find(object).is_some();
                prop_assert_eq!(is_here, size <= capacity || before.contains(&object));
                let gone = cache.tally.evicted_bytes - evicted;
                let after = contents(&cache);
                let victims = before.iter().filter(|object| !after.contains(object));
                let largest = victims.filter_map(|victim| size_in(&trace, *victim)).max();
                // Without one of them there was too little room.
                if let Some(largest) = largest {
                    prop_assert!(bytes - gone + largest + size > capacity, "{}", policy);
                }
            }
        }
    }

    #[test]
    fn a_replay_is_the_sum_of_its_caches(trace in traces(1u64..40), first in 1u64..100, second in 100u64..200) {
        let requests = trace.iter().map(|&request| Ok::<_, ()>(request));
        let replayed = Replay::new([second, first, second]).best(false).run(requests).unwrap();
        let mut runs = replayed.runs.iter();
        for size in [first, second] {
            for policy in Policy::ALL {
                let mut cache = Simulation::new(policy, size);
                trace.iter().for_each(|&request| cache.take(request));
                let run = runs.next().unwrap();
                prop_assert_eq!((run.strategy, run.size), (ReplayStrategy::Policy(policy), size));
                prop_assert_eq!((run.hits, run.hit_bytes), (cache.tally.hits, cache.tally.hit_bytes));
                prop_assert_eq!((run.evicted, run.refused), (cache.tally.evicted, cache.tally.refused));
            }
        }
        prop_assert_eq!(runs.next(), None);
    }
}

fn size_in(trace: &[TraceRequest], wanted: u64) -> Option<u64> {
    trace.iter().find_map(|request| match request {
        TraceRequest::Use { object, size } if *object == wanted => Some(*size),
        _ => None,
    })
}

#[test]
fn sieve_keeps_what_was_used_in_its_place() {
    let mut cache = Simulation::new(Policy::Sieve, 3);
    for object in [1, 2, 3, 1, 2, 4] {
        cache.take(used(object, 1));
    }
    // The hand took the marks of 1 and 2 and found 3.
    assert_eq!(contents(&cache), [1, 2, 4]);
    cache.take(used(5, 1));
    // It ran off the end when 3 went, so it began at 1.
    assert_eq!(contents(&cache), [2, 4, 5]);
}

#[test]
fn s3_fifo_lets_a_scan_pass() {
    let mut cache = Simulation::new(Policy::S3Fifo, 10);
    let frequent = [1, 2, 3, 1, 2, 3, 1, 2, 3];
    let scan = 100..200;
    for object in frequent.into_iter().chain(scan) {
        cache.take(used(object, 1));
    }
    assert_eq!(contents(&cache), [1, 2, 3]);
    let mut lru = Simulation::new(Policy::Lru, 10);
    for object in frequent.into_iter().chain(100..200) {
        lru.take(used(object, 1));
    }
    assert!(contents(&lru).is_empty());
}

#[test]
fn the_hand_of_sieve_moves_on_when_its_object_is_freed() {
    let mut cache = Simulation::new(Policy::Sieve, 4);
    for object in [1, 2, 3, 4, 1, 5] {
        cache.take(used(object, 1));
    }
    // The hand passed 1, took 2, and is at 3.
    assert_eq!(contents(&cache), [1, 3, 4, 5]);
    cache.take(TraceRequest::Free { object: 3 });
    cache.take(used(6, 1));
    cache.take(used(7, 1));
    assert_eq!(contents(&cache), [1, 5, 6, 7]);
}

/// Debug builds, as in tests, panic on overflow.
#[test]
fn a_trace_may_claim_any_size() {
    let sizes = [u64::MAX, u64::MAX - 1, 0, 1, u64::MAX / 2, u64::MAX / 2 + 1];
    let trace = (0..600).map(|number| used(number * 7 % 11, sizes[number as usize % sizes.len()]));
    let replayed = Replay::new([0, 1, u64::MAX / 2, u64::MAX])
        .run(trace.map(Ok::<_, ()>))
        .unwrap();
    assert_eq!((replayed.requests, replayed.bytes), (600, u64::MAX));
    assert_eq!(replayed.runs.len(), 4 * 7);
}

#[test]
fn names_of_policies_are_read() {
    for policy in Policy::ALL {
        assert_eq!(policy.to_string().parse(), Ok(policy));
    }
    let unknown = "clock".parse::<Policy>().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "no policy is called \"clock\"; there are lru, sieve, s3-fifo, largest, oldest"
    );
}

/// An empty shelf has nothing that could go.
#[test]
fn nothing_goes_from_an_empty_shelf() {
    for policy in Policy::ALL {
        let mut lists = super::lists::Lists::new(policy);
        assert_eq!(policy.victim(&mut lists, 10), Ok(None));
        lists.insert(1, 5, Queue::Main);
        assert_eq!(policy.victim(&mut lists, 10), Ok(Some(1)));
        assert_eq!(lists.first(Queue::Trial), Ok(None));
    }
}
