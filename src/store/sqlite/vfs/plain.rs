//! Files that SQLite writes itself, and that are only bounded.

use std::ffi::{c_int, c_void};
use std::io::ErrorKind;
use std::sync::OnceLock;

use libsqlite3_sys as ffi;

use super::bound::{PLAIN, check_write, database_closed};
use super::methods::{Methods, PLAIN_DATABASE, PLAIN_LOG, real};

/// The functions that differ for a log.
pub(super) fn log_methods(real: ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods {
    ffi::sqlite3_io_methods {
        xWrite: Some(write),
        ..real
    }
}

/// Databases of one kind.
pub(super) trait Databases {
    /// How they are read and written.
    const METHODS: &'static OnceLock<Methods>;
}

/// Those that SQLite writes itself.
pub(super) struct Plain;

impl Databases for Plain {
    const METHODS: &'static OnceLock<Methods> = &PLAIN_DATABASE;
}

/// The functions that differ for a database of any kind.
pub(super) fn database_methods<D: Databases>(real: ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods {
    ffi::sqlite3_io_methods {
        xShmMap: Some(map_index::<D>),
        xClose: Some(close::<D>),
        ..real
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, data: *const c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: `data` points to `count` bytes, which nobody changes during this call.
    match unsafe { check_write(PLAIN, file, data, count, at) } {
        Ok(()) => real!(PLAIN_LOG, xWrite(file, data, count, at)),
        Err(code) => code,
    }
}

/// Maps a part of the -shm. If it cannot grow because the disk is full, SQLite would report an I/O
/// error, as for a broken disk.
unsafe extern "C" fn map_index<D: Databases>(
    file: *mut ffi::sqlite3_file,
    part: c_int,
    size: c_int,
    extend: c_int,
    mapped: *mut *mut c_void,
) -> c_int {
    let code = real!(D::METHODS, xShmMap(file, part, size, extend, mapped));
    let is_full = || {
        let kind = std::io::Error::last_os_error().kind();
        matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    };
    if code == ffi::SQLITE_IOERR_SHMSIZE && is_full() {
        return ffi::SQLITE_FULL;
    }
    code
}

unsafe extern "C" fn close<D: Databases>(file: *mut ffi::sqlite3_file) -> c_int {
    let code = real!(D::METHODS, xClose(file));
    database_closed(file);
    code
}
