//! The only code that uses connections.
//!
//! Reading is in `queries/`, through a [`ReadTx`]. Writing goes through [`WriteTx::apply`]:
//! changes fill a [`Batch`](crate::books::batch::Batch), together with what the triggers add, and
//! the engine writes it. Connections and transactions never leave this folder, so nothing can
//! write a row that bypasses the triggers.

mod ahead;
mod conn;
mod deadline;
mod engine;
mod frozen;
mod gate;
mod group;
mod known;
mod known_quotas;
mod location;
mod new_space;
mod numbers;
mod opening;
#[cfg(feature = "postgres")]
mod postgres;
pub(crate) mod queries;
mod read;
mod readers;
mod rehearsal;
mod repair;
mod schema_fault;
mod session;
mod settings;
mod sqlite;
mod statement;
mod values;
mod writer;

pub(crate) use ahead::{Line, View};
pub(crate) use deadline::Deadline;
pub(crate) use group::Group;
pub(crate) use location::Location;
pub(crate) use new_space::SpaceToMake;
pub(crate) use opening::Opening;
#[cfg(feature = "postgres")]
pub use postgres::address::Address;
pub(crate) use read::ReadTx;
pub(crate) use readers::Readers;
pub(crate) use rehearsal::Rehearsal;
pub(crate) use repair::{Broken, Lifted, Suspects};
pub(crate) use schema_fault::Fault;
pub(crate) use session::WriteTx;
pub(crate) use settings::Access;
pub use settings::Durability;
pub(crate) use sqlite::ceiling::{LEAST as LEAST_CEILING, OnDisk, least_ceiling, reserve};
pub(crate) use sqlite::location::FileLocation;
pub(crate) use sqlite::pages::FileSizes;
pub(crate) use sqlite::shrink::{Shrinking, Shrunk};
pub(crate) use sqlite::spool::Spool;
pub use sqlite::trees::{TreeKind, TreeSize};
