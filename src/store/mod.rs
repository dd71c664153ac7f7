//! The only code that sees a connection.
//!
//! Reading is in `queries/`. Writing goes through [`WriteTx::apply`], which executes
//! one [`change::Change`] and runs every trigger on it; `begin` and `commit` never
//! leave this folder, so nothing can write a row past the triggers.

mod deadline;
mod gate;
mod group;
mod known;
mod lookup;
mod numbers;
mod observe;
pub(crate) mod queries;
mod rehearsal;
mod repair;
mod session;
pub(crate) mod sqlite;
mod writer;

pub(crate) use deadline::Deadline;
pub(crate) use group::Group;
pub(crate) use rehearsal::Rehearsal;
pub(crate) use session::{RefusedAllocation, WriteTx};
pub use sqlite::conn::Durability;
pub(crate) use sqlite::conn::{Access, Conn, Settings, beside, transaction};
pub(crate) use sqlite::exec::{become_heap, copy_into, sqlite_checks};
pub(crate) use sqlite::migrate::{check_schema, in_memory, prepare_file, replace_file, restore_schema};
pub(crate) use sqlite::open_files::{OpenFile, open_heap, open_heap_at};
pub(crate) use sqlite::pages::{can_shrink, copy_log, file_sizes, truncate_log, vacuum_some, vacuumed_size};
pub(crate) use sqlite::path::{locate, short_enough_to_make};
pub(crate) use sqlite::readers::{Reader, Readers};
pub(crate) use sqlite::stale_log::count_from_anywhere;
pub(crate) use sqlite::verify::{Fault, faults, schema_violations};
