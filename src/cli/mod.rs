//! The command line: one file per command, over the library's public functions alone.

mod args;
mod commands;
mod context;
pub mod exit;
mod globals;
mod input;
pub mod interrupt;
mod output;
pub mod streams;

pub use args::Cli;
