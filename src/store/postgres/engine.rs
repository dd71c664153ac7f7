//! The engine of the writer: one connection, and its transactions.

mod lock;
mod lost_commit;

use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::lifted;
use super::location::ServerLocation;
use super::nodes::{self, Link};
use super::write::{self, How, Written};
use crate::books::batch::Batch;
use crate::books::limits::Limits;
use crate::error::{Error, Result, ServerError};
use crate::models::MemRamId;
use crate::store::conn::on_engine;
use crate::store::deadline::Deadline;
use crate::store::engine::{Engine, NearCeiling, Present};
use crate::store::read::ReadTx;
use crate::store::sqlite::spool::Spool;
use crate::store::statement::{Statement, sql};

/// Transactions on one connection to a server.
pub(in crate::store) struct PostgresEngine {
    conn: Link,
    location: ServerLocation,
    deadline: Deadline,
    state: State,
    /// The version of the space after the last transaction, or before the open one.
    version: i64,
    /// The token of the transaction that writes, by which it is found if the connection is lost at its
    /// commit.
    token: i64,
    /// The spaces whose version the open transaction has raised, each with its previous version.
    raised: Vec<(MemRamId, i64)>,
    /// How many of them it had raised at the savepoint.
    raised_before: usize,
    /// Objects that a lazy transaction found.
    present: Vec<Present>,
    /// Whether the transaction began lazily. What it stores was assumed to be absent, even if the space
    /// is locked now.
    began_lazily: bool,
    /// Whether commits are to be synced.
    syncs: bool,
    /// Run at the beginning of each transaction.
    beginning: &'static str,
    /// Whether a rollback has failed, so that a transaction may be open on this connection.
    is_unsure: bool,
    /// Whether the connection has replaced a lost one since the last transaction.
    is_another: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A transaction without a statement so far, which may still need only a single one.
    Lazy(MemRamId),
    /// A transaction is open, and the row of this space is locked.
    Locked(MemRamId),
    /// The single statement of a lazy transaction has committed.
    Committed,
}

sql! {
    Version: BigInt = "SELECT version FROM memram WHERE id = ?";
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
            raised_before: 0,
            present: Vec::new(),
            began_lazily: false,
            syncs: true,
            beginning: "",
            is_unsure: false,
            is_another: false,
        }
    }

    /// An engine for a repair, whose transactions write to all spaces.
    pub fn for_repair(location: ServerLocation, conn: Link) -> Self {
        Self {
            beginning: lifted::BEGIN,
            ..Self::new(location, conn)
        }
    }

    /// Makes a lazy transaction a locked one, if the space is still as it was.
    fn upgrade(&mut self, space: MemRamId) -> Result<()> {
        let known = self.version;
        let version = self.lock(space)?;
        if version == known && !self.is_another {
            return Ok(());
        }
        self.end();
        self.version = version;
        Err(ServerError::Outdated.into())
    }

    /// Fails if a lazy transaction that changes nothing has relied on outdated data.
    fn check_version(&mut self, space: MemRamId) -> Result<()> {
        let tx = &mut ReadTx::new(&mut self.conn);
        let statement = Statement::<Version, 1>::new([space.0.into()]);
        let version = on_engine!(tx, |conn| statement.get_result::<i64>(conn));
        if self.explained(version)? == self.version {
            return Ok(());
        }
        Err(ServerError::Outdated.into())
    }

    fn has_raised(&self, space: MemRamId) -> bool {
        self.raised.iter().any(|(raised, _)| *raised == space)
    }

    /// Rolls back whatever is open.
    fn end(&mut self) {
        if let State::Locked(_) = std::mem::replace(&mut self.state, State::Idle) {
            // If it fails, the transaction may still be open.
            self.is_unsure |= self.conn.batch_execute("ROLLBACK").is_err();
        }
        self.raised.clear();
    }

    /// Whether a batch takes several statements: on Citus.
    fn is_split(&self) -> bool {
        self.conn.placement().is_some()
    }

    /// What keeps the heap on its node until the transaction ends.
    fn pin(&self) -> &'static str {
        if self.is_split() { nodes::PIN } else { "" }
    }

    fn execute(&mut self, sql: &str) -> Result<()> {
        let done = self.conn.batch_execute(sql);
        self.explained(done)
    }

    /// Translates an error of the database.
    fn explained<T>(&self, result: QueryResult<T>) -> Result<T> {
        result.map_err(|error| self.explain(error.into()))
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

    fn explain(&self, error: Error) -> Error {
        self.deadline.stamp(self.location.name_in(error))
    }

    fn begin(&mut self, space: MemRamId) -> Result<()> {
        self.began_lazily = false;
        self.token = token();
        self.version = self.lock(space)?;
        Ok(())
    }

    fn begin_lazily(&mut self, space: MemRamId, version: i64) -> bool {
        // The statement of a lazy transaction cannot be told to sync or not, and waits for a lock as long
        // as the setting of the connection allows.
        let is_late = self.deadline.waited() > self.location.settings.busy_timeout / 2;
        if !self.syncs || is_late || self.is_unsure || self.conn.is_outdated(&self.location) {
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

    fn take_present(&mut self) -> Vec<Present> {
        std::mem::take(&mut self.present)
    }

    fn forgets(&mut self) -> bool {
        std::mem::take(&mut self.is_another)
    }

    fn enter(&mut self, space: MemRamId) -> Result<()> {
        if self.is_lazy() {
            return self.begin(space);
        }
        let version = self.lock_row(space)?;
        let raised = self.raised.iter().find(|(raised, _)| *raised == space);
        self.version = raised.map_or(version, |&(_, before)| before);
        self.state = State::Locked(space);
        Ok(())
    }

    fn savepoint(&mut self) -> Result<()> {
        // Earlier units may have had nothing to write.
        if let State::Lazy(space) = self.state {
            self.upgrade(space)?;
        }
        self.raised_before = self.raised.len();
        self.execute("SAVEPOINT unit")
    }

    fn release_savepoint(&mut self) -> Result<()> {
        self.execute("RELEASE SAVEPOINT unit")
    }

    fn rollback_to_savepoint(&mut self) -> Result<()> {
        self.raised.truncate(self.raised_before);
        self.execute("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit")
    }

    fn write(&mut self, space: MemRamId, batch: &Batch<'_>) -> Result<()> {
        match self.state {
            State::Lazy(_) => self.upgrade(space)?,
            State::Locked(_) => {}
            // Each statement would commit by itself.
            State::Idle | State::Committed => return Err(Error::BatchFailed),
        }
        let is_first = !self.has_raised(space);
        let how = How {
            version: self.version + i64::from(!is_first),
            token: self.token,
            is_first,
            is_lazy: self.began_lazily,
            is_split: self.is_split(),
        };
        let written = write::write(&mut self.conn, space, how, batch);
        match self.explained(written)? {
            Written::Done => {
                if is_first {
                    self.raised.push((space, self.version));
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
            self.state = State::Locked(space);
            self.execute(&format!("BEGIN; {}", self.pin()))
                .map_err(|_| ServerError::Outdated)?;
        }
        let how = How {
            version: self.version,
            token: self.token,
            is_first: true,
            is_lazy: true,
            is_split,
        };
        let written = write::write(&mut self.conn, space, how, batch);
        match self.explained(written) {
            Ok(Written::Done) if is_split => {
                self.raised.push((space, self.version));
                return Ok(());
            }
            Ok(Written::Done) => self.version += 1,
            Ok(Written::Stale) => return Err(ServerError::Outdated.into()),
            Ok(Written::Present(objects)) => {
                self.present = objects;
                return Err(ServerError::Outdated.into());
            }
            Err(Error::Server(ServerError::Lost { .. })) => self.resolve(space, self.version)?,
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
        match self.state {
            State::Lazy(space) => self.check_version(space)?,
            // In a transaction that has failed, COMMIT alone would roll back without an error.
            State::Locked(space) => match (self.execute("SELECT 1; COMMIT"), self.raised.first()) {
                (Err(Error::Server(ServerError::Lost { .. })), Some(&(raised, before))) => {
                    self.resolve(raised, before)?;
                }
                // It had not written anything.
                (Err(Error::Server(ServerError::Lost { .. })), None) => self.is_unsure = true,
                (done, _) => {
                    done?;
                    self.version += i64::from(self.has_raised(space));
                }
            },
            State::Idle | State::Committed => {}
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
}

impl NearCeiling for PostgresEngine {}

/// A random number that no other commit has.
fn token() -> i64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::Instant::now()) as i64
}
