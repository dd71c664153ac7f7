//! The lock of a space, on a connection that works.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{PostgresEngine, State};
use crate::error::{Error, Result, ServerError};
use crate::models::MemRamId;
use crate::store::conn::on_engine;
use crate::store::postgres::connect::{milliseconds, unsynced};
use crate::store::queries::spaces;
use crate::store::read::ReadTx;
use crate::store::settings::Access;
use crate::store::statement::{Statement, sql};

sql! {
    LockSpace: BigInt = "SELECT version FROM memram WHERE id = ? FOR NO KEY UPDATE";
}

impl PostgresEngine {
    /// Opens a transaction and locks the space, on another connection if this one was lost.
    pub(super) fn lock(&mut self, space: MemRamId) -> Result<i64> {
        loop {
            match self.try_lock(space) {
                Err(Error::Server(ServerError::Lost { .. })) if !self.deadline.is_over() => self.reconnect()?,
                locked => return locked.inspect_err(|_| self.end()),
            }
        }
    }

    fn try_lock(&mut self, space: MemRamId) -> Result<i64> {
        if self.is_unsure || self.conn.is_outdated(&self.location) {
            self.reconnect()?;
        }
        let left = self.deadline.remaining().map_or(0, milliseconds);
        let sync = if self.syncs {
            String::new()
        } else {
            format!(" SET LOCAL synchronous_commit TO {};", unsynced(self.is_split()))
        };
        // Before anything is sent: it may fail halfway.
        self.state = State::Locked(space);
        let beginning = self.beginning;
        self.execute(&format!(
            "BEGIN; SET LOCAL lock_timeout TO {left};{sync} {beginning}; {}",
            self.pin()
        ))?;
        self.lock_row(space)
    }

    pub(super) fn lock_row(&mut self, space: MemRamId) -> Result<i64> {
        let tx = &mut ReadTx::new(&mut self.conn);
        let statement = Statement::<LockSpace, 1>::new([space.0.into()]);
        let version = on_engine!(tx, |conn| statement.get_result::<i64>(conn));
        let version = version.optional();
        match self.explained(version)? {
            Some(version) => Ok(version),
            None => Err(spaces::gone(&mut ReadTx::new(&mut self.conn), space)),
        }
    }

    /// Opens another connection, after which nothing that was known is certain: if the server has
    /// crashed, its last commits may be undone, and others may have reached the same version since.
    pub(super) fn reconnect(&mut self) -> Result<()> {
        self.is_unsure = true;
        self.is_another = true;
        self.conn = self.location.reconnect(Access::Write, self.deadline)?;
        self.is_unsure = false;
        Ok(())
    }
}
