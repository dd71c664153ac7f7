//! How long objects stay, and whose they are: until they expire, until others need the room more, within the quota
//! of their owner.

#![cfg(test)]

#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod eviction;
mod expiry;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod quotas;
mod tags;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heapledger::Invariant;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// The clock of the process, while no other test uses it: who moves it, or minds that it moves, takes it.
pub struct Clock(#[allow(dead_code, reason = "it is held")] MutexGuard<'static, ()>);

impl Clock {
    pub fn take() -> Self {
        static CLOCK: Mutex<()> = Mutex::new(());
        Self(CLOCK.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn advance(&self, by: Duration) {
        heapledger::advance_clock(by);
    }

    /// Time goes by, and nobody sets the clock.
    pub fn pass(&self, by: Duration) {
        heapledger::pass_time(by);
    }
}

/// Lets a statement violate this invariant, and no other, and repairs that.
pub fn assert_repaired(heap: &common::Heap, statement: &str, invariant: Invariant) {
    heap.sql().execute(statement);
    let violations = heap.check().unwrap();
    assert!(!violations.is_empty(), "{statement}");
    assert!(
        violations.iter().all(|found| found.invariant == invariant),
        "{statement}: {violations:?}"
    );
    let repaired = heap.repair().unwrap();
    assert!(repaired.left.is_empty(), "{statement}: {repaired:?}");
    common::assert_balanced(heap);
    assert!(heap.repair().unwrap().corrections.is_empty(), "{statement}");
}
