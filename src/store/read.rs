//! Read transactions.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;

use super::conn::Conn;
use crate::clock;
use crate::error::{Error, Result};
use crate::models::Timestamp;

/// A read of the heap. The functions in [`super::queries`] take one, and each engine adds its own
/// methods. It changes nothing.
pub(crate) struct ReadTx<'c> {
    conn: &'c mut Conn,
    age: Age,
    /// The time of the read, once it was asked for.
    now: Option<Timestamp>,
}

impl<'c> ReadTx<'c> {
    /// A read that may take any time.
    pub(in crate::store) fn new(conn: &'c mut Conn) -> Self {
        Self::aging(conn, Age::begin(None))
    }

    /// A read that may become too old.
    pub(in crate::store) fn aging(conn: &'c mut Conn, age: Age) -> Self {
        let now = None;
        Self { conn, age, now }
    }

    /// The same read with a shorter lifetime.
    pub fn reborrow(&mut self) -> ReadTx<'_> {
        ReadTx {
            conn: self.conn,
            age: self.age,
            now: self.now,
        }
    }

    /// The same read at another time.
    pub fn at(self, now: Timestamp) -> Self {
        let now = Some(now);
        Self { now, ..self }
    }

    /// The time by which it is decided what has expired: the same for all of the read.
    pub fn now(&mut self) -> Timestamp {
        *self.now.get_or_insert_with(clock::now)
    }

    /// The connection, for one statement.
    ///
    /// # Errors
    /// [`Error::SnapshotTooOld`]; the transaction has ended then.
    pub(in crate::store) fn conn(&mut self) -> Result<&mut Conn> {
        if let Err(too_old) = self.age.check() {
            // Fails if it has ended before.
            let _ = self.conn.batch_execute("ROLLBACK");
            return Err(too_old);
        }
        Ok(self.conn)
    }

    /// Runs a read of whole tables, which a server must plan differently from a read by keys.
    pub fn scanning<R>(&mut self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        #[cfg(feature = "postgres")]
        if self.is_on_server() {
            self.conn()?.batch_execute(SCAN)?;
            let result = read(self);
            // It fails in a transaction that has failed, whose end restores the settings anyway.
            let _ = self.conn.batch_execute(SEARCH);
            return result;
        }
        read(self)
    }

    /// Whether the heap is on a server.
    pub fn is_on_server(&self) -> bool {
        !matches!(self.conn, Conn::Sqlite(_))
    }

    /// For a statement that returns rows one by one, to check at each of them.
    pub(in crate::store) fn age(&self) -> Age {
        self.age
    }
}

/// How a server plans statements that find their rows by keys.
#[cfg(feature = "postgres")]
pub(in crate::store) const SEARCH: &str = "SET enable_seqscan TO off; SET enable_bitmapscan TO off;";
/// How it plans by itself.
#[cfg(feature = "postgres")]
const SCAN: &str = "SET enable_seqscan TO on; SET enable_bitmapscan TO on;";

/// When a read began, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Age {
    began: Instant,
    max: Option<Duration>,
}

impl Age {
    /// The age of a read that begins now.
    pub fn begin(max: Option<Duration>) -> Self {
        let began = Instant::now();
        Self { began, max }
    }

    pub fn began(self) -> Instant {
        self.began
    }

    pub fn is_over(self) -> bool {
        self.check().is_err()
    }

    /// # Errors
    /// [`Error::SnapshotTooOld`].
    pub fn check(self) -> Result<()> {
        let Some(max) = self.max else { return Ok(()) };
        let age = self.began.elapsed();
        if age <= max {
            return Ok(());
        }
        Err(Error::SnapshotTooOld { age, max })
    }
}
