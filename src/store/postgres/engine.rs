//! The engine of the writer: one connection, and its transactions.

use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::connect::milliseconds;
use super::location::ServerLocation;
use super::nodes::Link;
use super::repair;
use super::write::{self, How, Written};
use crate::books::batch::Batch;
use crate::books::limits::Limits;
use crate::error::{Error, Result, ServerError};
use crate::models::{MemRamId, StoredObject};
use crate::store::conn::{Conn, on_engine};
use crate::store::deadline::Deadline;
use crate::store::engine::Engine;
use crate::store::location::Access;
use crate::store::read::ReadTx;
use crate::store::sqlite::spool::Spool;
use crate::store::statement::{Statement, sql};

/// Transactions on one connection to a server.
pub(in crate::store) struct PostgresEngine {
    conn: Link,
    location: ServerLocation,
    deadline: Deadline,
    state: State,
    /// The version of the space after the last transaction, or at the beginning of the open one.
    version: i64,
    /// The token of the transaction that writes, by which it is found if the connection is lost at its
    /// commit.
    token: i64,
    /// The spaces whose version the open transaction has raised.
    raised: Vec<MemRamId>,
    /// Objects that a lazy transaction found.
    present: Vec<StoredObject>,
    /// Whether the transaction began lazily. What it stores was assumed to be absent, even if the space
    /// is locked now.
    began_lazily: bool,
    /// Whether commits are to be synced.
    syncs: bool,
    /// Run at the beginning of each transaction.
    beginning: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A transaction without a statement, which may still become one of a single statement.
    Lazy(MemRamId),
    /// A transaction is open, and the row of this space is locked.
    Locked(MemRamId),
    /// The single statement of a lazy transaction has committed.
    Committed,
}

sql! {
    LockSpace: BigInt = "SELECT version FROM memram WHERE id = ? FOR NO KEY UPDATE";
    HasCommit: Bool = "SELECT ? = ANY (commits) FROM memram WHERE id = ?";
    RaiseVersion = "UPDATE memram SET version = version + 1 WHERE id = ?";
}

impl PostgresEngine {
    pub fn new(location: ServerLocation, conn: Link) -> Self {
        Self {
            deadline: location.deadline(),
            conn,
            location,
            state: State::Idle,
            version: 0,
            token: 0,
            raised: Vec::new(),
            present: Vec::new(),
            began_lazily: false,
            syncs: true,
            beginning: "",
        }
    }

    /// An engine for a repair, whose transactions write to all spaces.
    pub fn for_repair(location: ServerLocation, conn: Link) -> Self {
        Self {
            beginning: repair::BEGIN,
            ..Self::new(location, conn)
        }
    }

    /// Opens a transaction and locks the space, on another connection if this one was lost.
    fn lock(&mut self, space: MemRamId) -> Result<i64> {
        loop {
            match self.try_lock(space) {
                Err(Error::Server(ServerError::Lost { .. })) if !self.deadline.is_over() => {
                    self.conn = self.location.reconnect(Access::Write, self.deadline)?;
                }
                locked => return locked.inspect_err(|_| self.end()),
            }
        }
    }

    fn try_lock(&mut self, space: MemRamId) -> Result<i64> {
        if self.conn.is_outdated(&self.location) {
            self.conn = self.location.reconnect(Access::Write, self.deadline)?;
        }
        let left = self.deadline.remaining().map_or(0, milliseconds);
        let sync = if self.syncs {
            ""
        } else {
            " SET LOCAL synchronous_commit TO off;"
        };
        let beginning = self.beginning;
        self.execute(&format!("BEGIN; SET LOCAL lock_timeout TO {left};{sync} {beginning}"))?;
        self.state = State::Locked(space);
        self.lock_row(space)
    }

    fn lock_row(&mut self, space: MemRamId) -> Result<i64> {
        let tx = &mut ReadTx::new(&mut self.conn);
        let statement = Statement::<LockSpace, 1>::new([space.0.into()]);
        let version = on_engine!(tx, |conn| statement.get_result::<i64>(conn));
        let version = self.explain(version.optional())?;
        version.ok_or_else(|| Error::Damaged {
            what: "the row of the space is missing".into(),
        })
    }

    /// Makes a lazy transaction a locked one, if the space is still as it was.
    fn upgrade(&mut self, space: MemRamId) -> Result<()> {
        let known = self.version;
        let version = self.lock(space)?;
        if version == known {
            return Ok(());
        }
        self.end();
        self.version = version;
        Err(ServerError::Outdated.into())
    }

    /// What became of a transaction whose connection was lost at its commit. If nothing was committed,
    /// nothing will be either: the version is raised, so a statement that is still on its way fails.
    fn resolve(&mut self, space: MemRamId) -> Result<()> {
        let token = self.token;
        self.state = State::Idle;
        let unknown = |error: Error| match error {
            Error::Server(ServerError::Unreachable { server, why }) => {
                ServerError::CommitUnknown { server, why }.into()
            }
            other => other,
        };
        self.conn = self.location.reconnect(Access::Write, self.deadline).map_err(unknown)?;
        self.version = self.lock(space).map_err(unknown)?;
        let tx = &mut ReadTx::new(&mut self.conn);
        let statement = Statement::<HasCommit, 2>::new([token.into(), space.0.into()]);
        let done = on_engine!(tx, |conn| statement.get_result::<bool>(conn));
        let done = self.explain(done).map_err(unknown)?;
        if done {
            self.end();
            return Ok(());
        }
        let raised = write::run::<RaiseVersion, 1>(&mut self.conn, [space.0.into()]);
        self.explain(raised)?;
        self.execute("COMMIT")?;
        self.state = State::Idle;
        self.version += 1;
        Err(ServerError::Lost {
            server: self.location.name(),
        }
        .into())
    }

    /// Rolls back whatever is open.
    fn end(&mut self) {
        if let State::Locked(_) = std::mem::replace(&mut self.state, State::Idle) {
            // Fails if the connection is lost, which is fine.
            let _ = self.conn.batch_execute("ROLLBACK");
        }
        self.raised.clear();
    }

    /// Whether a batch takes several statements: on Citus.
    fn is_split(&self) -> bool {
        self.conn.placement().is_some()
    }

    fn execute(&mut self, sql: &str) -> Result<()> {
        let done = self.conn.batch_execute(sql);
        self.explain(done)
    }

    /// Translates an error of the database.
    fn explain<T>(&self, result: QueryResult<T>) -> Result<T> {
        result.map_err(|error| self.deadline.stamp(self.location.name_in(error.into())))
    }
}

impl Engine for PostgresEngine {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    fn read(&mut self) -> ReadTx<'_> {
        ReadTx::new(&mut self.conn)
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn begin(&mut self, space: MemRamId) -> Result<()> {
        self.began_lazily = false;
        self.token = token();
        self.version = self.lock(space)?;
        Ok(())
    }

    fn begin_lazily(&mut self, space: MemRamId, version: i64) -> bool {
        // Statements of a lazy transaction cannot be told to sync or not.
        if !self.syncs || self.conn.is_outdated(&self.location) {
            return false;
        }
        self.began_lazily = true;
        self.token = token();
        self.version = version;
        self.state = State::Lazy(space);
        true
    }

    fn is_lazy(&self) -> bool {
        matches!(self.state, State::Lazy(_))
    }

    fn take_present(&mut self) -> Vec<StoredObject> {
        std::mem::take(&mut self.present)
    }

    fn enter(&mut self, space: MemRamId) -> Result<()> {
        // The version before this transaction raised it, if it did.
        self.version = self.lock_row(space)? - i64::from(self.raised.contains(&space));
        Ok(())
    }

    fn savepoint(&mut self) -> Result<()> {
        self.execute("SAVEPOINT unit")
    }

    fn release_savepoint(&mut self) -> Result<()> {
        self.execute("RELEASE SAVEPOINT unit")
    }

    fn rollback_to_savepoint(&mut self) -> Result<()> {
        self.execute("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit")
    }

    fn write(&mut self, space: MemRamId, batch: &Batch<'_>) -> Result<()> {
        if self.is_lazy() {
            self.upgrade(space)?;
        }
        let is_first = !self.raised.contains(&space);
        let how = How {
            version: self.version + i64::from(!is_first),
            token: self.token,
            is_first,
            is_lazy: self.began_lazily,
            is_split: self.is_split(),
        };
        let written = write::write(&mut self.conn, space, how, batch);
        match self.explain(written)? {
            Written::Done => {
                if is_first {
                    self.raised.push(space);
                }
                Ok(())
            }
            Written::Stale | Written::Present(_) => Err(ServerError::Outdated.into()),
        }
    }

    fn write_last(&mut self, space: MemRamId, batch: &Batch<'_>) -> Result<()> {
        if !self.is_lazy() || !write::fits_lazily(batch) {
            return self.write(space, batch);
        }
        let is_split = self.is_split();
        if is_split {
            // The first statement tests the version, so the row need not be locked before.
            self.execute("BEGIN").map_err(|_| ServerError::Outdated)?;
            self.state = State::Locked(space);
        }
        let how = How {
            version: self.version,
            token: self.token,
            is_first: true,
            is_lazy: true,
            is_split,
        };
        let written = write::write(&mut self.conn, space, how, batch);
        match self.explain(written) {
            Ok(Written::Done) if is_split => {
                self.raised.push(space);
                return Ok(());
            }
            Ok(Written::Done) => self.version += 1,
            Ok(Written::Stale) => return Err(ServerError::Outdated.into()),
            Ok(Written::Present(objects)) => {
                self.present = objects;
                return Err(ServerError::Outdated.into());
            }
            Err(Error::Server(ServerError::Lost { .. })) => self.resolve(space)?,
            Err(error) => return Err(error),
        }
        self.state = State::Committed;
        Ok(())
    }

    fn is_in_transaction(&mut self) -> bool {
        match self.state {
            State::Locked(_) => self.conn.batch_execute("SELECT 1").is_ok(),
            State::Lazy(_) => true,
            State::Idle | State::Committed => false,
        }
    }

    fn commit(&mut self) -> Result<()> {
        if let State::Locked(space) = self.state {
            // In a transaction that has failed, COMMIT alone would roll back without an error.
            match self.execute("SELECT 1; COMMIT") {
                Err(Error::Server(ServerError::Lost { .. })) => self.resolve(space)?,
                done => {
                    done?;
                    self.version += i64::from(self.raised.contains(&space));
                }
            }
        }
        self.state = State::Idle;
        self.raised.clear();
        Ok(())
    }

    fn rollback(&mut self) {
        self.end();
    }

    fn sync_commits(&mut self, sync: bool) {
        self.syncs = sync;
    }

    fn spool(&self) -> Spool {
        Spool::anywhere()
    }

    fn limits(&self) -> Limits {
        Limits::LARGE
    }

    fn looks_up_together(&self) -> bool {
        true
    }

    fn maintain(&mut self, work: &mut dyn FnMut(&mut Conn) -> Result<()>) -> Result<()> {
        work(&mut self.conn)
    }

    fn transaction(&mut self, deadline: Deadline, work: &mut dyn FnMut(&mut Conn) -> Result<()>) -> Result<()> {
        self.deadline = deadline;
        self.execute("BEGIN")?;
        let end = match work(&mut self.conn) {
            Ok(()) => "COMMIT",
            Err(error) => {
                let _ = self.conn.batch_execute("ROLLBACK");
                return Err(error);
            }
        };
        self.execute(end)
    }
}

/// A random number that no other commit has.
fn token() -> i64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::Instant::now()) as i64
}
