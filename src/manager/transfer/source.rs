//! Where a copy reads.

use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::models::StoredObject;
use crate::store::queries::entries::{StoredPiece, stored_pieces};
use crate::store::{ReadTx, queries};

/// The original of a copy.
pub(super) enum Source<'s, 'c> {
    /// One state of the heap.
    State(&'s mut ReadTx<'c>),
    /// The newest state of the heap for each read. Within one heap, a read of one state would keep the log that the
    /// copy itself writes from starting again, so the copy could not write more than the limit of the log.
    Newest(&'s MemManager),
}

impl Source<'_, '_> {
    pub fn read<R>(&mut self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        match self {
            Self::State(tx) => read(tx),
            Self::Newest(memory) => memory.inner.readers.snapshot_once(read),
        }
    }

    /// Some pieces of an object, from position `seq` on.
    pub fn pieces(&mut self, object: &StoredObject, seq: i64, limit: i64) -> Result<Vec<StoredPiece>> {
        self.read(|tx| stored_pieces(tx, object.id, seq, limit))
    }

    /// Whether objects may be freed between two reads.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Newest(_))
    }

    /// Whether an object that could not be read was freed since it was listed.
    pub fn has_lost(&mut self, object: &StoredObject, error: &Error) -> Result<bool> {
        let (Self::Newest(_), Error::Damaged { .. }) = (&self, error) else {
            return Ok(false);
        };
        let found = self.read(|tx| queries::objects::find(tx, object.memram_id, &object.object_id))?;
        Ok(found.is_none_or(|found| found.id != object.id))
    }
}
