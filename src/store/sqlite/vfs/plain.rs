//! Files that SQLite writes itself, and that are only bounded.

use std::ffi::{c_int, c_void};

use libsqlite3_sys as ffi;

use super::bound::{PLAIN, check_write, database_closed};
use super::methods::{PLAIN_DATABASE, PLAIN_LOG, full_if_so, real};

/// The functions that differ for a log.
pub(super) fn log_methods(real: ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods {
    ffi::sqlite3_io_methods {
        xWrite: Some(write),
        ..real
    }
}

/// The functions that differ for a database.
pub(super) fn database_methods(real: ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods {
    ffi::sqlite3_io_methods {
        xShmMap: Some(map_index),
        xClose: Some(close),
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

unsafe extern "C" fn map_index(
    file: *mut ffi::sqlite3_file,
    part: c_int,
    size: c_int,
    extend: c_int,
    mapped: *mut *mut c_void,
) -> c_int {
    full_if_so(real!(PLAIN_DATABASE, xShmMap(file, part, size, extend, mapped)))
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let code = real!(PLAIN_DATABASE, xClose(file));
    database_closed(file);
    code
}
