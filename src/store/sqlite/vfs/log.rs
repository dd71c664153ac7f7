//! Gathers what a commit appends to the write-ahead log, and writes it in one piece.
//!
//! The difference is invisible. Bytes are held back only during the COMMIT, and a commit becomes
//! valid by its last page, whose header has the new size of the file: when SQLite has written that
//! page, this page and everything before it has been passed to the system. Only then does SQLite
//! sync the log, or let other connections see the commit. SQLite does not take anything after the
//! last commit for a commit, be it zeros or an earlier log.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};

use diesel::result::{DatabaseErrorKind, Error, QueryResult};
use libsqlite3_sys as ffi;

use super::bound::{GATHERED, check_write};
use super::held::{Held, describes_page, is_cut_short};
use super::methods::{LOG, real};

thread_local! {
    /// What this thread's commit has appended but not yet written.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// A log with gathered commits.
pub(in crate::store) struct GatheredLog {
    /// Bytes of it in use after the last commit; 0 if unknown.
    pub length: u64,
    /// Bytes at which no further transaction begins.
    pub limit: u64,
    pub(super) buffer: Vec<u8>,
}

impl GatheredLog {
    pub fn new(limit: u64) -> Self {
        Self {
            length: 0,
            limit,
            buffer: Vec::new(),
        }
    }

    /// Runs a COMMIT, and gathers its writes to the log.
    pub fn commit<R>(&mut self, commit: impl FnOnce() -> QueryResult<R>) -> QueryResult<R> {
        HELD.set(Some(Held::new(
            std::mem::take(&mut self.buffer),
            self.length,
            self.limit,
        )));
        let scope = Gathering { log: self };
        let result = commit();
        // A successful commit leaves nothing to write; the rest of a failed one is discarded.
        if result.is_ok() && write_held().is_err() {
            let message = Box::new("the write-ahead log could not be written".to_owned());
            return Err(Error::DatabaseError(DatabaseErrorKind::Unknown, message));
        }
        if result.is_err() && with_held(|held| held.is_cut_short) == Some(true) {
            let message = Box::new(CUT_SHORT.to_owned());
            return Err(Error::DatabaseError(DatabaseErrorKind::Unknown, message));
        }
        drop(scope);
        result
    }
}

/// The message about a truncated log.
pub(in crate::store) const CUT_SHORT: &str = "another program cut the write-ahead log short while it was in use, and what was in it is \
                         lost; nothing was written: close the heap everywhere, open it again, and check it";

/// Ends the gathering, even after a panic, and keeps the buffer for the next commit.
struct Gathering<'l> {
    log: &'l mut GatheredLog,
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        if let Some(held) = HELD.take() {
            self.log.length = held.committed.unwrap_or(self.log.length);
            self.log.buffer = held.bytes;
            self.log.buffer.clear();
        }
    }
}

/// Writes the bytes that this thread holds back, if any.
fn write_held() -> Result<(), c_int> {
    with_held(Held::write).unwrap_or(Ok(()))
}

/// Runs `work` if this thread runs a commit.
pub(super) fn with_held<R>(work: impl FnOnce(&mut Held) -> R) -> Option<R> {
    // An ending thread may close its connections after its thread-locals are destroyed.
    let result = HELD.try_with(|held| held.try_borrow_mut().ok()?.as_mut().map(work));
    result.ok().flatten()
}

/// Writes the held bytes, then calls SQLite's own function, which must see them.
macro_rules! after_held {
    ($method:ident($($argument:expr),*)) => {
        match write_held() {
            Ok(()) => real!(LOG, $method($($argument),*)),
            Err(code) => code,
        }
    };
}

/// The functions that differ for a log.
pub(super) fn methods(real: ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods {
    ffi::sqlite3_io_methods {
        xRead: Some(read),
        xWrite: Some(write),
        xTruncate: Some(truncate),
        xSync: Some(sync),
        xFileSize: Some(file_size),
        ..real
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, data: *const c_void, count: c_int, at: i64) -> c_int {
    let append = |held: &mut Held| {
        // SAFETY: `data` points to `count` bytes, which nobody changes during this call.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast(), usize::try_from(count).ok()?) };
        (!held.is_done()).then(|| held.append(file, bytes, at))
    };
    match with_held(append).flatten() {
        Some(Ok(())) => ffi::SQLITE_OK,
        Some(Err(code)) => code,
        // The page that follows is placed after this header.
        None if describes_page(count) && is_cut_short(file, at) => ffi::SQLITE_IOERR_WRITE,
        // SAFETY: as above.
        None => match unsafe { check_write(GATHERED, file, data, count, at) } {
            Ok(()) => real!(LOG, xWrite(file, data, count, at)),
            Err(code) => code,
        },
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, data: *mut c_void, count: c_int, at: i64) -> c_int {
    after_held!(xRead(file, data, count, at))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    after_held!(xTruncate(file, size))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    after_held!(xSync(file, flags))
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    after_held!(xFileSize(file, size))
}
