//! The functions of files, some of which take the place of SQLite's own.

use std::ptr;
use std::sync::OnceLock;

use libsqlite3_sys as ffi;

/// The most bytes that are written with one call: the largest page, and so the most that
/// SQLite itself writes at once. Its own file systems need not be able to write more.
pub(super) const MOST: usize = 64 * 1024;

/// The functions of logs, once one was opened.
pub(super) static LOG: OnceLock<Methods> = OnceLock::new();
/// The functions of databases.
pub(super) static DATABASE: OnceLock<Methods> = OnceLock::new();
/// The functions of databases that are read without a log.
pub(super) static UNLOGGED: OnceLock<Methods> = OnceLock::new();

/// How files of one kind are read and written.
pub(super) struct Methods {
    /// Where SQLite keeps its own, as a number: it is only compared.
    address: usize,
    pub real: ffi::sqlite3_io_methods,
    own: ffi::sqlite3_io_methods,
}

/// Gives an open file its own functions; false if it keeps SQLite's.
///
/// # Safety
/// `file` was opened by SQLite's own file system, and each `kind` is always used with the same `own`.
pub(super) unsafe fn replace_methods(
    file: *mut ffi::sqlite3_file,
    kind: &'static OnceLock<Methods>,
    own: fn(ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods,
) -> bool {
    // SAFETY: an open file points to its functions, or to none.
    let Some(real) = (unsafe { (*file).pMethods.as_ref() }) else {
        return false;
    };
    let methods = kind.get_or_init(|| Methods {
        address: ptr::from_ref(real).addr(),
        real: *real,
        own: own(*real),
    });
    // A file with other functions than the first of its kind keeps them.
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
pub(super) use real;
