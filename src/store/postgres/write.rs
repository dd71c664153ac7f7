//! Writes a batch: the only code that writes rows.

use diesel::prelude::*;

use crate::books::batch::Batch;
use crate::models::{MemRamId, StoredObject};
use crate::store::conn::Conn;
use crate::store::statement::{Sql, Statement, Value};

/// How a batch is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// The version that the space must have.
    pub version: i64,
    /// The token of the transaction.
    pub token: i64,
    /// Whether it is the first batch of this space in its transaction, which raises the version and
    /// records the token.
    pub is_first: bool,
    /// Whether the one statement is the whole transaction; see [`fits_lazily`].
    pub is_lazy: bool,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Written {
    Done,
    /// The space has another version; nothing was written.
    Stale,
    /// These objects of a lazy transaction are stored already; nothing was written.
    Present(Vec<StoredObject>),
}

/// Whether one statement writes all of a batch.
pub(super) fn fits_lazily(_batch: &Batch<'_>) -> bool {
    false
}

/// Writes a batch of one space.
pub(super) fn write(_conn: &mut Conn, _space: MemRamId, how: How, _batch: &Batch<'_>) -> QueryResult<Written> {
    let what = format!("writing {how:?} is not there yet");
    Err(diesel::result::Error::QueryBuilderError(what.into()))
}

/// Executes a statement. Only the engine can call this, so queries cannot write.
pub(super) fn run<S: Sql, const N: usize>(conn: &mut Conn, values: [Value<'_>; N]) -> QueryResult<usize> {
    match conn {
        Conn::Postgres(conn) => conn.execute_returning_count(&Statement::<S, N>::new(values)),
        Conn::Sqlite(_) => Err(diesel::result::Error::NotInTransaction),
    }
}
