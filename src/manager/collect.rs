//! Garbage collection: empty rows go, and the file shrinks.

use serde::Serialize;

use super::{MemManager, record, unsigned};
use crate::error::Result;
use crate::store::change::Change;
use crate::store::{WriteTx, file_sizes, queries, vacuum_and_truncate};

/// What garbage collection gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Collected {
    /// Empty blocks removed.
    pub blocks: u64,
    /// Empty pools removed.
    pub pools: u64,
    /// Empty arenas removed.
    pub arenas: u64,
    /// Bytes that arenas gave back to the space, to be carved anew.
    pub bytes: u64,
    /// Bytes that the file gave back to the file system.
    pub file_bytes: u64,
    /// Bytes of the file afterwards.
    pub file_size: u64,
}

/// Rows that are removed before others may read on.
const PAGE: i64 = 1000;

impl MemManager {
    /// Removes empty blocks, then empty pools, then empty arenas, and gives the free
    /// pages of the file back to the file system. Costs what it removes, not what it
    /// keeps: O(removed · log n), and one moved page for each page that the file shrinks.
    #[doc(alias = "manual_garbage_collection")]
    #[doc(alias = "remove_unused_resources")]
    pub fn collect_garbage(&self) -> Result<Collected> {
        let mut collected = self.write(remove_empty)?;
        let (writer, deadline) = self.writer()?;
        let (before, after) = writer.maintain(deadline, |conn| {
            let (before, ..) = file_sizes(conn)?;
            vacuum_and_truncate(conn)?;
            let (after, ..) = file_sizes(conn)?;
            Ok((before, after))
        })?;
        collected.file_bytes = unsigned(before - after);
        collected.file_size = unsigned(after);
        Ok(collected)
    }
}

pub(super) fn remove_empty(tx: &mut WriteTx<'_>) -> Result<Collected> {
    let space = tx.space();
    let mut collected = Collected::default();
    loop {
        let blocks = tx.read(|conn| queries::levels::empty_blocks(conn, space, PAGE))?;
        if blocks.is_empty() {
            break;
        }
        collected.blocks += blocks.len() as u64;
        for block in blocks {
            tx.apply(Change::BlockRemoved(block))?;
        }
    }
    loop {
        let pools = tx.read(|conn| queries::levels::empty_pools(conn, space, PAGE))?;
        if pools.is_empty() {
            break;
        }
        collected.pools += pools.len() as u64;
        for pool in pools {
            tx.apply(Change::PoolRemoved(pool))?;
        }
    }
    loop {
        let arenas = tx.read(|conn| queries::levels::empty_arenas(conn, space, PAGE))?;
        if arenas.is_empty() {
            break;
        }
        collected.arenas += arenas.len() as u64;
        for arena in arenas {
            collected.bytes += unsigned(arena.max_mem);
            tx.apply(Change::ArenaRemoved(arena))?;
        }
    }
    record::trim(tx)?;
    Ok(collected)
}
