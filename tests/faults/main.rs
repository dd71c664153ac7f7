//! Faults: the disk is full or refuses a write, the file is not writable or missing, a source
//! or a closure fails halfway, the clock goes backwards.
//!
//! After each fault the error must say what happened, the books balance, everything stored is
//! still there, and the same manager works again once the fault is removed.

#![cfg(test)]

mod ceiling;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod file;
mod full;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod limit;
mod shut;
mod unit;

use heapledger::MemManager;

/// All rows of the file. Two heaps are equal if their dumps are.
fn rows(memory: &MemManager) -> String {
    common::dump(&common::sql(memory.path()))
}
