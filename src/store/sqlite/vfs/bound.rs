//! Refuses to write what would not fit under the ceiling of the heap.
//!
//! Everything that a heap has on disk grows with its log: a checkpoint makes the file only as
//! long as the log says, and the index has a part for each 4,096 pages of the log. So only what
//! is appended to the log is checked, before it is written: the sum of the file as it will be,
//! the log and its index must stay below the ceiling. SQLite appends to a log only with the
//! write lock, so nobody else appends at the same time. The same is true after a crash: the
//! checks count what recovery and the next checkpoint will write.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::path::PathBuf;
use std::ptr;
use std::sync::{Arc, OnceLock};

use libsqlite3_sys as ffi;

use super::held::{HEADER, describes_page};
use super::methods::{DATABASE, LOG, Methods, PLAIN_DATABASE, PLAIN_LOG, real};
use super::system::tail;
use crate::store::sqlite::ceiling::{Ceiling, OnDisk};

/// The functions of the files of one file system.
pub(super) struct Kind {
    database: &'static OnceLock<Methods>,
    log: &'static OnceLock<Methods>,
}

/// The files whose commits are gathered.
pub(super) const GATHERED: &Kind = &Kind {
    database: &DATABASE,
    log: &LOG,
};
/// The files that SQLite writes itself.
pub(super) const PLAIN: &Kind = &Kind {
    database: &PLAIN_DATABASE,
    log: &PLAIN_LOG,
};

/// What follows SQLite's own data of a file; all zeros in other files.
#[repr(C)]
pub(super) struct Tail {
    /// Of a database: its ceiling, from [`Arc::into_raw`].
    ceiling: *const Ceiling,
    /// Of a log: its database.
    database: *mut ffi::sqlite3_file,
}

/// Bytes at the start of a log.
const LOG_HEADER: i64 = 32;
/// Bytes of one part of the index.
const INDEX_PART: u64 = 32 * 1024;
/// Pages of the log that a part of the index describes; the first part also has a header.
const PAGES_OF_PART: u64 = 4096;
const PAGES_OF_FIRST_PART: u64 = 4062;

/// Called for a database that was just opened.
///
/// # Safety
/// `name` ends with NUL, and `file` was opened by one of our file systems.
pub(super) unsafe fn database_opened(name: *const c_char, file: *mut ffi::sqlite3_file) {
    // SAFETY: as above.
    let path = path_of(unsafe { CStr::from_ptr(name) });
    if let Some(path) = path {
        // SAFETY: each of our files has a tail, which only its own connection uses.
        unsafe { (*tail(file)).ceiling = Arc::into_raw(Ceiling::of(&path)) };
    }
}

/// Called for a log that was just opened.
///
/// # Safety
/// `name` and `file` are those that SQLite passed to one of our file systems.
pub(super) unsafe fn log_opened(name: *const c_char, file: *mut ffi::sqlite3_file) {
    // SAFETY: SQLite opens a log by a name that it made from that of the database, which stays open
    // longer than the log. The tail is as above.
    unsafe { (*tail(file)).database = ffi::sqlite3_database_file_object(name) };
}

/// Called when a database was closed.
pub(super) fn database_closed(file: *mut ffi::sqlite3_file) {
    // SAFETY: the memory of a closed file is freed later. SQLite does not touch the tail.
    let ceiling = unsafe { ptr::replace(&raw mut (*tail(file)).ceiling, ptr::null()) };
    if !ceiling.is_null() {
        // SAFETY: it comes from `into_raw`, and was removed from the tail.
        drop(unsafe { Arc::from_raw(ceiling) });
    }
}

pub(super) fn path_of(name: &CStr) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name.to_bytes());
        Some(name.into())
    }
    #[cfg(not(unix))]
    {
        let name: &OsStr = name.to_str().ok()?.as_ref();
        Some(name.into())
    }
}

/// Pages that a write appends to the log: up to which position, and for a database of how many
/// pages at least.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    pub at: i64,
    pub end: i64,
    pub pages: u32,
}

/// Fails with `SQLITE_FULL` if the log must not grow like this.
pub(super) fn check(kind: &Kind, log: *mut ffi::sqlite3_file, growth: Growth) -> Result<(), c_int> {
    let Some(bounded) = Bounded::of(kind, log) else {
        return Ok(());
    };
    let mut now = bounded.now();
    let left = bounded.ceiling.limit(now).saturating_sub(now.total());
    if growth.at == 0 && now.log > left {
        // Nobody needs the log that begins again here.
        real!(kind.log, xTruncate(log, 0));
        now = bounded.now();
    }
    let then = bounded.after(now, growth);
    if bounded.ceiling.allows(now, then) {
        return Ok(());
    }
    bounded.ceiling.refuse(now, then);
    Err(ffi::SQLITE_FULL)
}

/// Whether the log may grow like this only to save time later.
pub(super) fn has_room(kind: &Kind, log: *mut ffi::sqlite3_file, growth: Growth) -> bool {
    Bounded::of(kind, log).is_none_or(|bounded| {
        let now = bounded.now();
        bounded.ceiling.allows(now, bounded.after(now, growth))
    })
}

/// The same for a single write of SQLite: the header of the log, that of a page, or a page, which was
/// already checked with its header.
///
/// # Safety
/// `data` points to `count` bytes that nobody changes during this call.
pub(super) unsafe fn check_write(
    kind: &Kind,
    log: *mut ffi::sqlite3_file,
    data: *const c_void,
    count: c_int,
    at: i64,
) -> Result<(), c_int> {
    let pages = if describes_page(count) {
        // SAFETY: as above.
        pages_of(unsafe { std::slice::from_raw_parts(data.cast(), HEADER) })
    } else if at == 0 {
        0
    } else {
        return Ok(());
    };
    let Some(bounded) = Bounded::of(kind, log) else {
        return Ok(());
    };
    let page = if pages == 0 { 0 } else { bounded.page as i64 };
    let end = at + i64::from(count) + page;
    check(kind, log, Growth { at, end, pages })
}

/// Pages that a database has at least, by a frame header: the number of its page and, in the last
/// one of a commit, that of all pages (<https://sqlite.org/fileformat2.html#walformat>).
pub(super) fn pages_of(header: &[u8]) -> u32 {
    let number = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    };
    number(0).max(number(4))
}

/// A log whose heap has a ceiling.
struct Bounded<'l> {
    kind: &'l Kind,
    log: *mut ffi::sqlite3_file,
    database: *mut ffi::sqlite3_file,
    ceiling: &'l Ceiling,
    /// Bytes of a page.
    page: u64,
}

impl<'l> Bounded<'l> {
    fn of(kind: &'l Kind, log: *mut ffi::sqlite3_file) -> Option<Self> {
        // SAFETY: the tail of a log has a database that is open, whose tail has null or a ceiling that
        // is not dropped before that database is closed.
        let (database, ceiling) = unsafe {
            let database = (*tail(log)).database;
            if database.is_null() {
                return None;
            }
            (database, (*tail(database)).ceiling.as_ref()?)
        };
        ceiling.max_file()?;
        let page = page_size(kind, database);
        Some(Self {
            kind,
            log,
            database,
            ceiling,
            page,
        })
    }

    fn now(&self) -> OnDisk {
        let length = |methods: &'static OnceLock<Methods>, file| {
            let mut size = 0;
            real!(methods, xFileSize(file, &raw mut size));
            size.unsigned_abs()
        };
        // A checkpoint may be making the file this long.
        let committed = u64::from(self.committed_pages()) * self.page;
        OnDisk {
            file: length(self.kind.database, self.database).max(committed),
            log: length(self.kind.log, self.log),
            // Every connection makes the first part.
            index: self.ceiling.index_length().max(INDEX_PART),
            spooled: self.ceiling.spooled(),
        }
    }

    fn after(&self, now: OnDisk, growth: Growth) -> OnDisk {
        OnDisk {
            file: now.file.max(u64::from(growth.pages) * self.page),
            log: now.log.max(growth.end.unsigned_abs()),
            index: now.index.max(index_of(growth.end, self.page)),
            spooled: now.spooled,
        }
    }

    /// Pages of the database after the last commit, from the header of the index, which only
    /// whoever has the write lock changes (<https://sqlite.org/walformat.html#the_wal_index_header>).
    fn committed_pages(&self) -> u32 {
        let mut part = ptr::null_mut();
        let size = INDEX_PART as c_int;
        let code = real!(self.kind.database, xShmMap(self.database, 0, size, 0, &raw mut part));
        if code != ffi::SQLITE_OK || part.is_null() {
            return 0;
        }
        // SAFETY: the part has 32 KiB, and the number is at byte 20.
        unsafe { part.cast::<u32>().add(5).read_volatile() }
    }
}

/// Bytes of a page, from the header of a database.
fn page_size(kind: &Kind, database: *mut ffi::sqlite3_file) -> u64 {
    let mut size = [0; 2];
    real!(kind.database, xRead(database, size.as_mut_ptr().cast(), 2, 16));
    match u16::from_be_bytes(size) {
        // A database of which nothing is written yet.
        0 => 4096,
        1 => 65536,
        size => size.into(),
    }
}

/// Bytes of the index of a log of this length.
fn index_of(end: i64, page: u64) -> u64 {
    let pages = (end - LOG_HEADER).max(0).unsigned_abs() / (page + HEADER as u64);
    let parts = 1 + pages.saturating_sub(PAGES_OF_FIRST_PART).div_ceil(PAGES_OF_PART);
    let mapped = INDEX_PART.max(system_page());
    (parts * INDEX_PART).next_multiple_of(mapped)
}

fn system_page() -> u64 {
    #[cfg(unix)]
    {
        rustix::param::page_size() as u64
    }
    #[cfg(not(unix))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_has_a_part_for_each_4096_pages() {
        let of_pages = |pages: i64| index_of(LOG_HEADER + pages * (4096 + HEADER as i64), 4096) / INDEX_PART;
        assert_eq!([0, 1, 4062].map(of_pages), [1; 3]);
        assert_eq!([4063, 8158].map(of_pages), [2; 2]);
        assert_eq!(of_pages(8159), 3);
    }
}
