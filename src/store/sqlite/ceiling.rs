//! The ceiling of what a heap takes on disk: the file, its log, and the index of the log.
//!
//! Only whoever has the write lock makes any of them longer than the last commit implies, so
//! it is enough to check what is appended to the log: see [`super::vfs`]. All connections of a
//! process to one file share its ceiling.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use diesel::prelude::*;

use super::open_files::FileId;
use super::sidecar::sidecar;
use crate::error::{Error, Result};
use crate::models::schema::heap;
use crate::models::unsigned;
use crate::store::conn::{Conn, on_engine};
use crate::store::read::ReadTx;
use crate::store::sqlite::location::FileLocation;

/// The ceilings of the files that are open for writing.
static CEILINGS: Mutex<Vec<Weak<Ceiling>>> = Mutex::new(Vec::new());

thread_local! {
    /// Why the last statement of this thread was refused; SQLite only says that the disk is full.
    static REFUSED: Cell<Option<Refused>> = const { Cell::new(None) };
}

/// The ceiling of one heap file.
#[derive(Debug)]
pub(in crate::store) struct Ceiling {
    file: Option<FileId>,
    path: PathBuf,
    index: PathBuf,
    /// Bytes; [`NONE`] without a ceiling.
    max_file: AtomicU64,
    /// Bytes of it that the running transaction must leave free.
    kept: AtomicU64,
    /// Bytes that units of work of this process have set aside in temporary files.
    spooled: AtomicU64,
}

const NONE: u64 = u64::MAX;

/// The lowest ceiling, in bytes. A new heap takes about a fifth of it.
pub(crate) const LEAST: u64 = 1024 * 1024;

/// Bytes of the smallest and of the largest reserve.
const LEAST_RESERVE: u64 = 256 * 1024;
const MOST_RESERVE: u64 = 16 * 1024 * 1024;

/// Bytes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OnDisk {
    /// The file, as it is or as it will be once the log is copied into it.
    pub file: u64,
    /// The log.
    pub log: u64,
    /// The index of the log.
    pub index: u64,
    /// Temporary files next to the heap.
    pub spooled: u64,
}

impl OnDisk {
    /// The lengths of the files of a heap.
    pub fn of(path: &Path) -> Self {
        Self {
            file: length(path),
            log: length(&sidecar(path, "-wal")),
            index: length(&sidecar(path, "-shm")),
            spooled: 0,
        }
    }

    /// What it will be once the log is copied into a file of `bytes`.
    pub fn with_file(self, bytes: i64) -> Self {
        let file = self.file.max(unsigned(bytes));
        Self { file, ..self }
    }

    pub fn total(self) -> u64 {
        self.file.saturating_add(self.without_file())
    }

    /// All but the log.
    pub fn without_log(self) -> u64 {
        self.total() - self.log
    }

    /// All but the file.
    pub fn without_file(self) -> u64 {
        self.log.saturating_add(self.index).saturating_add(self.spooled)
    }

    /// The error for a write that `needed` this many more bytes.
    pub fn full(self, needed: u64, reserve: u64, max_file: u64) -> Error {
        Error::FileFull {
            needed,
            file: self.file,
            log: self.without_file(),
            reserve,
            max_file,
        }
    }
}

/// What was refused.
#[derive(Debug, Clone, Copy)]
struct Refused {
    now: OnDisk,
    needed: u64,
    reserve: u64,
    max_file: u64,
}

impl Ceiling {
    /// The ceiling of the file at `path`, which exists.
    pub fn of(path: &Path) -> Arc<Self> {
        let file = FileId::of(path);
        let mut ceilings = CEILINGS.lock().unwrap_or_else(PoisonError::into_inner);
        ceilings.retain(|ceiling| ceiling.strong_count() > 0);
        let known = ceilings.iter().filter_map(Weak::upgrade).find(|known| match file {
            Some(_) => known.file == file,
            None => known.path == path,
        });
        known.unwrap_or_else(|| {
            let made = Arc::new(Self {
                file,
                path: path.to_owned(),
                index: sidecar(path, "-shm"),
                max_file: AtomicU64::new(NONE),
                kept: AtomicU64::new(0),
                spooled: AtomicU64::new(0),
            });
            ceilings.push(Arc::downgrade(&made));
            made
        })
    }

    /// Sets it to what the file says.
    pub fn read(&self, tx: &mut ReadTx<'_>) -> Result<()> {
        self.set(tx.max_file()?);
        Ok(())
    }

    /// Sets it, in bytes.
    pub fn set(&self, max_file: Option<u64>) {
        self.max_file.store(max_file.unwrap_or(NONE), Ordering::Relaxed);
    }

    pub fn max_file(&self) -> Option<u64> {
        Some(self.max_file.load(Ordering::Relaxed)).filter(|&max_file| max_file != NONE)
    }

    /// Whether the running transaction must leave the reserve free. Called by whoever has the write
    /// lock.
    pub fn keep_reserve(&self, keep: bool) {
        let reserve = self.max_file().filter(|_| keep).map_or(0, reserve);
        self.kept.store(reserve, Ordering::Relaxed);
    }

    /// Bytes that the files may take together, if they take this `now`.
    ///
    /// Half of the reserve is only for the log, so if a file is larger than the rest, another program
    /// made it so. Then what makes room may use this half on top of the current size.
    pub fn limit(&self, now: OnDisk) -> u64 {
        let max_file = self.max_file.load(Ordering::Relaxed);
        match self.kept.load(Ordering::Relaxed) {
            0 => max_file.max(now.without_log().saturating_add(reserve(max_file) / 2)),
            kept => max_file.saturating_sub(kept),
        }
    }

    /// Whether the running transaction may make the files this long `then`.
    pub fn allows(&self, now: OnDisk, then: OnDisk) -> bool {
        let max_file = self.max_file.load(Ordering::Relaxed);
        let most = max_file.saturating_sub(reserve(max_file) / 2).max(now.without_log());
        then == now || (then.total() <= self.limit(now) && then.without_log() <= most)
    }

    /// The lengths of the files.
    pub fn on_disk(&self) -> OnDisk {
        OnDisk {
            spooled: self.spooled(),
            ..OnDisk::of(&self.path)
        }
    }

    /// Bytes that units of work have set aside.
    pub fn spooled(&self) -> u64 {
        self.spooled.load(Ordering::Relaxed)
    }

    /// Counts bytes that are set aside.
    pub fn spool(&self, bytes: u64) {
        self.spooled.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that are no longer set aside.
    pub fn unspool(&self, bytes: u64) {
        self.spooled.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes of the index of the log.
    pub fn index_length(&self) -> u64 {
        length(&self.index)
    }

    /// Remembers why a write was refused that would have made the files longer than they are
    /// `now`.
    pub fn refuse(&self, now: OnDisk, then: OnDisk) {
        let max_file = self.max_file.load(Ordering::Relaxed);
        REFUSED.set(Some(Refused {
            now,
            needed: then.total().saturating_sub(now.total()),
            reserve: match self.kept.load(Ordering::Relaxed) {
                0 if then.total() <= self.limit(now) => reserve(max_file) / 2,
                kept => kept,
            },
            max_file,
        }));
    }
}

/// Bytes of a ceiling that only what makes room may use: a sixteenth, at least 256 KiB and at most
/// 16 MiB.
pub(crate) fn reserve(max_file: u64) -> u64 {
    (max_file / 16).clamp(LEAST_RESERVE, MOST_RESERVE)
}

/// The lowest ceiling of a heap with this much on disk, in bytes.
pub(crate) fn least_ceiling(on_disk: u64) -> u64 {
    let with_least = on_disk.saturating_add(LEAST_RESERVE);
    let with_share = on_disk.saturating_add(on_disk / 15 + 1);
    let with_most = on_disk.saturating_add(MOST_RESERVE);
    with_share.clamp(with_least, with_most).max(LEAST)
}

impl ReadTx<'_> {
    /// The ceiling of the file, in bytes.
    pub fn max_file(&mut self) -> Result<Option<u64>> {
        let query = heap::table.find(1).select(heap::max_file);
        let max_file: Option<Option<i64>> = on_engine!(self, |conn| query.get_result(conn).optional()?);
        Ok(max_file.flatten().map(unsigned))
    }
}

impl FileLocation {
    /// Bounds what is written to the file by the ceiling that it has, with or without the reserve.
    pub(in crate::store) fn bound_by_file(&self, conn: &mut Conn, keep_reserve: bool) -> Result<()> {
        let ceiling = Ceiling::of(&self.path);
        ceiling.read(&mut ReadTx::new(conn))?;
        ceiling.keep_reserve(keep_reserve);
        Ok(())
    }
}

/// Forgets earlier refusals of this thread.
pub(in crate::store) fn forget_refusal() {
    REFUSED.set(None);
}

/// The error for a write that this thread was refused; `None` if the disk itself is full.
pub(in crate::store) fn take_refusal() -> Option<Error> {
    let refused = REFUSED.take()?;
    Some(refused.now.full(refused.needed, refused.reserve, refused.max_file))
}

/// The length of a file, or 0 if there is none.
pub(super) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_ceiling_leaves_the_reserve() {
        for on_disk in [0, 500_000, 10 << 20, 300 << 20, 1 << 40] {
            let least = least_ceiling(on_disk);
            assert!(least - reserve(least) >= on_disk && least >= LEAST, "{on_disk}");
            let below = least - 2;
            assert!(below < LEAST || below - reserve(below) < on_disk, "{on_disk}");
        }
    }
}
