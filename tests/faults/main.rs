//! The failures guarded against: the disk is full or refuses a write, the file may not
//! be written or is gone, a source of bytes or a closure fails half-way, the clock goes
//! backwards; and the heap is not as before, or the error does not say what happened.
//!
//! Each fault gives an error of its own, and afterwards the books balance, what was
//! stored is there, and the same manager goes on as soon as the fault is gone.

#![cfg(test)]

#[allow(dead_code, reason = "this program uses a part of it")]
#[path = "../common/mod.rs"]
mod common;
mod file;
mod full;
#[allow(dead_code, unused_imports, reason = "this program uses a part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod limit;
mod shut;
mod unit;

use heapledger::MemManager;

/// All rows of the file: two equal dumps are two equal heaps.
fn rows(memory: &MemManager) -> String {
    common::dump(&common::sql(memory.path()))
}
