//! What concerns servers alone, and what is compared with a file. Needs `HEAPLEDGER_TEST_URL`.

#![cfg(test)]

#[cfg(all(unix, feature = "postgres"))]
mod citus;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
#[cfg(all(unix, feature = "postgres"))]
mod connecting;
#[cfg(all(unix, feature = "postgres"))]
mod errors;
#[cfg(all(unix, feature = "postgres"))]
mod full;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../harness/mod.rs"]
mod harness;
#[cfg(all(unix, feature = "postgres"))]
mod kills;
#[cfg(all(unix, feature = "postgres"))]
mod languages;
#[cfg(all(unix, feature = "postgres"))]
mod lost_commit;
#[cfg(all(unix, feature = "postgres"))]
mod lost_reads;
#[cfg(all(unix, feature = "postgres"))]
mod many_processes;
#[cfg(all(unix, feature = "postgres"))]
mod own;
#[cfg(all(unix, feature = "postgres"))]
mod pools;
#[cfg(all(unix, feature = "postgres"))]
mod proxy;
#[cfg(all(unix, feature = "postgres"))]
mod restart;
#[cfg(all(unix, feature = "postgres"))]
mod roles;
mod same_answers;
mod same_layout;
#[cfg(all(unix, feature = "postgres"))]
mod schemas;
#[cfg(all(unix, feature = "postgres"))]
mod standby;
#[cfg(all(unix, feature = "postgres"))]
mod support;
#[cfg(all(unix, feature = "postgres"))]
mod trips;
#[cfg(all(unix, feature = "postgres"))]
mod writers;
