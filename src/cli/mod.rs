//! The command line: one file per command, using only the library's public functions.

mod args;
mod commands;
mod context;
pub mod exit;
mod globals;
mod input;
pub mod interrupt;
mod output;
mod page;
mod reference;
pub mod streams;

pub use args::Cli;
