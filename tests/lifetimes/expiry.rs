//! What expires is gone at its moment, and its bytes come back when somebody needs them.

mod clock;
mod give_back;
mod holds;
mod refresh;
mod repair;
mod seen;
mod transfer;

use crate::common::{Heap, number};
use heapledger::{Event, EventFilter, EventKind};

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
    number(&heap.sql(), "SELECT count(*) FROM stored_objects")
}
