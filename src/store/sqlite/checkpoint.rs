//! Copies the write-ahead log into the file on a separate thread.
//!
//! A checkpoint syncs the log, writes each page in it to its place in the file, and syncs
//! the file. SQLite does this in the commit that finds the log long, which takes a fifth to a
//! half of the time of a busy writer. With a thread, the writer can continue. SQLite
//! only restarts a log that is copied to its end, so once the log is long, the writer itself
//! copies what it has appended since the thread started. ([SQLite's manual] recommends such a
//! thread to keep commits short.)
//!
//! [SQLite's manual]: https://sqlite.org/wal.html#avoiding_excessively_large_wal_files

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use diesel::connection::SimpleConnection;

use crate::instruments::Timed;
use crate::store::conn::Conn;
use crate::store::deadline::Deadline;
use crate::store::settings::Access;
use crate::store::sqlite::location::FileLocation;

/// Bytes of log after which a checkpoint begins, as a part of the limit. One small object takes about
/// 45 KiB of log, mostly the same pages again: the longer the log, the fewer pages are copied twice.
const ENOUGH: u64 = 4;
/// The part after which it is restarted. The writer waits for two syncs then; with half of the
/// default they took 5 to 8 % of the time of single puts that are not synced.
pub(in crate::store) const LONG: u64 = 2;

/// The checkpoints of one writer.
#[derive(Default)]
pub(in crate::store) struct Checkpoints {
    under_way: Option<UnderWay>,
    /// The connection of the last thread, for the next one.
    conn: Option<Conn>,
    /// Bytes of the log after the last commit.
    length: u64,
    /// Bytes of the log that are copied, if no reader needs the file as it was.
    copied: u64,
    /// Whether some of the log was copied, or it was restarted, since the last call of
    /// [`Self::may_begin_again`].
    begins_again: bool,
}

struct UnderWay {
    thread: JoinHandle<()>,
    /// Gets the thread's connection at its end, or is closed.
    ended: Receiver<Conn>,
    length: u64,
}

impl Checkpoints {
    /// Begins or ends a checkpoint when it is time. Called after a commit, when `length` bytes
    /// of the log are in use. A checkpoint that fails is tried again when the log has grown;
    /// nothing is lost.
    pub fn after_commit(&mut self, length: u64, deadline: Deadline, location: &FileLocation, writer: &mut Conn) {
        let limit = location.log_limit;
        if length < self.length {
            self.copied = 0;
            self.begins_again = true;
        }
        self.length = length;
        if let Some(checkpoint) = &self.under_way {
            if (checkpoint.thread.is_finished() || length >= limit) && self.wait(deadline) && length >= limit / LONG {
                self.copy_rest(writer);
            }
        } else if length.saturating_sub(self.copied) >= limit / ENOUGH && !self.begin(location) {
            self.copy_rest(writer);
        }
    }

    /// Waits until no checkpoint is running; false if one still is at the deadline.
    pub fn wait(&mut self, deadline: Deadline) -> bool {
        let Some(UnderWay { ended, .. }) = &self.under_way else {
            return true;
        };
        let conn = match deadline.remaining() {
            None => ended.recv().ok(),
            Some(left) => match ended.recv_timeout(left) {
                Ok(conn) => Some(conn),
                Err(RecvTimeoutError::Disconnected) => None,
                Err(RecvTimeoutError::Timeout) => return false,
            },
        };
        if let Some(UnderWay { thread, length, .. }) = self.under_way.take() {
            // It has nothing left to do.
            let _ = thread.join();
            self.conn = conn;
            self.copied = length;
            self.begins_again = true;
        }
        true
    }

    /// Starts a thread; false if that fails.
    fn begin(&mut self, location: &FileLocation) -> bool {
        self.begins_again = true;
        let conn = self.conn.take();
        let location = location.clone();
        let (end, ended) = sync_channel(1);
        let copy = move || {
            let conn = conn.or_else(|| location.connect(Access::Write).ok());
            let copied = conn.and_then(|mut conn| copy(&mut conn).ok().map(|()| conn));
            if let Some(conn) = copied {
                // The channel has room for one, so this never waits.
                let _ = end.send(conn);
            }
        };
        let thread = Builder::new().name("heapledger log".into()).spawn(copy);
        let length = self.length;
        self.under_way = thread.ok().map(|thread| UnderWay { thread, ended, length });
        self.under_way.is_some()
    }

    fn copy_rest(&mut self, writer: &mut Conn) {
        // The commit stands, whether or not this works.
        let _ = copy(writer);
        self.copied = self.length;
        self.begins_again = true;
    }

    /// Whether the log may have been restarted since the last call, or may be with the next commit.
    pub fn may_begin_again(&mut self) -> bool {
        std::mem::take(&mut self.begins_again)
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wait(Deadline::after(Duration::MAX));
    }
}

/// Copies the part of the log that no reader needs, without waiting.
pub(in crate::store) fn copy(conn: &mut Conn) -> diesel::QueryResult<()> {
    let timed = Timed::checkpoint();
    let copied = conn.batch_execute("PRAGMA wal_checkpoint(PASSIVE)");
    timed.end(copied.is_ok());
    copied
}
