//! The engine that keeps a heap in one schema of a PostgreSQL server.

mod access;
pub(in crate::store) mod address;
pub(in crate::store) mod connect;
pub(in crate::store) mod content;
pub(in crate::store) mod engine;
pub(in crate::store) mod errors;
mod language;
pub(in crate::store) mod lifted;
pub(in crate::store) mod location;
pub(in crate::store) mod migrations;
pub(in crate::store) mod nodes;
pub(in crate::store) mod open;
pub(in crate::store) mod readers;
pub(in crate::store) mod sizes;
pub(in crate::store) mod verify;
pub(in crate::store) mod write;

#[cfg(test)]
#[allow(dead_code, reason = "this program uses only part of it")]
#[path = "../../../tests/harness/skip.rs"]
pub(in crate::store) mod skip;
