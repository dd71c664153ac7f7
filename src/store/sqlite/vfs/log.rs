//! Gathers what a commit appends to the write-ahead log, and writes it in one piece.
//!
//! Nobody can tell the difference. Bytes are held back only within the COMMIT, and the
//! commit is made by its last page, whose description says how large the file is now: when
//! SQLite has written that page, it and everything before it is with the system. Only then
//! does SQLite sync the log, or tell other connections of the commit. What lies behind the
//! last commit SQLite does not take for one, be it zeros or an earlier log.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};

use diesel::result::{DatabaseErrorKind, Error, QueryResult};
use libsqlite3_sys as ffi;

use super::held::{Held, describes_page, is_cut_short};
use super::methods::{LOG, real};

thread_local! {
    /// What the commit that this thread runs has appended and not yet written.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// A log whose commits are gathered.
#[derive(Default)]
pub(in crate::store) struct GatheredLog {
    /// Bytes of it that were in use after the last commit; 0 if that is not known.
    pub length: u64,
    pub(super) buffer: Vec<u8>,
}

impl GatheredLog {
    /// Runs a COMMIT, whose writes to the log are gathered.
    pub fn commit<R>(&mut self, commit: impl FnOnce() -> QueryResult<R>) -> QueryResult<R> {
        HELD.set(Some(Held::new(std::mem::take(&mut self.buffer), self.length)));
        let scope = Gathering { log: self };
        let result = commit();
        // A commit leaves nothing; what a failed one leaves is not wanted.
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

/// What is said of a log that ends before what was committed to it.
pub(in crate::store) const CUT_SHORT: &str = "another program cut the write-ahead log short while it was in use, and what was in it is \
                         lost; nothing was written: close the heap everywhere, open it again, and check it";

/// Ends the gathering, even by a panic, and keeps the buffer for the next.
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

/// Writes what this thread holds back, if anything.
fn write_held() -> Result<(), c_int> {
    with_held(Held::write).unwrap_or(Ok(()))
}

/// What `work` returns, if this thread runs a commit.
pub(super) fn with_held<R>(work: impl FnOnce(&mut Held) -> R) -> Option<R> {
    // A thread that ends may close its connections after its variables are gone.
    let result = HELD.try_with(|held| held.try_borrow_mut().ok()?.as_mut().map(work));
    result.ok().flatten()
}

/// Calls SQLite's own function after what is held back, which it must see.
macro_rules! after_held {
    ($method:ident($($argument:expr),*)) => {
        match write_held() {
            Ok(()) => real!(LOG, $method($($argument),*)),
            Err(code) => code,
        }
    };
}

/// What is different for a log.
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
        // SAFETY: `data` points to `count` bytes of SQLite's, which nobody changes while it waits.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast(), usize::try_from(count).ok()?) };
        (!held.is_done()).then(|| held.append(file, bytes, at))
    };
    match with_held(append).flatten() {
        Some(Ok(())) => ffi::SQLITE_OK,
        Some(Err(code)) => code,
        // The page that follows has its place from this.
        None if describes_page(count) && is_cut_short(file, at) => ffi::SQLITE_IOERR_WRITE,
        None => real!(LOG, xWrite(file, data, count, at)),
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
