//! Several users of one file: threads, managers, processes and other programs that open
//! it together, wait for each other, and keep their hands off what is not a heap.

#![cfg(test)]

mod checkpoints;
#[allow(dead_code, reason = "this program uses a part of it")]
#[path = "../common/mod.rs"]
mod common;
mod concurrency;
mod contention;
#[allow(dead_code, unused_imports, reason = "this program uses a part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod locks;
mod paths;
mod refused_files;
mod shared_file;
