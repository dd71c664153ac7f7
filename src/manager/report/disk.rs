//! What the heap takes on disk.

use serde::Serialize;

use crate::error::{LogHolder, Result};
use crate::manager::objects::parts::part_below;
use crate::manager::{MemManager, unsigned};
use crate::models::MemRam;
use crate::store::{FileSizes, OnDisk, ReadTx, queries, reserve};

/// What the heap takes on disk with all its spaces, and how much more fits. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DiskUse {
    /// Whether the heap is on a server. Then `file_size` is what its tables and indexes take there; it has
    /// no ceiling, no log of its own, and its free pages are not known.
    pub on_server: bool,
    /// The ceiling of everything on disk, if there is one; see [`MemManager::set_max_file`].
    pub max_file: Option<u64>,
    /// Bytes of the ceiling that only work that makes room may use; 0 without a ceiling.
    pub reserve: u64,
    /// The file, as it is or as it will be once the log is copied into it.
    pub file_size: u64,
    /// The write-ahead log next to it.
    pub wal_size: u64,
    /// The index of the log.
    pub shm_size: u64,
    /// Free pages of the file, which are used before it grows.
    pub free_file_bytes: u64,
    /// Bytes of the file for each byte stored now, without free pages and what an empty heap takes;
    /// `None` when nothing is stored.
    pub file_bytes_per_stored_byte: Option<f64>,
    /// Bytes of content that still fit below the ceiling, if they take as many bytes of the file as what
    /// is stored now: an estimate. While little is stored, it assumes objects of a few kilobytes. `None` without a
    /// ceiling.
    pub fits_estimated: Option<u64>,
}

/// One of the two bounds of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The capacity of the space, in bytes of content.
    #[default]
    MaxMem,
    /// The ceiling of the file, in bytes on disk.
    MaxFile,
}

/// Pages of a heap in which nothing was ever stored.
const EMPTY_PAGES: i64 = 65;
/// Bytes of the file per byte of content, of objects of a few kilobytes.
const USUAL_RATIO: f64 = 1.25;
/// An estimate assumes this many bytes of usual content in addition to what is stored, because a few small
/// objects say little about what will be stored.
const USUAL_BYTES: f64 = 256.0 * 1024.0;

impl DiskUse {
    /// The bytes of the files together.
    pub fn total(&self) -> u64 {
        self.file_size
            .saturating_add(self.wal_size)
            .saturating_add(self.shm_size)
    }

    /// Which bound more content reaches first if `available` bytes of the space are left.
    pub fn first_bound(&self, available: u64) -> Bound {
        Bound::first(available, self.fits_estimated)
    }
}

impl Bound {
    pub(in crate::manager) fn first(available: u64, fits_in_file: Option<u64>) -> Self {
        match fits_in_file {
            Some(fits) if fits < available => Self::MaxFile,
            _ => Self::MaxMem,
        }
    }
}

impl MemManager {
    /// What the heap takes on disk, and how much more fits below its ceiling. O(spaces).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn disk_use(&self) -> Result<DiskUse> {
        let location = &self.inner.location;
        self.inner.readers.snapshot(|tx| disk_use(tx, location.on_disk()))
    }

    /// The processes that read from the write-ahead log at this moment, each of which keeps it from starting again
    /// while it reads. Other processes are found only on Linux; on a server, none are found. O(locks of the system).
    pub fn log_holders(&self) -> Vec<LogHolder> {
        self.inner.location.log_holders()
    }
}

/// The same in a read; `files` are the lengths of the files.
pub(in crate::manager) fn disk_use(tx: &mut ReadTx<'_>, files: OnDisk) -> Result<DiskUse> {
    let max_file = tx.max_file()?;
    let FileSizes { bytes, free, page } = tx.file_sizes()?;
    let stored: u64 = queries::spaces::all(tx)?.iter().map(|space: &MemRam| space.mem).sum();
    let files = files.with_file(bytes);
    let in_use = unsigned(bytes - free - EMPTY_PAGES * page) as f64;
    let ratio = |in_use: f64, stored: f64| (in_use / stored).max(1.0);
    let expected = ratio(in_use + USUAL_RATIO * USUAL_BYTES, stored as f64 + USUAL_BYTES);
    let reserve = max_file.map_or(0, reserve);
    Ok(DiskUse {
        on_server: tx.is_on_server(),
        max_file,
        reserve,
        file_size: files.file,
        wal_size: files.log,
        shm_size: files.index,
        free_file_bytes: unsigned(free),
        file_bytes_per_stored_byte: (stored > 0).then(|| ratio(in_use, stored as f64)),
        fits_estimated: max_file.map(|max_file| {
            // The log counts as empty.
            let taken = unsigned(bytes - free) + files.index + reserve;
            let room = max_file.saturating_sub(taken);
            fits(room, part_below(max_file.into()) as u64, expected)
        }),
    })
}

/// Bytes of content for which there is room, both in the file and, up to `part` at a time, in the log.
fn fits(room: u64, part: u64, ratio: f64) -> u64 {
    let in_file = (room / 2).max(room.saturating_sub(part));
    (in_file as f64 / ratio) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_heap_has_the_pages_that_the_estimate_leaves_out() {
        let folder = tempfile::tempdir().unwrap();
        let memory = MemManager::open(folder.path().join("heap.db")).unwrap();
        let page = memory.space_report().unwrap().page_size;
        assert_eq!(memory.disk_use().unwrap().file_size, unsigned(EMPTY_PAGES) * page);
    }
}
