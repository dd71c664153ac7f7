//! Keeping what is known of the room in step with the changes of a unit of work.

use super::session::WriteTx;
use crate::books::change::Change;
use crate::error::Result;
use crate::models::{Arena, Block, MemRamId, PlacedEntry, Pool};

impl WriteTx<'_> {
    /// Keeps what is known of the room in step with the change.
    pub(super) fn observe(&mut self, change: &Change<'_>) -> Result<()> {
        match change {
            Change::ArenaAdded(new) => {
                let room = self.writer.known_room()?;
                room.unreserved -= new.max_mem;
                room.note_arena(Arena {
                    id: new.id,
                    memram_id: new.memram_id,
                    max_mem: new.max_mem,
                    mem: 0,
                    reserved: 0,
                });
            }
            Change::PoolAdded(new) => {
                let class = self.class_of(new.block_size)?;
                let room = self.writer.known_room()?;
                if let Some(mut arena) = room.arenas.get(new.arena_id).cloned() {
                    arena.reserved += new.max_mem;
                    room.note_arena(arena);
                }
                let pool = Pool {
                    id: new.id,
                    memram_id: new.memram_id,
                    arena_id: new.arena_id,
                    block_size: new.block_size,
                    max_mem: new.max_mem,
                    mem: 0,
                    reserved: 0,
                };
                room.note_pool(class, pool);
            }
            Change::BlockAdded(block) => {
                let class = self.class_of(block.block_size)?;
                let room = self.writer.known_room()?;
                if let Some(mut pool) = room
                    .pools
                    .get(class)
                    .and_then(|pools| pools.get(block.pool_id))
                    .cloned()
                {
                    pool.reserved += block.max_mem;
                    room.note_pool(class, pool);
                }
                room.note_block(class, *block);
            }
            Change::EntryAdded { entry, block } => {
                let mut block = *block;
                block.mem += entry.allocated_mem;
                block.is_free = block.mem < block.max_mem;
                let class = self.class_of(block.block_size)?;
                self.writer.known_room()?.note_block(class, block);
            }
            Change::EntriesRemoved { entries, .. } => {
                for entry in *entries {
                    let class = self.class_of(entry.block_size)?;
                    let mem = self.writer.block_after(entry.block_id).map_or(0, |after| after.mem);
                    let block = entry.block_with(self.writer.space, mem);
                    self.writer.known_room()?.note_block(class, block);
                }
            }
            Change::ArenaRemoved(arena) => {
                let room = self.writer.known_room()?;
                room.unreserved = room.unreserved.saturating_add(arena.max_mem);
                self.writer.forget_room()?;
            }
            Change::PoolRemoved(_) | Change::BlockRemoved(_) => self.writer.forget_room()?,
            Change::Resized { by } => self.writer.known_room()?.unreserved += by,
            Change::ObjectStored(_)
            | Change::ObjectRemoved { .. }
            | Change::DedupHit { .. }
            | Change::Held { .. }
            | Change::PieceMended { .. }
            | Change::Released { .. }
            | Change::NameBound { .. }
            | Change::Refused { .. }
            | Change::HistorySet { .. }
            | Change::BooksOpened
            | Change::Fixed(_)
            | Change::HistoryTrimmed { .. }
            | Change::NameUnbound { .. } => {}
        }
        Ok(())
    }

    fn class_of(&self, block_size: i64) -> Result<usize> {
        self.writer.geometry.class_of_block_size(block_size as u64)
    }
}

impl PlacedEntry {
    /// The block that the entry is in, with `mem` bytes in it.
    fn block_with(&self, memram_id: MemRamId, mem: i64) -> Block {
        Block {
            id: self.block_id,
            memram_id,
            arena_id: self.arena_id,
            pool_id: self.pool_id,
            block_size: self.block_size,
            max_mem: self.block_max_mem,
            mem,
            is_free: mem < self.block_max_mem,
        }
    }
}
