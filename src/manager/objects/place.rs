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
    let mut placing = Placing::new(object, class, size);
    placing.place(tx, source, placing.remaining)?;
    source.finish()?;
    Ok(placing.seq as u64)
}

/// An object that is being placed, all at once or in parts.
#[derive(Debug, Clone, Copy)]
pub(in crate::manager) struct Placing {
    pub object: StoredObjectId,
    class: usize,
    /// Bytes that are placed.
    pub placed: i64,
    /// Pieces that are placed.
    pub seq: i64,
    /// Bytes that are not placed; [`Self::UNKNOWN`] until the end of a stream is known.
    pub remaining: i64,
}

impl Placing {
    /// More bytes than there ever are.
    pub const UNKNOWN: i64 = i64::MAX >> 1;

    pub fn new(object: StoredObjectId, class: usize, size: u64) -> Self {
        Self {
            object,
            class,
            placed: 0,
            seq: 0,
            remaining: i64::try_from(size).unwrap_or(Self::UNKNOWN),
        }
    }

    /// Places the next pieces, of at most `most` bytes together. If more remain, they end where a
    /// block does, as if all were placed at once; a single piece of more than `most` bytes is cut.
    pub fn place(&mut self, tx: &mut WriteTx<'_>, source: &mut dyn Source, most: i64) -> Result<()> {
        let end = self.placed + most;
        let first = self.seq;
        while self.placed < end {
            let step = next(tx, self.class, self.remaining)?;
            let left = end - self.placed;
            // What is carved for a piece is carved in the same part.
            if self.next_piece(tx, &step) > left && self.seq > first {
                break;
            }
            match step {
                Step::Fill { block, bytes } => self.fill(tx, block, bytes.min(left), source)?,
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
        Ok(())
    }

    /// Bytes of the piece that a step leads to.
    fn next_piece(&self, tx: &WriteTx<'_>, step: &Step) -> i64 {
        let bytes = match *step {
            Step::Fill { bytes, .. } | Step::CarveBlock { bytes, .. } => bytes,
            Step::CarvePool { bytes, .. } | Step::CarveArena { bytes } => {
                let class = tx.geometry().classes().get(self.class);
                class.map_or(bytes, |class| bytes.min(class.block_size as i64))
            }
            Step::Load(_) => 0,
        };
        bytes.min(self.remaining)
    }

    fn fill(&mut self, tx: &mut WriteTx<'_>, block: Block, bytes: i64, source: &mut dyn Source) -> Result<()> {
        let data = source.take(bytes as usize)?;
        let entry = NewEntry {
            stored_object_id: self.object,
            seq: self.seq,
            arena_id: block.arena_id,
            pool_id: block.pool_id,
            block_id: block.id,
            allocated_mem: bytes,
            start: self.placed,
            is_last: bytes == self.remaining,
            data,
        };
        tx.apply(Change::EntryAdded { entry, block })?;
        self.placed += bytes;
        self.remaining -= bytes;
        self.seq += 1;
        Ok(())
    }
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
