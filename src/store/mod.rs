//! The only code that sees a connection.
//!
//! Reading is in `queries/`. Writing goes through [`WriteTx::apply`], which executes
//! one [`change::Change`] and runs every trigger on it; `begin` and `commit` never
//! leave this folder, so nothing can write a row past the triggers.

mod bulk;
pub(crate) mod change;
mod checkpoint;
mod conn;
mod deadline;
mod exec;
mod frozen;
mod gate;
mod group;
mod insert;
mod known;
mod lookup;
pub(crate) mod mend;
mod migrate;
mod numbers;
mod observe;
mod open_files;
mod pages;
mod path;
pub(crate) mod queries;
mod readers;
mod record;
mod rehearsal;
mod replace;
pub(crate) mod schema;
mod stale_log;
mod tx;
mod unit;
mod verify;
mod vfs;
mod writer;

pub use conn::Durability;
pub(crate) use conn::{Access, Conn, Settings, beside, transaction};
pub(crate) use deadline::Deadline;
pub(crate) use exec::{REINDEX, become_heap, copy_into, sqlite_checks};
pub(crate) use group::Group;
pub(crate) use migrate::{check_schema, in_memory, prepare_file, replace_file, restore_schema};
pub(crate) use open_files::{OpenFile, open_heap, open_heap_at};
pub(crate) use pages::{can_shrink, copy_log, file_sizes, truncate_log, vacuum_some, vacuumed_size};
pub(crate) use path::{locate, short_enough_to_make};
pub(crate) use readers::{Reader, Readers};
pub(crate) use rehearsal::Rehearsal;
pub(crate) use stale_log::count_from_anywhere;
pub(crate) use tx::{RefusedAllocation, WriteTx};
pub(crate) use verify::{Fault, faults, schema_violations};
