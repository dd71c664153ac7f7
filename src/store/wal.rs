//! Gathers what a commit appends to the write-ahead log, and writes it at once; and makes
//! the log longer in large steps.
//!
//! SQLite asks the system twice for each page of a commit: for 24 bytes that describe the
//! page, and for the page. One small object changes a dozen pages, and these calls were a
//! third of what it cost to put it. So the writer opens its file through a [virtual file
//! system] that is SQLite's own but for one thing: while [`Log::at_once`] runs a COMMIT, what
//! follows one another in the log goes to the system as one.
//!
//! Nobody can tell the difference. Bytes are held back only within the COMMIT, and the
//! commit is made by its last page, whose description says how large the file is now: when
//! SQLite has written that page, it and everything before it is with the system. Only then
//! does SQLite sync the log, or tell other connections of the commit. What lies behind the
//! last commit SQLite does not take for one, be it zeros or an earlier log.
//!
//! [virtual file system]: https://sqlite.org/vfs.html
#![allow(unsafe_code, reason = "SQLite calls its files through C")]

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use diesel::result::{DatabaseErrorKind, Error, QueryResult};
use libsqlite3_sys as ffi;

use self::held::Held;

mod held;

/// So many bytes are held back at most: the largest page, and so the most that SQLite
/// itself writes at once. Its own file systems need not be able to write more.
const MOST: usize = 64 * 1024;
/// So many bytes of zeros are written at most behind the log, for commits to come.
const ROOM: i64 = 1024 * 1024;
static ZEROS: [u8; MOST] = [0; MOST];
const NAME: &CStr = c"heapledger";

thread_local! {
    /// What the commit that this thread runs has appended and not yet written.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// SQLite's own file system, once ours is registered.
static REAL: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());
/// How logs are read and written, once one was opened.
static METHODS: OnceLock<Methods> = OnceLock::new();

struct Methods {
    /// Where SQLite keeps its own, as a number: it is only compared.
    address: usize,
    real: ffi::sqlite3_io_methods,
    own: ffi::sqlite3_io_methods,
}

/// The name of the file system, if SQLite has taken it in.
pub(super) fn file_system() -> Option<&'static str> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(register);
    registered.then(|| NAME.to_str().ok()).flatten()
}

/// The log of the connection that writes.
#[derive(Default)]
pub(super) struct Log {
    /// Bytes of it that were in use after the last commit; 0 if that is not known.
    pub length: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// Runs `commit`, whose writes to the log are gathered.
    pub fn at_once<R>(&mut self, commit: impl FnOnce() -> QueryResult<R>) -> QueryResult<R> {
        HELD.set(Some(Held::new(std::mem::take(&mut self.buffer), self.length)));
        let scope = Scope { log: self };
        let result = commit();
        // A commit leaves nothing; what a failed one leaves is not wanted.
        if result.is_ok() && write_held() != ffi::SQLITE_OK {
            let message = Box::new("the write-ahead log could not be written".to_owned());
            return Err(Error::DatabaseError(DatabaseErrorKind::Unknown, message));
        }
        drop(scope);
        result
    }
}

/// Ends the gathering, even by a panic, and keeps the buffer for the next.
struct Scope<'l> {
    log: &'l mut Log,
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        if let Some(held) = HELD.take() {
            self.log.length = held.committed.unwrap_or(self.log.length);
            self.log.buffer = held.bytes;
            self.log.buffer.clear();
        }
    }
}

/// Writes what this thread holds back, if anything.
fn write_held() -> c_int {
    with_held(Held::write).unwrap_or(ffi::SQLITE_OK)
}

/// What `work` returns, if this thread runs a commit.
fn with_held<R>(work: impl FnOnce(&mut Held) -> R) -> Option<R> {
    // A thread that ends may close its connections after its variables are gone.
    let result = HELD.try_with(|held| held.try_borrow_mut().ok()?.as_mut().map(work));
    result.ok().flatten()
}

fn register() -> bool {
    // SAFETY: without a name it is the default file system, or null. It is never freed.
    let real = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    // SAFETY: SQLite only changes the link to the next of its file systems in it, which
    // is not taken over.
    let Some(copied) = (unsafe { real.as_ref() }).copied() else {
        return false;
    };
    REAL.store(real, Ordering::Release);
    let own = Box::new(ffi::sqlite3_vfs {
        pNext: ptr::null_mut(),
        zName: NAME.as_ptr(),
        xOpen: Some(open),
        ..copied
    });
    // SAFETY: it is leaked, as SQLite goes on using it. All its functions but `open` are
    // those of the file system it was copied from, with the data these want.
    unsafe { ffi::sqlite3_vfs_register(Box::leak(own), 0) == ffi::SQLITE_OK }
}

/// Opens a file as SQLite's own file system does, and takes the place of its functions if
/// it is a log.
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let real = REAL.load(Ordering::Acquire);
    // SAFETY: `register` stored it before it made this function known, and it is never freed.
    let Some(real_open) = (unsafe { (*real).xOpen }) else {
        return ffi::SQLITE_CANTOPEN;
    };
    // SAFETY: these are the arguments SQLite gave, and `file` has the room that the real
    // file system asks for, whose szOsFile was copied.
    let code = unsafe { real_open(real, name, file, flags, out_flags) };
    if code == ffi::SQLITE_OK && flags & ffi::SQLITE_OPEN_WAL != 0 {
        // SAFETY: the file is open, so that its methods are set.
        unsafe { replace_methods(file) };
    }
    code
}

/// # Safety
/// `file` was opened by SQLite's own file system.
unsafe fn replace_methods(file: *mut ffi::sqlite3_file) {
    // SAFETY: an open file points to its methods, or to none.
    let Some(real) = (unsafe { (*file).pMethods.as_ref() }) else {
        return;
    };
    let methods = METHODS.get_or_init(|| Methods {
        address: ptr::from_ref(real).addr(),
        real: *real,
        own: ffi::sqlite3_io_methods {
            xRead: Some(read),
            xWrite: Some(write),
            xTruncate: Some(truncate),
            xSync: Some(sync),
            xFileSize: Some(file_size),
            ..*real
        },
    });
    // A log with other functions than the first goes without.
    if methods.address == ptr::from_ref(real).addr() {
        // SAFETY: the functions are those of this file but for five, which call them. They
        // live as long as the program.
        unsafe { (*file).pMethods = &raw const methods.own };
    }
}

/// Calls SQLite's own function for a log.
macro_rules! real {
    ($method:ident($($argument:expr),*)) => {
        match METHODS.get().and_then(|methods| methods.real.$method) {
            // SAFETY: only a log whose functions were replaced gets here: it is open and
            // was opened by the file system to which this function belongs. The other
            // arguments are those SQLite gave, or are those of a slice.
            Some(method) => unsafe { method($($argument),*) },
            None => ffi::SQLITE_IOERR,
        }
    };
}

/// Calls SQLite's own function after what is held back, which it must see.
macro_rules! after_held {
    ($method:ident($($argument:expr),*)) => {
        match write_held() {
            ffi::SQLITE_OK => real!($method($($argument),*)),
            code => code,
        }
    };
}

fn real_write(file: *mut ffi::sqlite3_file, bytes: &[u8], at: i64) -> c_int {
    match c_int::try_from(bytes.len()) {
        Ok(count) => real!(xWrite(file, bytes.as_ptr().cast(), count, at)),
        Err(_) => ffi::SQLITE_IOERR_WRITE,
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, data: *const c_void, count: c_int, at: i64) -> c_int {
    let append = |held: &mut Held| {
        // SAFETY: SQLite gives so many bytes, which nobody changes while it waits.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast(), usize::try_from(count).ok()?) };
        (!held.is_done()).then(|| held.append(file, bytes, at))
    };
    with_held(append)
        .flatten()
        .unwrap_or_else(|| real!(xWrite(file, data, count, at)))
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

/// Writes zeros where a small commit will make the log longer, and behind it: this and
/// the next ones only overwrite them. A sync takes twice as long when the file has grown,
/// because the file system must note where the new bytes are; and the system keeps what is
/// written in large parts in large parts, with which it is quicker from then on. What fails
/// here is not needed. (PostgreSQL fills its log so, too: `wal_init_zero`.)
fn make_room(file: *mut ffi::sqlite3_file, end: i64) {
    let mut size = 0;
    let known = real!(xFileSize(file, &raw mut size)) == ffi::SQLITE_OK;
    if !known || size >= end {
        return;
    }
    // By as much as there is: of a log that stays short, little is filled.
    let until = end.saturating_add(size.min(ROOM));
    while size < until {
        let within = size.unsigned_abs() % MOST as u64;
        let zeros = ZEROS.get(within as usize..).unwrap_or_default();
        if real_write(file, zeros, size) != ffi::SQLITE_OK {
            return;
        }
        size += zeros.len() as i64;
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    after_held!(xFileSize(file, size))
}

#[cfg(test)]
mod tests;
