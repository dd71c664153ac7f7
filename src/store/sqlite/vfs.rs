//! How the writer's files are written.
//!
//! SQLite asks the system for little at a time. So the writer opens its file through a
//! [virtual file system] that is SQLite's own but for two things: a commit is written to the
//! log as one (see [`log`]), and files grow in large parts (see [`grow`]).
//!
//! [virtual file system]: https://sqlite.org/vfs.html
#![allow(unsafe_code, reason = "SQLite calls its files through C")]

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use libsqlite3_sys as ffi;

pub(in crate::store) use self::file::DatabaseFile;
pub(in crate::store) use self::log::Log;
pub(in crate::store) use self::unlogged::{has_been_opened, has_no_log, unlogged_file_system};

mod file;
mod grow;
mod held;
mod log;
mod unlogged;

/// So many bytes are written at most at once: the largest page, and so the most that SQLite
/// itself writes at once. Its own file systems need not be able to write more.
const MOST: usize = 64 * 1024;
const NAME: &CStr = c"heapledger";

/// SQLite's own file system, once ours is registered.
static REAL: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// Of logs, once one was opened.
static LOG: OnceLock<Methods> = OnceLock::new();
/// Of databases that are read without a log.
static UNLOGGED: OnceLock<Methods> = OnceLock::new();
/// Of databases.
static DATABASE: OnceLock<Methods> = OnceLock::new();

/// How files of one kind are read and written.
struct Methods {
    /// Where SQLite keeps its own, as a number: it is only compared.
    address: usize,
    real: ffi::sqlite3_io_methods,
    own: ffi::sqlite3_io_methods,
}

/// The name of the file system, if SQLite has taken it in.
pub(in crate::store) fn file_system() -> Option<&'static str> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(register);
    registered.then(|| NAME.to_str().ok()).flatten()
}

/// Bytes of the longest path of a file that SQLite opens, `-journal` and the like included.
pub(in crate::store) fn longest_path() -> usize {
    // SAFETY: without a name it is the default file system, or null. It is never freed.
    let real = unsafe { ffi::sqlite3_vfs_find(ptr::null()).as_ref() };
    real.and_then(|real| usize::try_from(real.mxPathname).ok())
        .unwrap_or(usize::MAX)
}

fn register() -> bool {
    // SAFETY: without a name it is the default file system, or null. It is never freed.
    REAL.store(unsafe { ffi::sqlite3_vfs_find(ptr::null()) }, Ordering::Release);
    register_as(NAME, open)
}

type Open =
    unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, *mut ffi::sqlite3_file, c_int, *mut c_int) -> c_int;

/// Registers a file system that is SQLite's own but for how it opens files.
fn register_as(name: &'static CStr, open: Open) -> bool {
    // SAFETY: it is null or a file system that is never freed. SQLite only changes the link
    // to the next of its file systems in it, which is not taken over.
    let Some(copied) = (unsafe { REAL.load(Ordering::Acquire).as_ref() }).copied() else {
        return false;
    };
    let own = Box::new(ffi::sqlite3_vfs {
        pNext: ptr::null_mut(),
        zName: name.as_ptr(),
        xOpen: Some(open),
        ..copied
    });
    // SAFETY: it is leaked, as SQLite goes on using it. All its functions but `open` are
    // those of the file system it was copied from, with the data these want.
    unsafe { ffi::sqlite3_vfs_register(Box::leak(own), 0) == ffi::SQLITE_OK }
}

/// Opens a file as SQLite's own file system does, and takes the place of some of its
/// functions if it is a log or a database.
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
    if code == ffi::SQLITE_OK {
        if flags & ffi::SQLITE_OPEN_WAL != 0 {
            // SAFETY: the file is open, so that its methods are set.
            unsafe { replace_methods(file, &LOG, log::methods) };
        } else if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
            // SAFETY: as above.
            unsafe { replace_methods(file, &DATABASE, grow::methods) };
        }
    }
    code
}

/// Whether the file has its own methods now.
///
/// # Safety
/// `file` was opened by SQLite's own file system, and all whose methods are `kind` have
/// those that `own` makes.
unsafe fn replace_methods(
    file: *mut ffi::sqlite3_file,
    kind: &'static OnceLock<Methods>,
    own: fn(ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods,
) -> bool {
    // SAFETY: an open file points to its methods, or to none.
    let Some(real) = (unsafe { (*file).pMethods.as_ref() }) else {
        return false;
    };
    let methods = kind.get_or_init(|| Methods {
        address: ptr::from_ref(real).addr(),
        real: *real,
        own: own(*real),
    });
    // A file with other functions than the first of its kind goes without.
    let is_of_kind = methods.address == ptr::from_ref(real).addr();
    if is_of_kind {
        // SAFETY: the functions are those of this file but for some, which call them. They
        // live as long as the program.
        unsafe { (*file).pMethods = &raw const methods.own };
    }
    is_of_kind
}

/// Calls SQLite's own function for a file of a kind.
macro_rules! real {
    ($kind:expr, $method:ident($($argument:expr),*)) => {
        match $kind.get().and_then(|methods| methods.real.$method) {
            // SAFETY: only a file whose functions were replaced gets here: it is open and
            // was opened by the file system to which this function belongs. The other
            // arguments are those SQLite gave, or are those of a slice.
            Some(method) => unsafe { method($($argument),*) },
            None => ffi::SQLITE_IOERR,
        }
    };
}
use real;

#[cfg(test)]
mod tests;
