//! Heaps in schemas of PostgreSQL servers.

#[allow(dead_code)] // Until a location is an address.
pub(in crate::store) mod address;
