//! The best possible: nothing is better.

use std::collections::HashMap;

use proptest::prelude::{Just, Strategy as _, prop, prop_assert, prop_assert_eq, proptest};

use super::{traces, used};
use crate::books::eviction::policy::Policy;
use crate::books::eviction::replay::{Replay, Replayed};
use crate::books::eviction::run::ReplayStrategy;
use crate::books::eviction::trace::TraceRequest;

fn replay(trace: &[TraceRequest], capacity: u64) -> Replayed {
    let requests = trace.iter().map(|&request| Ok::<_, ()>(request));
    Replay::new([capacity]).run(requests).unwrap()
}

fn hits(replayed: &Replayed, strategy: ReplayStrategy) -> Option<u64> {
    let run = replayed.runs.iter().find(|run| run.strategy == strategy);
    run.map(|run| run.hits)
}

/// The most hits that any choice of victims reaches, for objects of 1 byte. All choices are tried.
fn most_hits(trace: &[TraceRequest], capacity: usize) -> u64 {
    // The most hits so far, by what the cache may contain.
    let mut states = HashMap::from([(Vec::new(), 0)]);
    for request in trace {
        let mut next: HashMap<Vec<u64>, u64> = HashMap::new();
        let mut reach = |mut cache: Vec<u64>, hits: u64| {
            cache.sort_unstable();
            let most = next.entry(cache).or_default();
            *most = hits.max(*most);
        };
        for (cache, hits) in states {
            match *request {
                TraceRequest::Free { object } => reach(cache.into_iter().filter(|&has| has != object).collect(), hits),
                TraceRequest::Use { object, .. } if cache.contains(&object) => reach(cache, hits + 1),
                TraceRequest::Use { object, .. } if cache.len() < capacity => {
                    reach([cache, vec![object]].concat(), hits)
                }
                TraceRequest::Use { object, .. } => {
                    for victim in 0..cache.len() {
                        let mut cache = cache.clone();
                        cache[victim] = object;
                        reach(cache, hits);
                    }
                }
            }
        }
        states = next;
    }
    states.into_values().max().unwrap_or_default()
}

/// Looks the next use up in the rest of the trace at each decision.
fn naive_hits(trace: &[TraceRequest], by_size: bool, capacity: u64) -> u64 {
    let (mut cache, mut hits): (Vec<(u64, u64)>, _) = (Vec::new(), 0);
    for (now, request) in trace.iter().enumerate() {
        let (object, size) = match *request {
            TraceRequest::Free { object } => {
                cache.retain(|has| has.0 != object);
                continue;
            }
            TraceRequest::Use { object, size } => (object, size),
        };
        if cache.iter().any(|has| has.0 == object) {
            hits += 1;
            continue;
        }
        if size > capacity {
            continue;
        }
        while cache.iter().map(|has| has.1).sum::<u64>() + size > capacity {
            let cost = |&(object, size): &(u64, u64)| {
                let later = trace[now..].iter().position(|request| match request {
                    TraceRequest::Use { object: other, .. } | TraceRequest::Free { object: other } => *other == object,
                });
                let is_used = later.filter(|&at| matches!(trace[now + at], TraceRequest::Use { .. }));
                let distance = is_used.map_or(u128::from(u64::MAX) - now as u128, |at| at as u128);
                // Of several the largest goes, then the one with the highest number.
                match by_size {
                    true => (distance * u128::from(size), size, object),
                    false => (distance, 0, object),
                }
            };
            let victim = (0..cache.len()).max_by_key(|&at| cost(&cache[at])).unwrap();
            cache.remove(victim);
        }
        cache.push((object, size));
    }
    hits
}

proptest! {
    #[test]
    fn belady_equals_the_best_of_all_choices(
        steps in prop::collection::vec((0u64..6, 0u8..12), 0..40),
        capacity in 1usize..5,
    ) {
        let request = |&(object, what): &(u64, u8)| match what {
            0 => TraceRequest::Free { object },
            _ => used(object, 1),
        };
        let trace: Vec<_> = steps.iter().map(request).collect();
        let replayed = replay(&trace, capacity as u64);
        prop_assert_eq!(hits(&replayed, ReplayStrategy::Belady), Some(most_hits(&trace, capacity)));
        // One size: the other variant would be the same.
        prop_assert_eq!(hits(&replayed, ReplayStrategy::BeladySize), None);
    }

    #[test]
    fn no_policy_beats_belady_with_objects_of_one_size(trace in traces(Just(7u64)), capacity in 7u64..100) {
        let replayed = replay(&trace, capacity);
        let best = hits(&replayed, ReplayStrategy::Belady);
        for policy in Policy::ALL {
            prop_assert!(hits(&replayed, ReplayStrategy::Policy(policy)) <= best, "{}", policy);
        }
    }

    #[test]
    fn belady_equals_a_naive_one(trace in traces(1u64..40), capacity in 1u64..200) {
        let replayed = replay(&trace, capacity);
        prop_assert_eq!(hits(&replayed, ReplayStrategy::Belady), Some(naive_hits(&trace, false, capacity)));
    }

    /// With sizes that are powers of two, each class has one size.
    #[test]
    fn belady_by_size_equals_a_naive_one(trace in traces((0u32..5).prop_map(|power| 1 << power)), capacity in 1u64..64) {
        let replayed = replay(&trace, capacity);
        if let Some(by_size) = hits(&replayed, ReplayStrategy::BeladySize) {
            prop_assert_eq!(by_size, naive_hits(&trace, true, capacity));
        }
    }
}

#[test]
fn what_was_asked_for_is_counted() {
    let trace = [
        used(1, 10),
        used(2, 20),
        used(1, 10),
        TraceRequest::Free { object: 1 },
        used(1, 10),
    ];
    let replayed = replay(&trace, 100);
    assert_eq!((replayed.requests, replayed.bytes), (4, 50));
    let footprint = replayed.footprint.unwrap();
    assert_eq!((footprint.objects, footprint.bytes), (2, 30));
    // After it was freed, nobody can have it.
    assert!(replayed.runs.iter().all(|run| run.hits == 1), "{replayed:?}");
    assert_eq!(hits(&replayed, ReplayStrategy::BeladySize), Some(1));
}
