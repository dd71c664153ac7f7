//! What the writer must know about its write-ahead log: its length, so that checkpoints run in time,
//! and that nobody has truncated it.

use std::path::PathBuf;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::ceiling;
use super::exec::{Run, pragma};
use super::sidecar::sidecar;
use super::vfs::{CUT_SHORT, GatheredLog};
use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::sqlite::location::FileLocation;
use crate::store::statement::{Returning, Statement, sql};

/// The log of the writing connection.
pub(in crate::store) enum Log {
    /// Our VFS writes it, and knows everything about it.
    Gathered(GatheredLog),
    /// SQLite's own VFS writes it, so SQLite must be asked.
    Plain(PlainLog),
}

impl Log {
    pub fn new(location: &FileLocation) -> Self {
        match location.file_system() {
            Some(_) if !location.plain_io => Self::Gathered(GatheredLog::new(location.log_limit)),
            _ => Self::Plain(PlainLog {
                path: sidecar(&location.path, "-wal"),
                length: 0,
                frame: None,
            }),
        }
    }

    /// Commits the open transaction.
    pub fn commit(&mut self, conn: &mut Conn) -> QueryResult<()> {
        let conn = conn.sqlite()?;
        let mut commit = || Statement::<Commit, 0>::run(conn, []).map(drop);
        match self {
            Self::Gathered(log) => log.commit(commit),
            Self::Plain(_) => commit(),
        }
    }

    /// Bytes of it in use, asked for after a commit.
    pub fn ask_length(&mut self, conn: &mut Conn) -> u64 {
        if let Self::Plain(log) = self {
            // If this fails, assume the old length and ask again later.
            let _ = log.ask(conn);
        }
        self.length()
    }

    /// Bytes of it in use when it was last known.
    pub fn length(&self) -> u64 {
        match self {
            Self::Gathered(log) => log.length,
            Self::Plain(log) => log.length,
        }
    }

    /// Sets the bytes at which no further transaction begins.
    pub fn set_limit(&mut self, limit: u64) {
        if let Self::Gathered(log) = self {
            log.limit = limit;
        }
    }

    /// Called when it has been shortened to this many bytes in use.
    pub fn shortened(&mut self, length: u64) {
        match self {
            Self::Gathered(log) => log.length = length,
            Self::Plain(log) => log.length = length,
        }
    }

    /// Called before a transaction: refuses to continue after a gap.
    pub fn is_whole(&mut self, conn: &mut Conn) -> Result<()> {
        match self {
            // It is noticed when the log is written.
            Self::Gathered(_) => Ok(()),
            Self::Plain(log) => log.is_whole(conn),
        }
    }
}

/// A log that SQLite writes without our VFS.
pub(in crate::store) struct PlainLog {
    path: PathBuf,
    /// Bytes in use at the last query.
    length: u64,
    /// Bytes of a frame (a page with its header), once known.
    frame: Option<u64>,
}

/// Bytes before the first page of a log.
const HEADER: u64 = 32;
/// Bytes before each page of a log.
const PAGE_HEADER: u64 = 24;

impl PlainLog {
    fn ask(&mut self, conn: &mut Conn) -> Result<()> {
        let frame = match self.frame {
            Some(frame) => frame,
            None => *self.frame.insert(frame_size(conn)?),
        };
        self.length = bytes_in_use(conn, frame)?;
        Ok(())
    }

    fn is_whole(&mut self, conn: &mut Conn) -> Result<()> {
        if self.is_long_enough() {
            return Ok(());
        }
        // Another program may have copied all of it and restarted it since the last commit.
        self.ask(conn)?;
        if self.is_long_enough() {
            return Ok(());
        }
        Err(Error::database("the transaction cannot begin", CUT_SHORT))
    }

    fn is_long_enough(&self) -> bool {
        ceiling::length(&self.path) >= self.length
    }
}

/// Bytes of the log in use, also by other connections.
pub(in crate::store) fn length(conn: &mut Conn) -> Result<u64> {
    let frame = frame_size(conn)?;
    bytes_in_use(conn, frame)
}

fn frame_size(conn: &mut Conn) -> Result<u64> {
    Ok(PAGE_HEADER + pragma(conn, "page_size")?.unsigned_abs())
}

/// Asks SQLite how long the log is. Outside a transaction; nothing is locked or copied.
fn bytes_in_use(conn: &mut Conn, frame: u64) -> Result<u64> {
    let conn = conn.sqlite()?;
    let (_, pages, _) = Statement::<LogSize, 0>::new([]).get_result::<(i64, i64, i64)>(conn)?;
    Ok(match u64::try_from(pages) {
        Ok(pages @ 1..) => HEADER + pages * frame,
        _ => 0,
    })
}

/// Bytes that copying the log adds to the file at most. Outside a transaction; nothing is locked or
/// copied.
pub(in crate::store) fn uncopied(conn: &mut Conn) -> Result<u64> {
    let page = pragma(conn, "page_size")?.unsigned_abs();
    let conn = conn.sqlite()?;
    let (_, pages, copied) = Statement::<LogSize, 0>::new([]).get_result::<(i64, i64, i64)>(conn)?;
    Ok(pages.saturating_sub(copied).max(0).unsigned_abs() * page)
}

sql! {
    Commit = "COMMIT";
    LogSize = "PRAGMA wal_checkpoint(NOOP)";
}

impl Returning for LogSize {
    /// Whether it was busy, pages in the log, and copied pages.
    type Types = (BigInt, BigInt, BigInt);
}
