//! The pool of reading connections.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use diesel::connection::SimpleConnection;

use super::location::ServerLocation;
use super::nodes::{Link, Placement};
use crate::error::{Error, Result, ServerError};
use crate::store::deadline::Deadline;
use crate::store::frozen::Frozen;
use crate::store::read::{Age, ReadTx};
use crate::store::settings::Access;

/// The limit of idle connections: each is a process of the server.
static MOST_IDLE: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, usize::from).min(16));

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The reading connections of a heap on a server. There are as many as simultaneous readers.
pub(crate) struct ServerReaders {
    location: ServerLocation,
    idle: Mutex<Vec<Link>>,
    /// The one connection of a snapshot, which stays at one state, and where the heap was then.
    frozen: Option<(Frozen, Option<Placement>)>,
}

impl ServerReaders {
    /// A pool that starts with a connection that is already open, if any.
    pub(in crate::store) fn new(location: ServerLocation, open: Option<Link>) -> Self {
        Self {
            location,
            idle: Mutex::new(open.into_iter().collect()),
            frozen: None,
        }
    }

    /// Readers that all see the last commit before this call and nothing after.
    pub fn freeze(&self) -> Result<Self> {
        let age = Age::begin(self.location.settings.max_snapshot_age);
        let mut conn = self.begin()?;
        // The server chooses the state at the first statement, not at `BEGIN`.
        self.named(conn.batch_execute("SELECT 1").map_err(Error::from))?;
        let placement = conn.placement();
        let frozen = Frozen::begun(conn.into_conn(), age, ());
        Ok(Self {
            location: self.location.clone(),
            idle: Mutex::default(),
            frozen: Some((frozen, placement)),
        })
    }

    /// Runs `read` on a separate connection in one read transaction, which sees the last commit
    /// before it and nothing later. It runs again, on another state, if the connection was lost.
    pub fn snapshot<R>(&self, mut read: impl FnMut(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        let deadline = Deadline::after(self.location.settings.busy_timeout);
        loop {
            match self.snapshot_once(&mut read) {
                Err(error) if error.is_transient() && self.frozen.is_none() && !deadline.is_over() => {}
                result => return result,
            }
        }
    }

    /// The same for a read that must not run again.
    pub fn snapshot_once<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        if let Some(frozen) = &self.frozen {
            return self.on_frozen(frozen, read);
        }
        let deadline = Deadline::after(self.location.settings.busy_timeout);
        let mut conn = self.begin()?;
        let age = Age::begin(self.location.settings.max_snapshot_age);
        let mut result = read(&mut ReadTx::aging(&mut conn, age));
        // It also ends a transaction that has failed.
        if conn.batch_execute("COMMIT").is_ok() {
            let has_moved = conn.has_moved(&self.location);
            if matches!(has_moved, Ok(false)) {
                self.put_back(conn);
            }
            result = result.and_then(|found| self.unless_moved(has_moved?, found));
        }
        self.named(result.map_err(|error| deadline.stamp(error)))
    }

    /// The same on a connection that nobody uses afterwards.
    pub fn apart<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        if let Some(frozen) = &self.frozen {
            return self.on_frozen(frozen, read);
        }
        let deadline = Deadline::after(self.location.settings.busy_timeout);
        let mut conn = self.location.reconnect(Access::Read, deadline)?;
        let age = Age::begin(self.location.settings.max_snapshot_age);
        self.named(conn.batch_execute(BEGIN).map_err(Error::from))?;
        let found = self.named(read(&mut ReadTx::aging(&mut conn, age)).map_err(|error| deadline.stamp(error)))?;
        self.named(conn.batch_execute("ROLLBACK").map_err(Error::from))?;
        let has_moved = conn.has_moved(&self.location)?;
        self.unless_moved(has_moved, found)
    }

    /// Runs `read`, which executes a single statement, on a separate connection. It runs again if the
    /// connection was lost, because the server may be restarting.
    pub fn single<R>(&self, mut read: impl FnMut(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        if let Some(frozen) = &self.frozen {
            return self.on_frozen(frozen, read);
        }
        let deadline = Deadline::after(self.location.settings.busy_timeout);
        loop {
            let age = Age::begin(self.location.settings.max_snapshot_age);
            let (mut conn, was_idle) = self.idle_or_new(deadline)?;
            match read(&mut ReadTx::aging(&mut conn, age)) {
                Err(error) if error.is_transient() && (was_idle || !deadline.is_over()) => {}
                result => {
                    if !matches!(result, Err(Error::Server(_))) {
                        self.put_back(conn);
                    }
                    return self.named(result.map_err(|error| deadline.stamp(error)));
                }
            }
        }
    }

    /// Runs `read` on the connection of a snapshot.
    fn on_frozen<R>(
        &self,
        (frozen, placement): &(Frozen, Option<Placement>),
        read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>,
    ) -> Result<R> {
        let deadline = Deadline::after(self.location.settings.busy_timeout);
        let found = self.named(frozen.with(read).map_err(|error| deadline.stamp(error)))?;
        if placement.is_none() {
            return Ok(found);
        }
        // Asked on another connection, because this one sees what was true when it was frozen.
        let (mut conn, _) = self.idle_or_new(Deadline::after(self.location.settings.busy_timeout))?;
        let has_moved = conn.placement() != *placement || conn.has_moved(&self.location)?;
        self.put_back(conn);
        self.unless_moved(has_moved, found)
    }

    /// What was read, if the heap stayed where it was.
    fn unless_moved<R>(&self, has_moved: bool, found: R) -> Result<R> {
        if has_moved {
            return Err(ServerError::Moved {
                server: self.location.name(),
            }
            .into());
        }
        Ok(found)
    }

    /// A connection on which a transaction has begun.
    fn begin(&self) -> Result<Link> {
        let deadline = Deadline::after(self.location.settings.busy_timeout);
        loop {
            let (mut conn, was_idle) = self.idle_or_new(deadline)?;
            if was_idle && conn.has_moved(&self.location).unwrap_or(true) {
                continue;
            }
            match conn.batch_execute(BEGIN) {
                Ok(()) => return Ok(conn),
                Err(_) if was_idle => {}
                Err(error) => return self.named(Err(error.into())),
            }
        }
    }

    fn named<R>(&self, result: Result<R>) -> Result<R> {
        result.map_err(|error| self.location.name_in(error))
    }

    fn put_back(&self, conn: Link) {
        let mut idle = self.idle();
        if idle.len() < *MOST_IDLE {
            idle.push(conn);
        }
    }

    /// A connection, and whether it was idle before.
    fn idle_or_new(&self, deadline: Deadline) -> Result<(Link, bool)> {
        // Release the lock before anything is asked or opened.
        let kept = self.idle().pop();
        let kept = kept.and_then(|mut conn| (!conn.is_outdated(&self.location)).then_some(conn));
        match kept {
            Some(conn) => Ok((conn, true)),
            None => Ok((self.location.reconnect(Access::Read, deadline)?, false)),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
