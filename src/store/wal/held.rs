//! What a commit has appended to the log and not yet written.

use std::ffi::c_int;
use std::ptr;

use libsqlite3_sys as ffi;

use super::{MOST, real_write};

/// Bytes that describe a page, before it in the log.
const HEADER: usize = 24;
/// A commit of so many bytes gains nothing by room behind it.
const SMALL: u64 = 256 * 1024;

/// Bytes that belong into `file` from `start` on.
pub(super) struct Held {
    file: *mut ffi::sqlite3_file,
    start: i64,
    pub bytes: Vec<u8>,
    /// Bytes of the log up to the commit before.
    before: u64,
    /// Bytes of the log up to the last page of the commit, once that is described.
    pub committed: Option<u64>,
}

impl Held {
    /// Nothing yet, in a buffer that is used again.
    pub fn new(buffer: Vec<u8>, before: u64) -> Self {
        Self {
            file: ptr::null_mut(),
            start: 0,
            bytes: buffer,
            before,
            committed: None,
        }
    }

    pub fn append(&mut self, file: *mut ffi::sqlite3_file, bytes: &[u8], at: i64) -> c_int {
        let follows = self.file == file && at == self.start + self.bytes.len() as i64;
        if !follows || self.bytes.len() + bytes.len() > MOST {
            let code = self.write();
            if code != ffi::SQLITE_OK {
                return code;
            }
            self.file = file;
            self.start = at;
        }
        self.bytes.extend_from_slice(bytes);
        if self.committed.is_some() {
            return self.write();
        }
        if ends_commit(bytes) {
            self.committed = u64::try_from(at).ok();
        }
        ffi::SQLITE_OK
    }

    /// The last page of the commit is written: what else comes is not held back.
    pub fn is_done(&self) -> bool {
        self.committed.is_some() && self.bytes.is_empty()
    }

    /// Writes what is held back. If that fails the commit fails, and nothing of it stays.
    pub fn write(&mut self) -> c_int {
        if self.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        let code = real_write(self.file, &self.bytes, self.start);
        self.bytes.clear();
        code
    }

    /// The most bytes that `file` has if a commit that is written, and was small, ends it.
    pub fn end_of_small_commit(&self, file: *mut ffi::sqlite3_file) -> Option<u64> {
        let committed = self.committed?;
        // A log that was begun anew has nothing before it.
        let written = committed.checked_sub(self.before).unwrap_or(committed);
        // The last page follows its description.
        let end = committed.saturating_add((HEADER + MOST) as u64);
        (self.file == file && written < SMALL).then_some(end)
    }
}

/// Whether these bytes describe the last page of a commit: bytes 4 to 7 are the pages of
/// the file after it, and zero for every other page (<https://sqlite.org/fileformat2.html#walformat>).
pub(super) fn ends_commit(bytes: &[u8]) -> bool {
    bytes.len() == HEADER && bytes.get(4..8) != Some(&[0; 4])
}
