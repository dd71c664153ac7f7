//! Executes placement: puts pieces into blocks, and carves new ones as needed.

use std::borrow::Cow;

use crate::books::change::Change;
use crate::books::placement::Step;
use crate::error::{Error, Result};
use crate::models::{Arena, Block, NewEntry, Pool, StoredObjectId};
use crate::store::WriteTx;

/// The source of an object's bytes, from front to back.
pub(in crate::manager) trait Source {
    /// The next `count` bytes.
    fn take(&mut self, count: usize) -> Result<Cow<'_, [u8]>>;

    /// Called after the last byte, so that the source can report that it changed.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Source for &[u8] {
    fn take(&mut self, count: usize) -> Result<Cow<'_, [u8]>> {
        let piece = self.split_off(..count).ok_or_else(|| Error::Damaged {
            what: "a piece would be longer than its content".into(),
        })?;
        Ok(Cow::Borrowed(piece))
    }
}

/// Places `size` bytes of an object and returns the number of pieces.
/// O(size + pieces · log n) with n rows that have room.
pub(in crate::manager) fn place(
    tx: &mut WriteTx<'_>,
    object: StoredObjectId,
    size: u64,
    source: &mut dyn Source,
) -> Result<u64> {
    let class = tx.geometry().class_for(size);
    let mut remaining = size as i64;
    let mut seq = 0;
    while remaining > 0 {
        match next(tx, class, remaining)? {
            Step::Fill { block, bytes } => {
                let data = source.take(bytes as usize)?;
                let entry = NewEntry {
                    stored_object_id: object,
                    seq,
                    arena_id: block.arena_id,
                    pool_id: block.pool_id,
                    block_id: block.id,
                    allocated_mem: bytes,
                    start: size as i64 - remaining,
                    is_last: bytes == remaining,
                    data,
                };
                tx.apply(Change::EntryAdded { entry, block })?;
                remaining -= bytes;
                seq += 1;
            }
            Step::CarveBlock { pool, bytes } => carve_block(tx, &pool, bytes).map(drop)?,
            Step::CarvePool {
                arena,
                block_size,
                bytes,
                ..
            } => carve_pool(tx, &arena, block_size, bytes).map(drop)?,
            Step::CarveArena { bytes } => carve_arena(tx, bytes).map(drop)?,
            Step::Load(level) => tx.load_room(level)?,
        }
    }
    source.finish()?;
    Ok(seq as u64)
}

fn next(tx: &mut WriteTx<'_>, class: usize, remaining: i64) -> Result<Step> {
    let step = tx.next_step(class, remaining)?;
    // The bound was checked, so free bytes that no row has contradict the books.
    step.ok_or_else(|| Error::Damaged {
        what: format!("{remaining} bytes are free according to the totals, but in no arena, pool or block"),
    })
}

pub(in crate::manager) fn carve_arena(tx: &mut WriteTx<'_>, bytes: i64) -> Result<Arena> {
    let arena = Arena::carved(tx.next_arena_id()?, tx.space(), bytes);
    tx.apply(Change::ArenaAdded(arena))?;
    Ok(arena)
}

pub(in crate::manager) fn carve_pool(tx: &mut WriteTx<'_>, arena: &Arena, block_size: i64, bytes: i64) -> Result<Pool> {
    let pool = Pool::carved(tx.next_pool_id()?, arena, block_size, bytes);
    tx.apply(Change::PoolAdded(pool))?;
    Ok(pool)
}

pub(in crate::manager) fn carve_block(tx: &mut WriteTx<'_>, pool: &Pool, bytes: i64) -> Result<Block> {
    let block = Block::carved(tx.next_block_id()?, pool, bytes);
    tx.apply(Change::BlockAdded(block))?;
    Ok(block)
}
