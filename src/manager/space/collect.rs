//! Garbage collection: removes empty rows and shrinks the file.

use serde::Serialize;

use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::history::record;
use crate::manager::{Expired, MemManager, Phase};
use crate::store::{Shrinking, Shrunk, WriteTx, queries};

/// The result of a garbage collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Collected {
    /// Empty blocks removed.
    pub blocks: u64,
    /// Empty pools removed.
    pub pools: u64,
    /// Empty arenas removed.
    pub arenas: u64,
    /// Bytes that removed arenas gave back to the space.
    pub bytes: u64,
    /// Bytes that the file gave back to the file system; 0 on a server, whose autovacuum decides that.
    pub file_bytes: u64,
    /// Bytes of the file afterwards; 0 on a server, too.
    pub file_size: u64,
    /// Free bytes of the file and its write-ahead log that could not be given back yet, because a
    /// reader still needs an older state, or another process kept writing. The next collection
    /// gives them back.
    pub held_bytes: u64,
    /// What had expired and was given back before.
    pub expired: Expired,
}

/// Rows removed in one transaction, unless they do not fit below the ceiling.
pub(in crate::manager) const PAGE: i64 = 1000;

impl MemManager {
    /// Gives back what has expired, removes empty blocks, then empty pools, then empty arenas, and gives the
    /// free pages of the file back to the file system. The cost depends on what is removed, not on what stays:
    /// O(removed · log n), plus one moved page per page that the file shrinks.
    ///
    /// It works in small transactions, between which others can write: nobody waits longer than for
    /// a commit. A running reader needs the file as it was; the collection does not wait for it,
    /// and counts what it cannot give back as [`held_bytes`](Collected::held_bytes).
    ///
    /// If another tool has turned off the file's `auto_vacuum`, as `VACUUM` can, it runs one
    /// `VACUUM` to turn it on again: O(file), in one transaction.
    ///
    /// # Errors
    /// What [any write](MemManager#errors) fails with. Earlier steps stay done; the books balance
    /// after each of them.
    #[doc(alias = "manual_garbage_collection")]
    #[doc(alias = "remove_unused_resources")]
    pub fn collect_garbage(&self) -> Result<Collected> {
        self.collect_garbage_with(&mut |_, _, _| {})
    }

    /// Like [`Self::collect_garbage`]; `progress` gets the [`Phase`] and the rows removed, then the
    /// bytes of the file given back and their total.
    ///
    /// # Errors
    /// Like [`Self::collect_garbage`].
    pub fn collect_garbage_with(&self, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<Collected> {
        progress(Phase::RemovingRows, 0, 0);
        let mut collected = Collected {
            expired: self.collect_due(false)?,
            ..Collected::default()
        };
        self.reclaim_all()?;
        let mut page = PAGE;
        loop {
            let removed = self.write_apart(|tx| {
                let mut so_far = collected;
                Ok((remove_empty(tx, page, &mut so_far)?, so_far))
            });
            let (more, so_far) = match removed {
                // Fewer may fit below the ceiling.
                Err(Error::FileFull { .. }) if page > 1 => {
                    page /= 4;
                    continue;
                }
                removed => removed?,
            };
            collected = so_far;
            progress(
                Phase::RemovingRows,
                collected.blocks + collected.pools + collected.arenas,
                0,
            );
            if !more {
                break;
            }
        }
        let shrunk = self.shrink(progress)?;
        Ok(Collected {
            file_bytes: shrunk.file_bytes,
            file_size: shrunk.file_size,
            held_bytes: shrunk.held_bytes,
            ..collected
        })
    }

    /// Gives the free pages of the file back. The server's autovacuum does that by itself.
    pub(in crate::manager) fn shrink(&self, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<Shrunk> {
        let (writer, _) = self.group()?;
        let Some(file) = self.inner.location.as_file() else {
            return Ok(Shrunk::default());
        };
        writer.shrink_file(file, &mut |step| match step {
            Shrinking::Pages { done, total } => progress(Phase::Shrinking, done, total),
            Shrinking::Log => progress(Phase::EmptyingLog, 0, 0),
        })
    }
}

/// Removes up to `page` empty rows, children first, and then events that are too old. Returns whether
/// there may be more.
pub(in crate::manager) fn remove_empty(tx: &mut WriteTx<'_>, page: i64, collected: &mut Collected) -> Result<bool> {
    let space = tx.space();
    let mut room = page;
    let blocks = tx.read(|tx| queries::levels::empty_blocks(tx, space, room))?;
    room -= blocks.len() as i64;
    collected.blocks += blocks.len() as u64;
    for block in blocks {
        tx.apply(Change::BlockRemoved(block))?;
    }
    if room == 0 {
        return Ok(true);
    }
    let pools = tx.read(|tx| queries::levels::empty_pools(tx, space, room))?;
    room -= pools.len() as i64;
    collected.pools += pools.len() as u64;
    for pool in pools {
        tx.apply(Change::PoolRemoved(pool))?;
    }
    if room == 0 {
        return Ok(true);
    }
    let arenas = tx.read(|tx| queries::levels::empty_arenas(tx, space, room))?;
    room -= arenas.len() as i64;
    collected.arenas += arenas.len() as u64;
    for arena in arenas {
        collected.bytes += arena.max_mem;
        tx.apply(Change::ArenaRemoved(arena))?;
    }
    Ok(room == 0 || record::trim(tx)?)
}
