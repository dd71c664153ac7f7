//! Giving the free pages of the file back to the file system.

use std::time::Duration;

use super::ceiling::length;
use super::checkpoint;
use super::pages::{FileSizes, allow_vacuum, file_sizes, truncate_log, vacuum_some};
use crate::error::{Error, Result};
use crate::models::unsigned;
use crate::store::group::Group;
use crate::store::settings::Access;
use crate::store::sqlite::location::FileLocation;

/// The result of shrinking, in bytes.
#[derive(Default)]
pub(crate) struct Shrunk {
    /// Bytes given back.
    pub file_bytes: u64,
    /// The new size of the file.
    pub file_size: u64,
    /// Free bytes of the file and its log that are still in use by others.
    pub held_bytes: u64,
}

/// Progress.
pub(crate) enum Shrinking {
    /// Bytes of pages given back, and the total.
    Pages { done: u64, total: u64 },
    /// The write-ahead log is copied into the file and emptied.
    Log,
}

/// Pages removed in one transaction, unless they do not fit below the ceiling.
const VACUUM_PAGES: u32 = 1024;
/// Pauses between attempts to empty the log, during which short reads end.
const PAUSES_MS: [u64; 6] = [0, 1, 2, 5, 10, 20];

impl Group {
    /// Removes free pages from the end of the file and empties the log, in short steps between which
    /// others can write. Leaves what others still need, and waits for them only if the log reaches its
    /// limit.
    pub fn shrink_file(&self, location: &FileLocation, progress: &mut dyn FnMut(Shrinking)) -> Result<Shrunk> {
        let on_disk = length(&location.path);
        let before = self.sizes(location)?;
        let vacuumed = self.vacuum(location, &mut |left| {
            let done = before.free.saturating_sub(left.saturating_mul(before.page));
            let [done, total] = [done, before.free].map(unsigned);
            progress(Shrinking::Pages { done, total });
        })?;
        progress(Shrinking::Log);
        let truncated = self.empty_log(location)?;
        let after = self.sizes(location)?;
        let (before, size) = (unsigned(before.bytes), unsigned(after.bytes));
        let mut shrunk = Shrunk {
            file_bytes: before.saturating_sub(size),
            file_size: size,
            held_bytes: 0,
        };
        if !truncated {
            // Without a complete checkpoint, the file is longer than its last commit says.
            shrunk.file_size = length(&location.path).max(size);
            shrunk.file_bytes = on_disk.saturating_sub(shrunk.file_size);
            shrunk.held_bytes = shrunk.file_size - size + location.log_size();
        }
        if !vacuumed {
            shrunk.held_bytes += unsigned(after.free);
        }
        Ok(shrunk)
    }

    fn sizes(&self, location: &FileLocation) -> Result<FileSizes> {
        self.maintain(location.deadline(), file_sizes)
    }

    /// Removes free pages from the end of the file, in steps; false if somebody was in the way.
    fn vacuum(&self, location: &FileLocation, progress: &mut dyn FnMut(i64)) -> Result<bool> {
        let (mut left, mut step) = (i64::MAX, VACUUM_PAGES);
        let in_the_way = |error| match error {
            Error::Busy { .. } | Error::LogHeld(_) | Error::FileFull { .. } => Ok(false),
            error => Err(location.with_path(error)),
        };
        loop {
            let deadline = location.deadline();
            if let Err(error) = self.maintain(deadline, |conn| deadline.retry(|| allow_vacuum(conn))) {
                return in_the_way(error);
            }
            let free = match self.transaction(deadline, |conn| vacuum_some(conn, step)) {
                Ok(free) => free,
                // The log may have room for fewer pages.
                Err(Error::FileFull { .. }) if step > 1 => {
                    step /= 4;
                    continue;
                }
                Err(error) => return in_the_way(error),
            };
            // The file cannot shrink.
            if free == 0 || free >= left {
                return Ok(true);
            }
            left = free;
            progress(left);
        }
    }

    /// Copies the log into the file and empties it; false if somebody needs it.
    pub fn empty_log(&self, location: &FileLocation) -> Result<bool> {
        match self.await_checkpoint(location.deadline()) {
            Err(Error::Busy { .. }) => return Ok(false),
            waited => waited?,
        }
        let mut conn = location.connect(Access::Write)?;
        for pause in PAUSES_MS {
            std::thread::sleep(Duration::from_millis(pause));
            // Copy most of it while others can write.
            checkpoint::copy(&mut conn)?;
            match self.maintain(location.deadline(), truncate_log) {
                Ok(true) => return Ok(true),
                Ok(false) | Err(Error::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
