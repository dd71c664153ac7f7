//! Extends files in larger parts, with zeros that are then overwritten.
//!
//! The system caches data in parts as large as it was first written, and overwriting or reading
//! large parts in order is faster. SQLite appends page by page.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use libsqlite3_sys as ffi;

use super::bound::{GATHERED, Growth, has_room};
use super::methods::{DATABASE, LOG, MOST, Methods, real};
use super::plain::{Databases, database_methods};

/// The most zeros, in bytes, that are written after the log for later commits.
const ROOM: i64 = 1024 * 1024;
/// The log is only written in order, so larger parts are better.
const LOG_PART: i64 = MOST as i64;
/// The database is written both in order and at random positions. Random writes took twice as long
/// with parts of 64 KiB as page by page, and a third longer with these; writes in order gain a
/// quarter.
const DATABASE_PART: i64 = 16 * 1024;
static ZEROS: [u8; MOST] = [0; MOST];

/// Writes zeros where a small commit will extend the log, and after it, so that this commit and the
/// next ones only overwrite them. A sync takes twice as long when the file has grown, because the
/// file system must record the new extents. (PostgreSQL does the same: `wal_init_zero`.) The log has `size` bytes.
pub(super) fn make_room(file: *mut ffi::sqlite3_file, size: i64, growth: Growth, limit: u64) {
    let end = growth.end;
    if size < end {
        // At most doubles the log, so that a short log is filled only a little.
        let until = end.saturating_add(size.min(ROOM));
        let whole = until.saturating_add(LOG_PART - until % LOG_PART);
        // No commit will need more.
        let whole = whole.min(i64::try_from(limit).unwrap_or(i64::MAX));
        if has_room(GATHERED, file, Growth { end: whole, ..growth }) {
            fill(&LOG, file, size, whole, LOG_PART);
        }
    }
}

/// Databases that grow in larger parts.
struct Grown;

impl Databases for Grown {
    const METHODS: &'static OnceLock<Methods> = &DATABASE;
}

/// The functions that differ for a database.
pub(super) fn methods(real: ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods {
    ffi::sqlite3_io_methods {
        xFileControl: Some(file_control),
        ..database_methods::<Grown>(real)
    }
}

/// Before it copies the log, SQLite announces the size of the database.
unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    if operation == ffi::SQLITE_FCNTL_SIZE_HINT {
        // SAFETY: the argument of this operation is the size, if any.
        let until = unsafe { argument.cast::<i64>().as_ref() }.copied();
        let mut size = 0;
        if real!(DATABASE, xFileSize(file, &raw mut size)) == ffi::SQLITE_OK {
            fill(&DATABASE, file, size, until.unwrap_or(size), DATABASE_PART);
        }
    }
    real!(DATABASE, xFileControl(file, operation, argument))
}

/// Appends zeros to a file, part by part. Failures do not matter.
fn fill(methods: &OnceLock<Methods>, file: *mut ffi::sqlite3_file, mut size: i64, until: i64, part: i64) {
    while size < until {
        let count = (part - size % part).min(until - size);
        if real!(methods, xWrite(file, ZEROS.as_ptr().cast(), count as c_int, size)) != ffi::SQLITE_OK {
            return;
        }
        size += count;
    }
}
