//! Parsing of input: sizes, times, values, sources, and the location of the heap.

pub(in crate::cli) mod argument;
pub(in crate::cli) mod database;
pub(in crate::cli) mod dotenv;
pub(in crate::cli) mod fail_if;
pub(in crate::cli) mod parse;
pub(in crate::cli) mod server;
pub(in crate::cli) mod size_list;
pub(in crate::cli) mod sources;
pub(in crate::cli) mod statements;
pub(in crate::cli) mod trace;
pub(in crate::cli) mod when;
