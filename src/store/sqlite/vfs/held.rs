//! Bytes that a commit has appended to the log but not yet written.

use std::ffi::c_int;
use std::ptr;

use libsqlite3_sys as ffi;

use super::bound::{GATHERED, Growth, check, pages_of};
use super::grow::make_room;
use super::methods::{LOG, MOST, real};

/// Bytes of a frame header, before each page in the log.
pub(super) const HEADER: usize = 24;
/// A commit of this many bytes or more gains nothing from room after it.
const SMALL: u64 = 256 * 1024;

/// Bytes to write to `file` at `start`.
pub(super) struct Held {
    file: *mut ffi::sqlite3_file,
    start: i64,
    pub bytes: Vec<u8>,
    /// Pages that the database will have at least.
    pages: u32,
    /// Bytes of the log up to the previous commit.
    before: u64,
    /// Bytes after which the log gets no zeros.
    limit: u64,
    /// Whether bytes before these are missing.
    pub is_cut_short: bool,
    /// Bytes of the log up to the last page of the commit, once its header was written.
    pub committed: Option<u64>,
}

impl Held {
    /// An empty one, with a reused buffer.
    pub fn new(buffer: Vec<u8>, before: u64, limit: u64) -> Self {
        Self {
            file: ptr::null_mut(),
            start: 0,
            bytes: buffer,
            pages: 0,
            before,
            limit,
            is_cut_short: false,
            committed: None,
        }
    }

    /// Takes over a write of SQLite. Errors are SQLite's codes, as in all of these functions.
    pub fn append(&mut self, file: *mut ffi::sqlite3_file, bytes: &[u8], at: i64) -> Result<(), c_int> {
        if self.file != file || self.end() != at {
            self.write()?;
            self.file = file;
            self.start = at;
        }
        if bytes.len() == HEADER {
            self.pages = self.pages.max(pages_of(bytes));
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

    /// Adds bytes, and writes them up to a multiple of [`MOST`]: the system caches a file in larger
    /// parts, and is faster, if it is written in whole parts.
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

    /// Whether the last page of the commit is written; later writes are not held back.
    pub fn is_done(&self) -> bool {
        self.committed.is_some() && self.bytes.is_empty()
    }

    /// Writes the held bytes. If that fails the commit fails, and nothing of it stays.
    pub fn write(&mut self) -> Result<(), c_int> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let size = size_of(self.file);
        if size.is_some_and(|size| size < self.start) {
            self.is_cut_short = true;
            return Err(ffi::SQLITE_IOERR_WRITE);
        }
        let growth = Growth {
            at: self.start,
            end: self.end(),
            pages: self.pages,
        };
        if let Err(code) = check(GATHERED, self.file, growth) {
            self.bytes.clear();
            return Err(code);
        }
        if self.ends_small_commit()
            && let Some(size) = size
        {
            make_room(self.file, size, growth, self.limit);
        }
        let count = self.bytes.len() as c_int;
        let code = real!(LOG, xWrite(self.file, self.bytes.as_ptr().cast(), count, self.start));
        self.start = self.end();
        self.bytes.clear();
        if code != ffi::SQLITE_OK {
            return Err(code);
        }
        if self.committed.is_some() && self.start.unsigned_abs() >= self.limit {
            cut(self.file, self.start);
        }
        Ok(())
    }

    fn ends_small_commit(&self) -> bool {
        // A restarted log has nothing before it.
        let written = |committed: u64| committed.checked_sub(self.before).unwrap_or(committed);
        self.committed.is_some_and(|committed| written(committed) < SMALL)
    }
}

/// Cuts off what an earlier log has left after the end of this one, which is complete: nothing is
/// appended to it any more. Litestream compares what follows with the logs that it knows, and copies
/// the whole database if it finds an older one. If it fails, nothing is lost.
fn cut(file: *mut ffi::sqlite3_file, end: i64) {
    if size_of(file).is_some_and(|size| size > end) {
        real!(LOG, xTruncate(file, end));
    }
}

/// Whether a write of this many bytes is a frame header.
pub(super) fn describes_page(count: c_int) -> bool {
    usize::try_from(count) == Ok(HEADER)
}

/// Whether a log ends before the position where SQLite appends to it, because somebody truncated it:
/// those commits are lost, and so would be commits after the gap. SQLite itself shortens a log only
/// when it restarts it.
pub(super) fn is_cut_short(file: *mut ffi::sqlite3_file, at: i64) -> bool {
    size_of(file).is_some_and(|size| size < at)
}

/// Bytes of a log, if the system tells.
fn size_of(file: *mut ffi::sqlite3_file) -> Option<i64> {
    let mut size = 0;
    (real!(LOG, xFileSize(file, &raw mut size)) == ffi::SQLITE_OK).then_some(size)
}

/// Whether these bytes are the frame header of a commit's last page: bytes 4 to 7 are the size of the
/// file in pages, and zero for all other pages (<https://sqlite.org/fileformat2.html#walformat>).
pub(super) fn ends_commit(bytes: &[u8]) -> bool {
    bytes.len() == HEADER && bytes.get(4..8) != Some(&[0; 4])
}
