//! The pool of reading connections.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use diesel::connection::SimpleConnection;

use super::connect::Reader;
use super::open_files::Reading;
use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::deadline::Deadline;
use crate::store::frozen::Frozen;
use crate::store::read::{Age, ReadTx};
use crate::store::sqlite::location::FileLocation;

/// The limit of idle connections: no more threads can run in parallel. Each has a descriptor of the
/// heap, one of its log, and a page cache.
static MOST_IDLE: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, usize::from).min(16));

/// The reading connections of a heap. There are as many as simultaneous readers.
pub(crate) struct FileReaders {
    location: FileLocation,
    idle: Mutex<Vec<Reader>>,
    /// The one connection of a snapshot, which stays at one state.
    frozen: Option<Arc<Frozen>>,
}

impl FileReaders {
    /// A pool that starts with a connection that is already open, if any.
    pub(in crate::store) fn new(location: FileLocation, open: Option<Reader>) -> Self {
        Self {
            location,
            idle: Mutex::new(open.into_iter().collect()),
            frozen: None,
        }
    }

    /// Readers that all see the last commit before this call and nothing after.
    pub fn freeze(&self) -> Result<Self> {
        let mut reader = self.idle_or_new()?;
        let (age, reading) = self.begin();
        let begun = reader.conn.batch_execute("BEGIN; SELECT count(*) FROM sqlite_schema");
        begun.map_err(|error| self.location.explain(error))?;
        let frozen = Arc::new(Frozen::begun(reader.conn, age, reading));
        if let Some(file) = &self.location.file {
            file.watch_snapshot(&frozen);
        }
        Ok(Self {
            location: self.location.clone(),
            idle: Mutex::default(),
            frozen: Some(frozen),
        })
    }

    /// Runs `read` on a separate connection in one read transaction, which sees the last commit
    /// before it and nothing later.
    pub fn snapshot<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        if self.frozen.is_some() {
            return self.single(read);
        }
        let read = |conn: &mut Conn, age: Age, location: &FileLocation| {
            if let Err(error) = conn.batch_execute("BEGIN") {
                return Done::broken(Err(location.explain(error)));
            }
            let done = Done::of(read(&mut ReadTx::aging(conn, age)));
            // A failed reader has nothing to roll back, but must end its transaction.
            match conn.batch_execute("COMMIT") {
                Ok(()) => done,
                // The read has ended it.
                Err(_) if age.is_over() => Done::broken(done.result),
                Err(error) => match location.explain(error) {
                    // The error of a damaged page that the read has already met: the read has failed with it, or gone
                    // on without that page.
                    Error::Damaged { .. } => Done::broken(done.result),
                    // Return the first error.
                    error => Done::broken(done.result.and(Err(error))),
                },
            }
        };
        self.timed(|| self.on_one(read))
    }

    /// Runs `read`, which executes a single statement, on a separate connection.
    pub fn single<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        self.timed(|| match &self.frozen {
            Some(frozen) => frozen.with(read),
            None => self.on_one(|conn, age, _| Done::of(read(&mut ReadTx::aging(conn, age)))),
        })
    }

    fn on_one<R>(&self, read: impl FnOnce(&mut Conn, Age, &FileLocation) -> Done<R>) -> Result<R> {
        let mut reader = self.idle_or_new()?;
        let (age, _reading) = self.begin();
        let done = read(&mut reader.conn, age, &self.location);
        if done.is_usable {
            self.put_back(reader);
        }
        done.result
    }

    /// A read that begins now.
    fn begin(&self) -> (Age, Reading) {
        let age = Age::begin(self.location.settings.max_snapshot_age);
        (age, Reading::begin(self.location.file.as_ref(), age.began()))
    }

    /// Makes [`Error::Busy`] say how long `read` has waited.
    fn timed<R>(&self, read: impl FnOnce() -> Result<R>) -> Result<R> {
        let deadline = Deadline::after(self.location.settings.busy_timeout);
        read().map_err(|error| deadline.stamp(error))
    }

    fn put_back(&self, reader: Reader) {
        // A discarded connection is closed outside the lock.
        let outdated = reader.is_outdated(&self.location);
        let mut idle = self.idle();
        if !outdated && idle.len() < *MOST_IDLE {
            idle.push(reader);
        } else {
            drop(idle);
            drop(reader);
        }
    }

    fn idle_or_new(&self) -> Result<Reader> {
        loop {
            // Release the lock before anything is opened or closed.
            let kept = self.idle().pop();
            match kept {
                Some(reader) if reader.is_outdated(&self.location) => drop(reader),
                Some(reader) => return Ok(reader),
                None => return self.location.connect_to_read(),
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of a read.
struct Done<R> {
    result: Result<R>,
    /// Whether the connection can be reused.
    is_usable: bool,
}

impl<R> Done<R> {
    /// After an error of the database the connection may be in any state. Other errors, such as
    /// an unknown object, do not affect it.
    fn of(result: Result<R>) -> Self {
        let is_usable = !matches!(
            result,
            Err(Error::Database { .. }
                | Error::Damaged { .. }
                | Error::DiskFull
                | Error::DiskFailed { .. }
                | Error::LogUnreadable
                | Error::ChangedWhileRead
                | Error::Busy { .. }
                | Error::NotWritable { .. })
        );
        Self { result, is_usable }
    }

    fn broken(result: Result<R>) -> Self {
        let is_usable = false;
        Self { result, is_usable }
    }
}

#[cfg(test)]
mod tests;
