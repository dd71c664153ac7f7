//! Registers file systems with SQLite that are its own but for some functions.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use libsqlite3_sys as ffi;

use super::methods::{DATABASE, LOG, replace_methods};
use super::{grow, log};

const NAME: &CStr = c"heapledger";

/// SQLite's own file system, once ours is registered.
static REAL: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// The name of the writer's file system, if SQLite has accepted it.
pub(in crate::store) fn file_system() -> Option<&'static str> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(|| {
        REAL.store(default_system(), Ordering::Release);
        register_as(NAME, open)
    });
    registered.then(|| NAME.to_str().ok()).flatten()
}

/// Bytes of the longest path of a file that SQLite opens, `-journal` and the like included.
pub(in crate::store) fn longest_path() -> usize {
    // SAFETY: null, or a file system that is never freed.
    let real = unsafe { default_system().as_ref() };
    real.and_then(|real| usize::try_from(real.mxPathname).ok())
        .unwrap_or(usize::MAX)
}

/// SQLite's own file system, or null. It is never freed. Initializes SQLite if need be.
pub(super) fn default_system() -> *mut ffi::sqlite3_vfs {
    // SAFETY: may be called at any time; a null name asks for the default.
    unsafe { ffi::sqlite3_vfs_find(ptr::null()) }
}

pub(super) type Open =
    unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, *mut ffi::sqlite3_file, c_int, *mut c_int) -> c_int;

/// Registers a file system that is SQLite's own but for how it opens files.
pub(super) fn register_as(name: &'static CStr, open: Open) -> bool {
    // SAFETY: it is null or a file system that is never freed. The only field that SQLite
    // changes in it is the link to the next one, which is replaced in the copy.
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

/// Opens a file as SQLite's own file system does.
///
/// # Safety
/// The arguments are those that SQLite gave to the `xOpen` of a file system that
/// [`register_as`] made.
pub(super) unsafe fn open_real(
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let real = REAL.load(Ordering::Acquire);
    // SAFETY: `REAL` was set before anything was registered, and is never freed.
    let Some(open) = (unsafe { real.as_ref() }).and_then(|real| real.xOpen) else {
        return ffi::SQLITE_CANTOPEN;
    };
    // SAFETY: the arguments are SQLite's own, and `file` has the room that this file system
    // asks for, because its `szOsFile` was copied.
    unsafe { open(real, name, file, flags, out_flags) }
}

/// Opens a file, and replaces some of its functions if it is a log or a database.
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with its arguments.
    let code = unsafe { open_real(name, file, flags, out_flags) };
    if code == ffi::SQLITE_OK {
        if flags & ffi::SQLITE_OPEN_WAL != 0 {
            // SAFETY: the file was opened above, as all logs are.
            unsafe { replace_methods(file, &LOG, log::methods) };
        } else if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
            // SAFETY: the file was opened above, as all databases are.
            unsafe { replace_methods(file, &DATABASE, grow::methods) };
        }
    }
    code
}
