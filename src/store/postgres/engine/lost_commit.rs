//! A connection that was lost at a commit.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::{PostgresEngine, State};
use crate::error::{Error, Result, ServerError};
use crate::models::MemRamId;
use crate::store::conn::on_engine;
use crate::store::deadline::Deadline;
use crate::store::postgres::write;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// How many tokens of commits a space keeps.
const TOKENS: i64 = 32;

sql! {
    HasCommit: Bool = "SELECT ? = ANY (commits) FROM memram WHERE id = ?";
    RaiseVersion = "UPDATE memram SET version = version + 1 WHERE id = ?";
}

impl PostgresEngine {
    /// Finds out what became of a transaction whose connection was lost at its commit. It wrote to a
    /// space that had the version `before`. Waits up to the timeout for the server, because the call
    /// may have used up its own time.
    pub(super) fn resolve(&mut self, space: MemRamId, before: i64) -> Result<()> {
        self.state = State::Idle;
        self.raised.clear();
        self.deadline = Deadline::after(self.location.settings.busy_timeout);
        let is_done = loop {
            match self.is_committed(space, before) {
                Err(Error::Server(ServerError::Lost { .. })) if !self.deadline.is_over() => {}
                found => break found,
            }
        };
        let server = self.location.name();
        match is_done {
            Ok(true) => {
                // If others have written since, that version is outdated, and so is everything known with it.
                self.version = before + 1;
                self.is_another = false;
                Ok(())
            }
            Ok(false) => Err(ServerError::Lost { server }.into()),
            Err(error) => {
                self.end();
                let why = match error {
                    Error::Server(ServerError::Unreachable { why, .. }) => why,
                    error => error.what(),
                };
                Err(ServerError::CommitUnknown { server, why }.into())
            }
        }
    }

    /// Whether a transaction has committed. If not, it never will: the version is raised, so a statement
    /// that is still on its way fails.
    fn is_committed(&mut self, space: MemRamId, before: i64) -> Result<bool> {
        self.reconnect()?;
        let version = self.lock(space)?;
        let token = self.token;
        let tx = &mut ReadTx::new(&mut self.conn);
        let statement = Statement::<HasCommit, 2>::new([token.into(), space.0.into()]);
        let is_done = on_engine!(tx, |conn| statement.get_result::<bool>(conn));
        let is_done = self.explained(is_done)?;
        if is_done || version != before {
            self.end();
            if !is_done && version - before > TOKENS {
                return Err(Error::Database {
                    what: "others have committed",
                    source: format!("{} times since", version - before).into(),
                });
            }
            return Ok(is_done);
        }
        let raised = write::run::<RaiseVersion, 1>(&mut self.conn, [space.0.into()]);
        self.explained(raised)?;
        self.execute("COMMIT")?;
        self.state = State::Idle;
        Ok(false)
    }
}
