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
        register::<Writing>(NAME)
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

/// What a file system of ours does that SQLite's own does not.
pub(super) trait OpenBy {
    /// Continues with a file that SQLite's own file system has just opened; returns SQLite's code.
    ///
    /// # Safety
    /// The arguments are those of the `xOpen` that opened the file.
    unsafe fn opened(name: *const c_char, file: *mut ffi::sqlite3_file, flags: c_int) -> c_int;
}

/// Registers a file system that is SQLite's own but for how it opens files.
pub(super) fn register<O: OpenBy>(name: &'static CStr) -> bool {
    // SAFETY: it is null or a file system that is never freed. The only field that SQLite
    // changes in it is the link to the next one, which is replaced in the copy.
    let Some(copied) = (unsafe { REAL.load(Ordering::Acquire).as_ref() }).copied() else {
        return false;
    };
    let own = Box::new(ffi::sqlite3_vfs {
        pNext: ptr::null_mut(),
        zName: name.as_ptr(),
        xOpen: Some(open::<O>),
        ..copied
    });
    // SAFETY: it is leaked, as SQLite goes on using it. All its functions but `open` are
    // those of the file system it was copied from, with the data these want.
    unsafe { ffi::sqlite3_vfs_register(Box::leak(own), 0) == ffi::SQLITE_OK }
}

/// Opens a file as SQLite's own file system does, and then as ours.
unsafe extern "C" fn open<O: OpenBy>(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let real = REAL.load(Ordering::Acquire);
    // SAFETY: `REAL` was set before anything was registered, and is never freed.
    let Some(real_open) = (unsafe { real.as_ref() }).and_then(|real| real.xOpen) else {
        return ffi::SQLITE_CANTOPEN;
    };
    // SAFETY: the arguments are SQLite's own, and `file` has the room that this file system
    // asks for, because its `szOsFile` was copied.
    match unsafe { real_open(real, name, file, flags, out_flags) } {
        // SAFETY: these are the same arguments.
        ffi::SQLITE_OK => unsafe { O::opened(name, file, flags) },
        code => code,
    }
}

/// Logs are gathered, and databases grow in larger parts.
struct Writing;

impl OpenBy for Writing {
    unsafe fn opened(_: *const c_char, file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
        if flags & ffi::SQLITE_OPEN_WAL != 0 {
            // SAFETY: the file was just opened, as all logs are.
            unsafe { replace_methods(file, &LOG, log::methods) };
        } else if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
            // SAFETY: the file was just opened, as all databases are.
            unsafe { replace_methods(file, &DATABASE, grow::methods) };
        }
        ffi::SQLITE_OK
    }
}
