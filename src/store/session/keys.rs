//! The keys of new rows.

use super::WriteTx;
use crate::error::Result;
use crate::models::{ArenaId, BlockId, EventId, PoolId, ReservationId, Sequence, StoredObjectId};

impl WriteTx<'_> {
    pub fn next_arena_id(&mut self) -> Result<ArenaId> {
        self.writer.take_numbers(Sequence::Arenas, 1).map(ArenaId)
    }

    pub fn next_pool_id(&mut self) -> Result<PoolId> {
        self.writer.take_numbers(Sequence::Pools, 1).map(PoolId)
    }

    pub fn next_block_id(&mut self) -> Result<BlockId> {
        self.writer.take_numbers(Sequence::Blocks, 1).map(BlockId)
    }

    /// The key of the next object, whose entries get the keys that follow. `entries` is the number
    /// of entries that it already has; a new object has 0, and is placed before the next one gets a
    /// key.
    pub fn next_object_id(&mut self, entries: usize) -> Result<StoredObjectId> {
        let first = self.writer.take_numbers(Sequence::StoredObjects, entries.max(1));
        first.map(StoredObjectId)
    }

    /// The ids of the next arena, pool and block.
    pub fn next_carved(&mut self) -> Result<(ArenaId, PoolId, BlockId)> {
        let mut next = |sequence| self.writer.last_number(sequence).map(|last| last + 1);
        Ok((
            ArenaId(next(Sequence::Arenas)?),
            PoolId(next(Sequence::Pools)?),
            BlockId(next(Sequence::Blocks)?),
        ))
    }

    pub fn next_reservation_id(&mut self) -> Result<ReservationId> {
        self.writer.take_numbers(Sequence::Reservations, 1).map(ReservationId)
    }

    /// Gives back the ids that were set aside for the pieces of an upload but not used, if nobody has
    /// taken later ones.
    pub fn give_ids_back(&mut self) -> Result<()> {
        self.writer.flush()?;
        self.writer.known()?.numbers.forget(Sequence::StoredObjects);
        Ok(())
    }

    pub fn next_event_id(&mut self) -> Result<EventId> {
        self.writer.take_numbers(Sequence::Events, 1).map(EventId)
    }
}
