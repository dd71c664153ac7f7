//! Several users of one file: threads, managers, processes and other programs open it
//! together, wait for each other, and leave files that are not heaps alone.

#![cfg(test)]

mod checkpoints;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod concurrency;
mod contention;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod locks;
mod log_limit;
mod paths;
mod refused_files;
mod shared_file;
mod snapshot_age;
