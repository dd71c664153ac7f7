//! What the writer must know of its write-ahead log: how long it is, so that it can be copied
//! in time, and that nobody has cut it short.

use std::path::PathBuf;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::exec::sql;
use super::exec::{Returning, Sql, Statement, pragma};
use super::sidecar::sidecar;
use super::vfs::{CUT_SHORT, GatheredLog};
use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::location::Location;

/// The log of the connection that writes.
pub(in crate::store) enum Log {
    /// Our file system writes it, and sees all that there is to know.
    Gathered(GatheredLog),
    /// SQLite's own writes it, and must be asked.
    Plain(PlainLog),
}

impl Log {
    pub fn new(location: &Location) -> Self {
        match location.file_system() {
            Some(_) => Self::Gathered(GatheredLog::default()),
            None => Self::Plain(PlainLog {
                path: sidecar(&location.path, "-wal"),
                length: 0,
                frame: None,
            }),
        }
    }

    /// Commits the transaction that is open.
    pub fn commit(&mut self, conn: &mut Conn) -> QueryResult<()> {
        let Conn::Sqlite(conn) = conn;
        let mut commit = || Statement::<Commit, 0>::run(conn, []).map(drop);
        match self {
            Self::Gathered(log) => log.commit(commit),
            Self::Plain(_) => commit(),
        }
    }

    /// Bytes of it that are in use after a commit.
    pub fn length(&mut self, conn: &mut Conn) -> u64 {
        match self {
            Self::Gathered(log) => log.length,
            Self::Plain(log) => {
                // Without an answer it is as long as it was, and is asked about again.
                let _ = log.ask(conn);
                log.length
            }
        }
    }

    /// Before a transaction: refuses to go on behind a gap.
    pub fn is_whole(&mut self, conn: &mut Conn) -> Result<()> {
        match self {
            // Is noticed where it is written.
            Self::Gathered(_) => Ok(()),
            Self::Plain(log) => log.is_whole(conn),
        }
    }
}

/// A log that SQLite writes by itself.
pub(in crate::store) struct PlainLog {
    path: PathBuf,
    /// Bytes in use when that was last asked for.
    length: u64,
    /// Bytes of a page and of what describes it, once they are known.
    frame: Option<u64>,
}

/// Bytes before the first page of a log.
const HEADER: u64 = 32;
/// Bytes before each page of a log.
const PAGE_HEADER: u64 = 24;

impl PlainLog {
    /// Asks SQLite how long the log is. Outside a transaction; nothing is locked or copied.
    fn ask(&mut self, conn: &mut Conn) -> Result<()> {
        let frame = match self.frame {
            Some(frame) => frame,
            None => *self
                .frame
                .insert(PAGE_HEADER + pragma(conn, "page_size")?.unsigned_abs()),
        };
        let Conn::Sqlite(conn) = conn;
        let (_, pages, _) = Statement::<LogSize, 0>::new([]).get_result::<(i64, i64, i64)>(conn)?;
        self.length = match u64::try_from(pages) {
            Ok(pages @ 1..) => HEADER + pages * frame,
            _ => 0,
        };
        Ok(())
    }

    fn is_whole(&mut self, conn: &mut Conn) -> Result<()> {
        if self.is_long_enough() {
            return Ok(());
        }
        // Another program may have copied all of it and begun it again since the last commit.
        self.ask(conn)?;
        if self.is_long_enough() {
            return Ok(());
        }
        Err(Error::database("the transaction cannot begin", CUT_SHORT))
    }

    fn is_long_enough(&self) -> bool {
        std::fs::metadata(&self.path).map_or(0, |log| log.len()) >= self.length
    }
}

sql! {
    Commit = "COMMIT";
    LogSize = "PRAGMA wal_checkpoint(NOOP)";
}

impl Returning for LogSize {
    /// Whether it was busy, pages in the log, and how many of them are copied.
    type Types = (BigInt, BigInt, BigInt);
}
