//! What a commit has appended to the log and not yet written.

use std::ffi::c_int;
use std::ptr;

use libsqlite3_sys as ffi;

use super::grow::make_room;
use super::methods::{LOG, MOST, real};

/// Bytes that describe a page, before it in the log.
const HEADER: usize = 24;
/// A commit of this many bytes or more gains nothing from room behind it.
const SMALL: u64 = 256 * 1024;

/// Bytes that belong into `file` from `start` on.
pub(super) struct Held {
    file: *mut ffi::sqlite3_file,
    start: i64,
    pub bytes: Vec<u8>,
    /// Bytes of the log up to the commit before.
    before: u64,
    /// Bytes before these are missing.
    pub is_cut_short: bool,
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
            is_cut_short: false,
            committed: None,
        }
    }

    /// Takes over what SQLite writes. An error is SQLite's code for it, as in all of these.
    pub fn append(&mut self, file: *mut ffi::sqlite3_file, bytes: &[u8], at: i64) -> Result<(), c_int> {
        if self.file != file || self.end() != at {
            self.write()?;
            self.file = file;
            self.start = at;
        }
        self.hold(bytes)?;
        if self.committed.is_some() {
            return self.write();
        }
        if ends_commit(bytes) {
            self.committed = u64::try_from(at).ok();
        }
        Ok(())
    }

    /// Takes bytes in. What is complete up to a multiple of [`MOST`] is written: the system
    /// keeps a file in larger parts, and is quicker, if it is written in whole ones.
    fn hold(&mut self, mut bytes: &[u8]) -> Result<(), c_int> {
        while let Some((first, rest)) = bytes.split_at_checked(self.room()) {
            self.bytes.extend_from_slice(first);
            self.write()?;
            bytes = rest;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes up to the next multiple of [`MOST`] in the file.
    fn room(&self) -> usize {
        MOST - (self.end().unsigned_abs() % MOST as u64) as usize
    }

    fn end(&self) -> i64 {
        self.start + self.bytes.len() as i64
    }

    /// The last page of the commit is written: what else comes is not held back.
    pub fn is_done(&self) -> bool {
        self.committed.is_some() && self.bytes.is_empty()
    }

    /// Writes what is held back. If that fails the commit fails, and nothing of it stays.
    pub fn write(&mut self) -> Result<(), c_int> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        if is_cut_short(self.file, self.start) {
            self.is_cut_short = true;
            return Err(ffi::SQLITE_IOERR_WRITE);
        }
        if self.ends_small_commit() {
            make_room(self.file, self.end());
        }
        let count = self.bytes.len() as c_int;
        let code = real!(LOG, xWrite(self.file, self.bytes.as_ptr().cast(), count, self.start));
        self.start = self.end();
        self.bytes.clear();
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
    }

    fn ends_small_commit(&self) -> bool {
        // A log that has started over has nothing before it.
        let written = |committed: u64| committed.checked_sub(self.before).unwrap_or(committed);
        self.committed.is_some_and(|committed| written(committed) < SMALL)
    }
}

/// Whether a write of this many bytes describes a page.
pub(super) fn describes_page(count: c_int) -> bool {
    usize::try_from(count) == Ok(HEADER)
}

/// Whether a log ends before the place where SQLite appends to it. Somebody has cut it short:
/// what was committed there is gone, and so would be what is committed behind the gap. SQLite
/// itself shortens a log only when it goes on at its start.
pub(super) fn is_cut_short(file: *mut ffi::sqlite3_file, at: i64) -> bool {
    let mut size = 0;
    real!(LOG, xFileSize(file, &raw mut size)) == ffi::SQLITE_OK && size < at
}

/// Whether these bytes describe the last page of a commit: bytes 4 to 7 are the pages of
/// the file after it, and zero for every other page (<https://sqlite.org/fileformat2.html#walformat>).
pub(super) fn ends_commit(bytes: &[u8]) -> bool {
    bytes.len() == HEADER && bytes.get(4..8) != Some(&[0; 4])
}
