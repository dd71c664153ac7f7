//! Connections that read, and those that are kept.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use diesel::connection::SimpleConnection;

use super::conn::{Conn, Settings};
use super::frozen::Frozen;
use super::vfs;
use crate::error::{Error, Result};
use crate::store::deadline::Deadline;

/// How many connections are kept that nobody uses: more threads cannot read at once. Each has
/// a descriptor of the heap, one of its log, and a page cache.
static MOST_IDLE: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, usize::from).min(16));

/// A connection that reads.
pub(crate) struct Reader {
    pub conn: Conn,
    /// It reads the file alone, and goes on to see that state when there is a log.
    is_unlogged: bool,
}

impl Reader {
    pub fn new(conn: Conn) -> Self {
        let is_unlogged = false;
        Self { conn, is_unlogged }
    }

    pub fn unlogged(conn: Conn) -> Self {
        let is_unlogged = true;
        Self { conn, is_unlogged }
    }

    fn is_outdated(&self, settings: &Settings) -> bool {
        self.is_unlogged && vfs::has_been_opened(&settings.path)
    }
}

/// The connections of a heap that read. As many are opened as there are readers at once.
pub(crate) struct Readers {
    settings: Settings,
    idle: Mutex<Vec<Reader>>,
    /// The only connection of readers that stay at one state.
    frozen: Option<Frozen>,
}

impl Readers {
    /// With a connection that is open already, if any.
    pub fn new(settings: Settings, open: Option<Reader>) -> Self {
        Self {
            settings,
            idle: Mutex::new(open.into_iter().collect()),
            frozen: None,
        }
    }

    /// Readers that all see the last commit before this call and nothing after.
    pub fn freeze(&self) -> Result<Self> {
        let reader = self.idle_or_new()?;
        let frozen = Frozen::begin(reader.conn).map_err(|error| self.settings.explain(error))?;
        Ok(Self {
            settings: self.settings.clone(),
            idle: Mutex::default(),
            frozen: Some(frozen),
        })
    }

    /// Runs `read` on a connection of its own, in one read transaction, which sees the
    /// last commit before it and nothing after.
    pub fn snapshot<R>(&self, read: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        if self.frozen.is_some() {
            return self.single(read);
        }
        self.with(|conn, settings| {
            if let Err(error) = conn.batch_execute("BEGIN") {
                return Done::broken(Err(settings.explain(error)));
            }
            let done = Done::of(read(conn));
            // A reader that fails half-way has nothing to undo, but must let go of its snapshot.
            match conn.batch_execute("COMMIT") {
                Ok(()) => done,
                // What went wrong first is what the caller must know.
                Err(error) => Done::broken(done.result.and(Err(settings.explain(error)))),
            }
        })
    }

    /// Runs `read`, which makes a single statement, on a connection of its own.
    pub fn single<R>(&self, read: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        self.with(|conn, _| Done::of(read(conn)))
    }

    fn with<R>(&self, read: impl FnOnce(&mut Conn, &Settings) -> Done<R>) -> Result<R> {
        let deadline = Deadline::after(self.settings.busy_timeout);
        self.read_on_one(read).map_err(|error| deadline.stamp(error))
    }

    fn read_on_one<R>(&self, read: impl FnOnce(&mut Conn, &Settings) -> Done<R>) -> Result<R> {
        if let Some(frozen) = &self.frozen {
            return frozen.with(|conn| read(conn, &self.settings).result);
        }
        let mut reader = self.idle_or_new()?;
        let done = read(&mut reader.conn, &self.settings);
        if done.is_usable {
            self.keep(reader);
        }
        done.result
    }

    fn keep(&self, reader: Reader) {
        // Closed outside of the lock, if it is not kept.
        let outdated = reader.is_outdated(&self.settings);
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
            // The lock is given back before anything is opened or closed.
            let kept = self.idle().pop();
            match kept {
                Some(reader) if reader.is_outdated(&self.settings) => drop(reader),
                Some(reader) => return Ok(reader),
                None => return self.settings.connect_to_read(),
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of a read.
struct Done<R> {
    result: Result<R>,
    /// The connection can be used again.
    is_usable: bool,
}

impl<R> Done<R> {
    /// After an error of the database the connection may be in any state. That something is
    /// not stored, or is not what was asked for, says nothing against it.
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
