//! The pool of reading connections.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use diesel::connection::SimpleConnection;

use super::location::ServerLocation;
use crate::error::{Error, Result, ServerError};
use crate::store::conn::Conn;
use crate::store::deadline::Deadline;
use crate::store::frozen::Frozen;
use crate::store::location::Access;
use crate::store::read::{Age, ReadTx};

/// The limit of idle connections: each is a process of the server.
static MOST_IDLE: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, usize::from).min(16));

/// The reading connections of a heap on a server. There are as many as simultaneous readers.
pub(crate) struct ServerReaders {
    location: ServerLocation,
    idle: Mutex<Vec<Conn>>,
    /// The one connection of a snapshot, which stays at one state.
    frozen: Option<Arc<Frozen>>,
}

impl ServerReaders {
    /// A pool that starts with a connection that is already open, if any.
    pub(in crate::store) fn new(location: ServerLocation, open: Option<Conn>) -> Self {
        Self {
            location,
            idle: Mutex::new(open.into_iter().collect()),
            frozen: None,
        }
    }

    /// Readers that all see the last commit before this call and nothing after.
    pub fn freeze(&self) -> Result<Self> {
        let age = Age::begin(self.location.max_snapshot_age);
        let mut conn = self.begin()?;
        // The server chooses the state at the first statement, not at `BEGIN`.
        conn.batch_execute("SELECT 1")?;
        Ok(Self {
            location: self.location.clone(),
            idle: Mutex::default(),
            frozen: Some(Arc::new(Frozen::begun(conn, age, ()))),
        })
    }

    /// Runs `read` on a separate connection in one read transaction, which sees the last commit
    /// before it and nothing later.
    pub fn snapshot<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        if let Some(frozen) = &self.frozen {
            return self.named(frozen.with(read));
        }
        let deadline = Deadline::after(self.location.busy_timeout);
        let mut conn = self.begin()?;
        let age = Age::begin(self.location.max_snapshot_age);
        let result = read(&mut ReadTx::aging(&mut conn, age));
        // It also ends a transaction that has failed.
        if conn.batch_execute("COMMIT").is_ok() {
            self.put_back(conn);
        }
        self.named(result.map_err(|error| deadline.stamp(error)))
    }

    /// Runs `read`, which executes a single statement, on a separate connection; again if the connection
    /// was lost while it was idle.
    pub fn single<R>(&self, mut read: impl FnMut(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        if let Some(frozen) = &self.frozen {
            return self.named(frozen.with(read));
        }
        let deadline = Deadline::after(self.location.busy_timeout);
        loop {
            let age = Age::begin(self.location.max_snapshot_age);
            let (mut conn, was_idle) = self.idle_or_new(deadline)?;
            match read(&mut ReadTx::aging(&mut conn, age)) {
                Err(Error::Server(ServerError::Lost { .. })) if was_idle => {}
                result => {
                    if !matches!(result, Err(Error::Server(_))) {
                        self.put_back(conn);
                    }
                    return self.named(result.map_err(|error| deadline.stamp(error)));
                }
            }
        }
    }

    /// A connection on which a transaction has begun.
    fn begin(&self) -> Result<Conn> {
        let deadline = Deadline::after(self.location.busy_timeout);
        loop {
            let (mut conn, was_idle) = self.idle_or_new(deadline)?;
            match conn.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") {
                Ok(()) => return Ok(conn),
                Err(_) if was_idle => {}
                Err(error) => return self.named(Err(error.into())),
            }
        }
    }

    fn named<R>(&self, result: Result<R>) -> Result<R> {
        result.map_err(|error| self.location.name_in(error))
    }

    fn put_back(&self, conn: Conn) {
        let mut idle = self.idle();
        if idle.len() < *MOST_IDLE {
            idle.push(conn);
        }
    }

    /// A connection, and whether it was idle before.
    fn idle_or_new(&self, deadline: Deadline) -> Result<(Conn, bool)> {
        // Release the lock before anything is opened.
        let kept = self.idle().pop();
        match kept {
            Some(conn) => Ok((conn, true)),
            None => Ok((self.location.reconnect(Access::Read, deadline)?, false)),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Conn>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
