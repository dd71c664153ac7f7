//! What people write: sizes, times, values, sources, where the heap is.

pub(in crate::cli) mod argument;
pub(in crate::cli) mod database;
pub(in crate::cli) mod dotenv;
pub(in crate::cli) mod fail_if;
pub(in crate::cli) mod parse;
pub(in crate::cli) mod sources;
pub(in crate::cli) mod when;
