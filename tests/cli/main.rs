//! Tests that run the built binary in temporary folders, and tests of README and docs.

#![cfg(test)]

mod attributes;
mod ceiling;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod copy;
mod errors;
mod evict;
mod expire;
mod explain;
mod formats;
mod generated;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod help;
mod history;
mod inspect;
mod listings;
mod machines;
mod names_free;
mod pictures;
mod plans;
mod put_get;
mod quota;
mod readme;
mod replay;
mod report;
mod reserve;
mod servers;
mod space;
mod spaces;
mod sql;
mod support;
mod tags;
mod tar;
mod transfer;
mod trees;
mod values;
