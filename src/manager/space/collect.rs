//! Garbage collection: empty rows go, and the file shrinks.

use std::time::Duration;

use serde::Serialize;

use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::history::record;
use crate::manager::{MemManager, Phase, unsigned};
use crate::store::{Access, WriteTx, beside, copy_log, file_sizes, queries, truncate_log, vacuum_some};

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
    /// Bytes of the file and of its write-ahead log that are free, and could not be given
    /// back yet: a reader still needs the file as it was, or another process wrote all the
    /// time. The next collection gives them back.
    pub held_bytes: u64,
}

/// Rows that go in one transaction.
const PAGE: i64 = 1000;
/// Pauses before the log is tried again, in which short reads come to their end.
const PAUSES_MS: [u64; 6] = [0, 1, 2, 5, 10, 20];

impl MemManager {
    /// Removes empty blocks, then empty pools, then empty arenas, and gives the free
    /// pages of the file back to the file system. Costs what it removes, not what it
    /// keeps: O(removed · log n), and one moved page for each page that the file shrinks.
    ///
    /// It goes in small steps, each a transaction of its own, between which others write:
    /// nobody waits for longer than for a commit. A reader that is under way needs the file
    /// as it was: what cannot be given back because of it is
    /// [`held_bytes`](Collected::held_bytes), and is not waited for.
    ///
    /// If another tool has turned the file's `auto_vacuum` off, as `VACUUM` can, free pages go
    /// with a `VACUUM` that turns it on again, once: O(file), in one transaction.
    ///
    /// # Errors
    /// What [any write](MemManager#errors) fails with. Steps before the one
    /// that failed are done, and stay so; the books balance after each of them.
    #[doc(alias = "manual_garbage_collection")]
    #[doc(alias = "remove_unused_resources")]
    pub fn collect_garbage(&self) -> Result<Collected> {
        self.collect_garbage_with(&mut |_, _, _| {})
    }

    /// Like [`Self::collect_garbage`]; `progress` gets the [`Phase`], and the rows removed,
    /// then the bytes of the file given back and to be given back.
    ///
    /// # Errors
    /// Like [`Self::collect_garbage`].
    pub fn collect_garbage_with(&self, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<Collected> {
        progress(Phase::RemovingRows, 0, 0);
        let mut collected = Collected::default();
        loop {
            let (more, so_far) = self.write_apart(|tx| {
                let mut so_far = collected;
                Ok((remove_empty(tx, &mut so_far)?, so_far))
            })?;
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
        self.shrink_file(&mut collected, progress)?;
        Ok(collected)
    }

    fn shrink_file(&self, collected: &mut Collected, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<()> {
        let length = |path| std::fs::metadata(path).map_or(0, |file| file.len());
        let on_disk = length(self.path().to_owned());
        let (before, free, page_size) = self.between_commits(file_sizes)?;
        let vacuumed = self.vacuum(&mut |left| {
            let done = free.saturating_sub(left.saturating_mul(page_size));
            progress(Phase::Shrinking, unsigned(done), unsigned(free));
        })?;
        progress(Phase::EmptyingLog, 0, 0);
        let truncated = self.truncate_log()?;
        let (size, free, _) = self.between_commits(file_sizes)?;
        let (before, size) = (unsigned(before), unsigned(size));
        collected.file_size = size;
        collected.file_bytes = before.saturating_sub(size);
        if !truncated {
            // Without a checkpoint of the whole log the file is longer than its last commit says.
            collected.file_size = length(self.path().to_owned()).max(size);
            collected.file_bytes = on_disk.saturating_sub(collected.file_size);
            collected.held_bytes = collected.file_size - size + length(beside(self.path(), "-wal"));
        }
        if !vacuumed {
            collected.held_bytes += unsigned(free);
        }
        Ok(())
    }

    /// Takes the free pages off the end of the file, in steps; says whether no other process
    /// was in the way.
    fn vacuum(&self, progress: &mut dyn FnMut(i64)) -> Result<bool> {
        let mut left = i64::MAX;
        loop {
            let (writer, deadline) = self.writer()?;
            let free = match writer.maintain(deadline, |conn| deadline.retry(|| vacuum_some(conn))) {
                Ok(free) => free,
                Err(Error::Busy { .. }) => return Ok(false),
                Err(error) => return Err(error),
            };
            // A file that cannot shrink keeps its pages.
            if free == 0 || free >= left {
                return Ok(true);
            }
            left = free;
            progress(left);
        }
    }

    /// Copies the log into the file and empties it, unless somebody needs it; says whether
    /// it is done.
    fn truncate_log(&self) -> Result<bool> {
        let (writer, deadline) = self.writer()?;
        match writer.await_checkpoint(deadline) {
            Err(Error::Busy { .. }) => return Ok(false),
            waited => waited?,
        }
        let mut conn = self.inner.settings.connect(Access::Write)?;
        for pause in PAUSES_MS {
            std::thread::sleep(Duration::from_millis(pause));
            // Most of it, while others write.
            copy_log(&mut conn)?;
            match self.between_commits(truncate_log) {
                Ok(true) => return Ok(true),
                Ok(false) | Err(Error::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn between_commits<R>(&self, work: impl FnOnce(&mut crate::store::Conn) -> Result<R>) -> Result<R> {
        let (writer, deadline) = self.writer()?;
        writer.maintain(deadline, work)
    }
}

/// Removes rows that are empty, children first, and then events that are too old, and says
/// whether there may be more of them.
pub(in crate::manager) fn remove_empty(tx: &mut WriteTx<'_>, collected: &mut Collected) -> Result<bool> {
    let space = tx.space();
    let mut room = PAGE;
    let blocks = tx.read(|conn| queries::levels::empty_blocks(conn, space, room))?;
    room -= blocks.len() as i64;
    collected.blocks += blocks.len() as u64;
    for block in blocks {
        tx.apply(Change::BlockRemoved(block))?;
    }
    if room == 0 {
        return Ok(true);
    }
    let pools = tx.read(|conn| queries::levels::empty_pools(conn, space, room))?;
    room -= pools.len() as i64;
    collected.pools += pools.len() as u64;
    for pool in pools {
        tx.apply(Change::PoolRemoved(pool))?;
    }
    if room == 0 {
        return Ok(true);
    }
    let arenas = tx.read(|conn| queries::levels::empty_arenas(conn, space, room))?;
    room -= arenas.len() as i64;
    collected.arenas += arenas.len() as u64;
    for arena in arenas {
        collected.bytes += unsigned(arena.max_mem);
        tx.apply(Change::ArenaRemoved(arena))?;
    }
    Ok(room == 0 || record::trim(tx)?)
}
