//! Tests of the library, one module per part. They form one program, because every test
//! program links SQLite.
//!
//! The tests are threads of one process. A test that changes process-wide state, such as the
//! working folder, must run in its own process (`harness::again`).

#![cfg(test)]

mod batch;
mod bound;
mod bounded_history;
mod carve;
mod collect;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod compact;
mod copy;
mod copy_space;
mod dedup;
mod diff;
mod doctor;
mod format;
mod free;
mod guard;
mod history;
mod ids;
mod inspect;
mod layout;
mod layout_digest;
mod migrate;
mod names;
mod open;
mod parity;
mod placement;
mod plan;
mod plans;
mod query;
mod query_plans;
mod read_only;
mod repair;
mod report;
mod reserve;
mod resize;
mod schema;
mod space;
mod spaces;
mod sparse;
mod stats;
mod stream;
mod tar;
mod ten_tasks;
mod transfer;
mod tree;
mod tree_tar;
mod triggers;
mod units;
mod upload;
mod upload_seen;
mod upload_trouble;
mod usage;
mod values;
mod violations;
mod watch;
mod writer;
