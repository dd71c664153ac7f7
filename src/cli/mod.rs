//! The command line: one file per command, over the library's public functions alone.

mod args;
mod context;
pub mod exit;
mod parse;
mod progress;
mod render;
mod table;
mod text;

mod add;
mod block;
mod check;
mod drawing;
mod free;
mod gc;
mod get;
mod hexdump;
mod init;
mod ledger;
mod ls;
mod names;
mod put;
mod put_report;
mod set;
mod show;
mod sources;
mod spaces;
mod stats;
mod tree;

pub use args::Cli;
