//! The SQL statements behind each [`Rule`] of the catalogue and each [`Fix`].
#![allow(
    clippy::disallowed_methods,
    reason = "one of the files that write rows: corrections are SQL text"
)]

mod contents;
mod fixes;
mod levels;
mod rules;
mod statements;
#[cfg(test)]
mod tests;
mod totals;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

pub(in crate::store) use fixes::execute;

use crate::books::rules::{FoundBy, Rule};
use crate::error::Result;
use crate::store::conn::Conn;
use crate::store::repair::RepairConn;
use rules::statements_of;

/// A row that breaks a rule.
#[derive(Debug, QueryableByName)]
pub(crate) struct Broken {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = Nullable<Text>)]
    pub key: Option<String>,
    #[diesel(sql_type = Text)]
    pub expected: String,
    #[diesel(sql_type = Text)]
    pub found: String,
}

const IN_VIEW: &str = "SELECT coalesce(id, 0) AS id, key, expected, found FROM violations WHERE rule = ?";

/// An entry without the key that follows its object's.
const STRAY: &str = "SELECT l.id, NULL AS key, '' AS expected, '' AS found
    FROM ledger l LEFT JOIN ledger p ON p.id = l.id - 1 AND p.stored_object_id = l.stored_object_id
    WHERE l.id <> l.stored_object_id + l.seq OR (l.seq <> 0 AND p.id IS NULL) LIMIT 1";

impl RepairConn for SqliteConnection {
    fn broken(&mut self, rule: &Rule) -> Result<Vec<Broken>> {
        match rule.found {
            FoundBy::View => Ok(diesel::sql_query(IN_VIEW).bind::<Text, _>(rule.name).load(self)?),
            FoundBy::Repair => Ok(diesel::sql_query(statements_of(rule)?.find.unwrap_or_default()).load(self)?),
        }
    }

    fn has_stray_entries(&mut self) -> Result<bool> {
        Ok(!diesel::sql_query(STRAY).load::<Broken>(self)?.is_empty())
    }

    fn enforce_constraints(&mut self) -> Result<()> {
        Ok(self.batch_execute("PRAGMA ignore_check_constraints = OFF;")?)
    }
}

/// Disables the constraints of a connection, so that it can write rows that are still partly wrong.
/// Every rule is checked again before the commit.
pub(in crate::store) fn lift_constraints(conn: &mut Conn) -> Result<()> {
    Ok(conn.batch_execute("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;")?)
}
