//! Any sequence of operations, on any space, has the same results, refusals and contents as
//! on a map in memory, and the books balance after every step.

#![cfg(test)]

#[allow(dead_code, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod model;
mod ops;
mod system;
mod writes;

use ops::{Setup, Step};
use proptest::prelude::*;
use system::System;

proptest! {
    #![proptest_config(common::cases(64))]

    #[test]
    fn the_heap_behaves_like_a_map_in_memory(setup in ops::setup(), steps in prop::collection::vec(ops::step(), 1..40)) {
        run(setup, &steps);
    }
}

fn run(setup: Setup, steps: &[Step]) {
    let mut system = System::new(setup);
    for step in steps {
        system.take(step);
        system.assert_same();
    }
    system.assert_same_contents();
}
