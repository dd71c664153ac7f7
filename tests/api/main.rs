//! What the library does, a module for each part of it. One program, because each that is
//! linked has SQLite in it.
//!
//! The tests are threads of one process: one that changes what a process has once, such as
//! its working folder, belongs into a process of its own (`harness::again`).

#![cfg(test)]

mod batch;
mod bound;
mod carve;
mod collect;
#[path = "../common/mod.rs"]
mod common;
mod dedup;
mod diff;
mod doctor;
mod format;
mod free;
mod guard;
mod history;
mod inspect;
mod layout;
mod migrate;
mod names;
mod open;
mod parity;
mod pins;
mod placement;
mod plan;
mod query_plans;
mod read_only;
mod repair;
mod resize;
mod schema;
#[allow(dead_code, reason = "this program uses a part of it")]
#[path = "../harness/skip.rs"]
mod skip;
mod space;
mod stats;
mod stream;
mod ten_tasks;
mod transfer;
mod triggers;
mod units;
mod usage;
mod values;
mod violations;
