//! What the writer needs of an engine.
//!
//! An engine is a connection on which transactions begin and end, and the code that writes a
//! [`Batch`] into them. The writer knows when: see [`super::writer`].

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::conn::Conn;
use super::deadline::Deadline;
use super::queries::entries::StoredPiece;
use super::read::ReadTx;
use super::sqlite::ceiling::{Ceiling, OnDisk};
use super::sqlite::spool::Spool;
use crate::books::batch::Batch;
use crate::books::limits::Limits;
use crate::error::{Error, Result};
use crate::models::{MemRamId, StoredObject};

/// An object that a lazy transaction found, and its first pieces, unless there could be too many.
#[derive(Debug, PartialEq)]
pub(in crate::store) struct Present {
    pub object: StoredObject,
    pub pieces: Vec<StoredPiece>,
}

/// Transactions on one connection.
pub(in crate::store) trait Engine: Send + NearCeiling {
    /// Sets the deadline of the current call.
    fn set_deadline(&mut self, deadline: Deadline);

    /// A read of what is written.
    fn read(&mut self) -> ReadTx<'_>;

    /// The same read while nobody writes, if [`Self::reads_when_idle`].
    fn read_when_idle(&mut self) -> ReadTx<'_> {
        self.read()
    }

    /// A number that changes when another connection has written to the space.
    fn version(&self) -> i64;

    /// Begins a transaction in which nobody else writes to the space.
    fn begin(&mut self, space: MemRamId) -> Result<()>;

    /// Begins a transaction without a statement, if the engine can commit one with a single statement
    /// that fails with [`Outdated`](crate::ServerError::Outdated) unless the space still has this version.
    /// Returns whether it has begun.
    fn begin_lazily(&mut self, _space: MemRamId, _version: i64) -> bool {
        false
    }

    /// Whether the transaction began lazily, and has no statement yet.
    fn is_lazy(&self) -> bool {
        false
    }

    /// Takes the objects that were stored already when a lazy transaction stored them as new; it failed
    /// only because of them.
    fn take_present(&mut self) -> Vec<Present> {
        Vec::new()
    }

    /// Whether everything that was known must be forgotten, whatever the version is. Called after [`Self::begin`].
    fn forgets(&mut self) -> bool {
        false
    }

    /// Also locks another space.
    fn enter(&mut self, _space: MemRamId) -> Result<()> {
        Ok(())
    }

    /// Sets the savepoint for [`Self::rollback_to_savepoint`].
    fn savepoint(&mut self) -> Result<()>;

    /// Releases the savepoint; what was written since stays.
    fn release_savepoint(&mut self) -> Result<()>;

    /// Undoes what was written since the savepoint.
    fn rollback_to_savepoint(&mut self) -> Result<()>;

    /// Writes a batch of one space, in the open transaction.
    fn write(&mut self, space: MemRamId, batch: &Batch<'_>) -> Result<()>;

    /// The same for the last batch of the transaction.
    fn write_last(&mut self, space: MemRamId, batch: &Batch<'_>) -> Result<()> {
        self.write(space, batch)
    }

    /// Whether the transaction is still open and usable.
    fn is_in_transaction(&mut self) -> bool;

    fn commit(&mut self) -> Result<()>;

    /// Undoes the whole transaction.
    fn rollback(&mut self);

    /// Whether the next transactions are synced, if the heap's durability asks for it.
    fn sync_commits(&mut self, sync: bool);

    /// A place to set bytes aside in the open transaction.
    fn spool(&self) -> Spool;

    /// When a batch is full.
    fn limits(&self) -> Limits;

    /// Whether statements take so long that objects should be looked up several at a time.
    fn looks_up_together(&self) -> bool {
        false
    }

    /// Adds what only the engine knows to an error.
    fn explain(&self, error: Error) -> Error {
        error
    }

    // What only an engine of files needs.

    /// The connection of a file, to maintain it.
    fn to_maintain(&mut self) -> Result<&mut Conn> {
        Err(Error::BatchFailed)
    }

    /// Whether a short read is faster on the writing connection.
    fn reads_when_idle(&self) -> bool {
        false
    }

    /// Called after a commit, once its units know the outcome.
    fn after_commit(&mut self) {}

    /// Waits until no checkpoint of this process is running; false at the deadline.
    fn await_checkpoint(&mut self, _deadline: Deadline) -> bool {
        true
    }

    /// Set when a call begins to wait for readers of the log, and cleared once the log can be shortened.
    fn log_is_held(&self) -> Arc<AtomicBool> {
        Arc::default()
    }

    /// The ceiling of the file.
    fn ceiling(&self) -> Option<Arc<Ceiling>> {
        None
    }

    /// Lets all transactions use the reserve of the ceiling.
    fn use_reserve(&mut self) {}

    /// Announces that the transaction does more than make room, so that it must not use the reserve.
    fn will_grow(&mut self) {}

    /// What the files take, in the open transaction.
    fn on_disk(&mut self) -> Result<OnDisk> {
        Ok(OnDisk::default())
    }
}

/// What an engine of files does below a ceiling. Other engines have no ceiling.
pub(in crate::store) trait NearCeiling {
    /// Whether a unit of work with this much content may share the commit of the open transaction. Below
    /// a ceiling, units share one only if there is certainly room for all, so that a unit that does not
    /// fit does not cause others to be refused.
    fn may_share(&self, _bytes: u64) -> bool {
        true
    }

    /// Called after a unit of work with this much content, or an unknown amount.
    fn has_shared(&mut self, _bytes: Option<u64>) {}

    /// How many pieces may be given back in one transaction.
    fn most_pieces(&self) -> i64 {
        i64::MAX
    }

    /// Whether the file has grown into the reserve, in a transaction that only makes room, and new rows
    /// would let it grow further.
    fn eats_reserve(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// Refuses to let a transaction take the room in the file that is promised to others, or to promise
    /// more than there is.
    fn check_promised(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Refuses content that cannot fit in the file, even if only its own bytes and a log of up to
    /// `part` bytes are counted.
    fn check_room_in_file(&mut self, _bytes: u64, _part: u64) -> Result<()> {
        Ok(())
    }
}
