//! Method tables of files, with some of SQLite's functions replaced.

use std::ptr;
use std::sync::OnceLock;

use libsqlite3_sys as ffi;

/// The most bytes per write: the largest page, and so the most that SQLite itself writes in one call.
/// Its own VFSes need not support more.
pub(super) const MOST: usize = 64 * 1024;

/// The functions of logs, once one was opened.
pub(super) static LOG: OnceLock<Methods> = OnceLock::new();
/// The functions of databases.
pub(super) static DATABASE: OnceLock<Methods> = OnceLock::new();
/// The functions of logs that SQLite writes itself.
pub(super) static PLAIN_LOG: OnceLock<Methods> = OnceLock::new();
/// The functions of their databases.
pub(super) static PLAIN_DATABASE: OnceLock<Methods> = OnceLock::new();
/// The functions of databases that are read without a log.
pub(super) static UNLOGGED: OnceLock<Methods> = OnceLock::new();

/// How files of one kind are read and written.
pub(super) struct Methods {
    /// The address of SQLite's own table, only for comparison.
    address: usize,
    pub real: ffi::sqlite3_io_methods,
    own: ffi::sqlite3_io_methods,
}

/// Replaces the functions of an open file; false if it keeps SQLite's.
///
/// # Safety
/// `file` was opened by SQLite's own file system, and each `kind` is always used with the same `own`.
pub(super) unsafe fn replace_methods(
    file: *mut ffi::sqlite3_file,
    kind: &'static OnceLock<Methods>,
    own: fn(ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods,
) -> bool {
    // SAFETY: an open file points to its method table, or to null.
    let Some(real) = (unsafe { (*file).pMethods.as_ref() }) else {
        return false;
    };
    let methods = kind.get_or_init(|| Methods {
        address: ptr::from_ref(real).addr(),
        real: *real,
        own: own(*real),
    });
    // A file whose functions differ from those of the first file of its kind keeps them.
    let is_of_kind = methods.address == ptr::from_ref(real).addr();
    if is_of_kind {
        // SAFETY: the functions are those of this file, except for some that call them. They live as
        // long as the program.
        unsafe { (*file).pMethods = &raw const methods.own };
    }
    is_of_kind
}

/// Calls SQLite's own function for a file of a kind.
macro_rules! real {
    ($kind:expr, $method:ident($($argument:expr),*)) => {
        match $kind.get().and_then(|methods| methods.real.$method) {
            // SAFETY: only files with replaced functions get here: the file is open, and was
            // opened by the VFS to which this function belongs. The other arguments come from
            // SQLite or from a slice.
            Some(method) => unsafe { method($($argument),*) },
            None => ffi::SQLITE_IOERR,
        }
    };
}
pub(super) use real;
