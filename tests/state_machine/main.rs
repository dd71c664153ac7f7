//! Any sequence of operations, on any space, has the same results, refusals and contents as
//! on a map in memory, and the books balance after every step.

#![cfg(test)]

#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod evicting;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod model;
mod ops;
mod order;
mod reservations;
mod system;
mod writes;

use std::time::Duration;

use heapledger::{Geometry, Policy};
use ops::{Op, Setup, Step};
use proptest::prelude::*;
use system::System;

#[test]
fn the_heap_behaves_like_a_map_in_memory() {
    alone("alone::the_heap_behaves_like_a_map_in_memory");
}

/// They are stored in parts and freed in steps.
#[test]
fn the_heap_behaves_like_a_map_with_large_objects() {
    alone("alone::the_heap_behaves_like_a_map_with_large_objects");
}

/// Their quotas are nearly always full.
#[test]
fn owners_have_and_are_refused_what_the_map_in_memory_says() {
    alone("alone::owners_have_and_are_refused_what_the_map_in_memory_says");
}

/// Exactly what the policy says goes, and nothing is refused for which it would have been enough.
#[test]
fn a_cache_has_what_its_policy_leaves_in_the_map_in_memory() {
    alone("alone::a_cache_has_what_its_policy_leaves_in_the_map_in_memory");
}

/// Runs a test in a process of its own, because it lets the clock of its process jump.
fn alone(test: &str) {
    let done = harness::again(test).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

mod alone {
    use super::*;

    proptest! {
        #![proptest_config(common::cases(64))]

        #[test]
        #[ignore = "the child process"]
        fn the_heap_behaves_like_a_map_in_memory(setup in ops::setup(), steps in prop::collection::vec(ops::step(), 1..40)) {
            run(System::new(setup), &steps);
        }
    }

    proptest! {
        #![proptest_config(common::cases(6))]

        #[test]
        #[ignore = "the child process"]
        fn the_heap_behaves_like_a_map_with_large_objects(steps in prop::collection::vec(ops::large_step(), 1..8)) {
            let space = || (80 << 20, Geometry::standard());
            let setup = Setup { spaces: [space(), space()], in_parts: false };
            run(System::with_large_objects(setup), &steps);
        }
    }

    proptest! {
        #![proptest_config(common::cases(32))]

        #[test]
        #[ignore = "the child process"]
        fn owners_have_and_are_refused_what_the_map_in_memory_says(steps in prop::collection::vec(ops::owned_step(), 10..60)) {
            let space = || (4096, Geometry::standard());
            let setup = Setup { spaces: [space(), space()], in_parts: false };
            run(System::new(setup), &steps);
        }
    }

    proptest! {
        #![proptest_config(common::cases(24))]

        #[test]
        #[ignore = "the child process"]
        fn a_cache_has_what_its_policy_leaves_in_the_map_in_memory(
            policy in prop::sample::select(vec![Policy::Lru, Policy::Sieve, Policy::S3Fifo, Policy::Largest]),
            steps in prop::collection::vec(ops::cache_step(), 20..100),
        ) {
            let space = || (16 << 10, Geometry::standard());
            let setup = Setup { spaces: [space(), space()], in_parts: false };
            let mut system = System::new(setup);
            system.take(&Step { space: 0, op: Op::Evict(Some(policy), 0) });
            run(system, &steps);
        }
    }
}

/// What a step may take on a slow server; the clock of the model has minutes, in which nothing else happens.
const SLOW_STEP: Duration = Duration::from_millis(2500);

fn run(mut system: System, steps: &[Step]) {
    for step in steps {
        heapledger::advance_clock(SLOW_STEP);
        system.take(step);
        system.assert_same();
    }
    system.assert_same_contents();
}
