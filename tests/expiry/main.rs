//! What expires is gone at its moment, and its bytes come back when somebody needs them.
//!
//! These tests let the clock of the process jump, so they are a program of their own, and take turns.

#![cfg(test)]

mod clock;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod give_back;
mod holds;
mod refresh;
mod repair;
mod seen;
mod transfer;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::Heap;
use heapledger::{Event, EventFilter, EventKind};

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// The clock, while no other test uses it.
pub struct Clock(#[allow(dead_code, reason = "it is held")] MutexGuard<'static, ()>);

impl Clock {
    pub fn take() -> Self {
        static CLOCK: Mutex<()> = Mutex::new(());
        Self(CLOCK.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn advance(&self, by: Duration) {
        heapledger::advance_clock(by);
    }
}

/// Content of `size` bytes.
pub fn content(seed: u8, size: usize) -> Vec<u8> {
    let mut content = vec![seed; size];
    content
        .iter_mut()
        .step_by(7)
        .enumerate()
        .for_each(|(at, byte)| *byte ^= at as u8);
    content
}

/// Events of these kinds, each with its name.
pub fn events(heap: &Heap, kinds: &[EventKind]) -> Vec<(EventKind, Option<String>, i64)> {
    let filter = EventFilter::default().kinds(kinds.iter().copied());
    let events = heap.events(filter).map(Result::unwrap);
    events
        .map(|Event { kind, name, bytes, .. }| (kind, name, bytes))
        .collect()
}

/// Objects that have rows.
pub fn rows(heap: &Heap) -> i64 {
    common::number(&heap.sql(), "SELECT count(*) FROM stored_objects")
}
