//! Registers VFSes with SQLite that are copies of its own except for some functions.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use libsqlite3_sys as ffi;

use super::bound::{Tail, database_opened, log_opened};
use super::methods::{DATABASE, LOG, PLAIN_DATABASE, PLAIN_LOG, replace_methods};
use super::{grow, log, plain};

const NAME: &CStr = c"heapledger";
const PLAIN_NAME: &CStr = c"heapledger plain";

/// SQLite's own VFS, once ours is registered.
static REAL: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// The name of the writer's VFS, if SQLite has accepted it.
pub(in crate::store) fn file_system() -> Option<&'static str> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(|| {
        REAL.store(default_system(), Ordering::Release);
        register::<Writing>(NAME)
    });
    registered.then(|| NAME.to_str().ok()).flatten()
}

/// The name of the VFS for writers that must only be bounded, if SQLite has accepted it.
pub(in crate::store) fn plain_file_system() -> Option<&'static str> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    file_system()?;
    let registered = *REGISTERED.get_or_init(|| register::<Plain>(PLAIN_NAME));
    registered.then(|| PLAIN_NAME.to_str().ok()).flatten()
}

/// The longest path that SQLite can open, in bytes, including suffixes such as `-journal`.
pub(in crate::store) fn longest_path() -> usize {
    // SAFETY: null, or a file system that is never freed.
    let real = unsafe { default_system().as_ref() };
    real.and_then(|real| usize::try_from(real.mxPathname).ok())
        .unwrap_or(usize::MAX)
}

/// SQLite's own VFS, or null. It is never freed. Initializes SQLite if necessary.
pub(super) fn default_system() -> *mut ffi::sqlite3_vfs {
    // SAFETY: may be called at any time; a null name asks for the default.
    unsafe { ffi::sqlite3_vfs_find(ptr::null()) }
}

/// What our VFS does in addition to SQLite's.
pub(super) trait OpenBy {
    /// Called for a file that SQLite's own VFS has just opened; returns SQLite's code.
    ///
    /// # Safety
    /// The arguments are those of the `xOpen` that opened the file.
    unsafe fn opened(name: *const c_char, file: *mut ffi::sqlite3_file, flags: c_int) -> c_int;
}

/// Registers a copy of SQLite's VFS that differs only in how it opens files.
pub(super) fn register<O: OpenBy>(name: &'static CStr) -> bool {
    // SAFETY: it is null or a VFS that is never freed. The only field that SQLite changes in it is
    // the link to the next one, which is replaced in the copy.
    let Some(copied) = (unsafe { REAL.load(Ordering::Acquire).as_ref() }).copied() else {
        return false;
    };
    let own = Box::new(ffi::sqlite3_vfs {
        pNext: ptr::null_mut(),
        zName: name.as_ptr(),
        szOsFile: (tail_offset(&copied) + size_of::<Tail>()) as c_int,
        xOpen: Some(open::<O>),
        ..copied
    });
    // SAFETY: it is leaked, because SQLite continues to use it. All its functions except `open` come
    // from the copied VFS, with the data that they expect.
    unsafe { ffi::sqlite3_vfs_register(Box::leak(own), 0) == ffi::SQLITE_OK }
}

/// Bytes before the tail of a file.
fn tail_offset(real: &ffi::sqlite3_vfs) -> usize {
    usize::try_from(real.szOsFile)
        .unwrap_or_default()
        .next_multiple_of(align_of::<Tail>())
}

/// What follows SQLite's own data of a file that one of our VFSes has opened.
pub(super) fn tail(file: *mut ffi::sqlite3_file) -> *mut Tail {
    // SAFETY: null, or a VFS that is never freed.
    let offset = unsafe { REAL.load(Ordering::Acquire).as_ref() }.map_or(0, tail_offset);
    // SAFETY: SQLite allocates `szOsFile` bytes for a file, aligned for pointers.
    unsafe { file.byte_add(offset).cast() }
}

/// Opens a file with SQLite's own VFS, and then lets ours continue.
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
    // SAFETY: the arguments come from SQLite, and `file` has the size that this VFS requires, because
    // its `szOsFile` was copied.
    match unsafe { real_open(real, name, file, flags, out_flags) } {
        // SAFETY: these are the same arguments. A tail of zeros is valid.
        ffi::SQLITE_OK => unsafe {
            tail(file).write_bytes(0, 1);
            O::opened(name, file, flags)
        },
        code => code,
    }
}

/// The writer's VFS: gathers writes to logs, and extends databases in larger parts.
struct Writing;

impl OpenBy for Writing {
    unsafe fn opened(name: *const c_char, file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
        // SAFETY: the file was just opened, as all of its kind are, by this name.
        unsafe {
            if flags & ffi::SQLITE_OPEN_WAL != 0 && replace_methods(file, &LOG, log::methods) {
                log_opened(name, file);
            } else if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 && replace_methods(file, &DATABASE, grow::methods) {
                database_opened(name, file);
            }
        }
        ffi::SQLITE_OK
    }
}

/// The VFS of writers that use SQLite's own, which only refuses what does not fit.
struct Plain;

impl OpenBy for Plain {
    unsafe fn opened(name: *const c_char, file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
        // SAFETY: as above.
        unsafe {
            if flags & ffi::SQLITE_OPEN_WAL != 0 && replace_methods(file, &PLAIN_LOG, plain::log_methods) {
                log_opened(name, file);
            } else if flags & ffi::SQLITE_OPEN_MAIN_DB != 0
                && replace_methods(file, &PLAIN_DATABASE, plain::database_methods::<plain::Plain>)
            {
                database_opened(name, file);
            }
        }
        ffi::SQLITE_OK
    }
}
