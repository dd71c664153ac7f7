//! Keeps the write-ahead log within its limit.
//!
//! SQLite starts a log again only when all of it is copied into the file and nobody reads from it,
//! so one reader of an old state would let it grow forever. Here no transaction begins while the log
//! is at its limit, so it never has more than the limit and one transaction.
//!
//! Short reads do not lead to a refusal, even if there is never a moment without one: while a writer
//! waits here the newest state stays the newest, so each read that ends is followed by one of this
//! state, which does not prevent the copying; and once all is copied, new readers read only the
//! file.

use super::log::length;
use super::log_holders::{ReadLock, holders, read_locks};
use super::open_files::end_old_snapshots;
use super::pages::truncate_log;
use crate::error::{Error, HeldLog, Result};
use crate::store::conn::Conn;
use crate::store::deadline::Deadline;
use crate::store::sqlite::location::FileLocation;

/// Waits until the log is shorter than its limit, and returns its length in bytes. The connection
/// has no transaction, and does not wait for locks itself.
///
/// # Errors
/// [`Error::LogHeld`].
pub(in crate::store) fn make_room(conn: &mut Conn, location: &FileLocation, deadline: Deadline) -> Result<u64> {
    let mut at_first = None;
    // An attempt sorts the pages of a long log.
    let shortened = deadline.retry_slowly(|| {
        let length = length(conn)?;
        if length < location.log_limit {
            return Ok(length);
        }
        end_old_snapshots(location.file.as_deref());
        if truncate_log(conn)? {
            return Ok(0);
        }
        at_first.get_or_insert_with(|| read_locks(location));
        Err(deadline.busy())
    });
    shortened.map_err(|error| match error {
        Error::Busy { .. } => held(location, deadline, at_first.as_deref()),
        other => other,
    })
}

/// The error of a call that has waited for the log until now. The processes that hold it are those
/// that were already reading at the first attempt.
pub(in crate::store) fn held(location: &FileLocation, deadline: Deadline, at_first: Option<&[ReadLock]>) -> Error {
    Error::LogHeld(HeldLog {
        log: location.log_size(),
        limit: location.log_limit,
        holders: holders(location, deadline.waited(), at_first),
        waited_ms: deadline.waited_ms(),
    })
}
