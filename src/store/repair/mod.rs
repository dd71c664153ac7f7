//! Repair: the operations of a unit of work, and the SQL behind each [`Rule`] of the catalogue and each
//! [`Fix`]. The statements are the same on every engine.
#![allow(
    clippy::disallowed_methods,
    reason = "one of the files that write rows: corrections are SQL text"
)]

mod contents;
mod fixes;
mod levels;
mod statements;
#[cfg(test)]
mod tests;
mod totals;

use std::ops::ControlFlow;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

pub(in crate::store) use fixes::execute;

use super::conn::Conn;
#[cfg(feature = "postgres")]
use super::postgres::lifted;
use super::queries::audit::{Found, Violation};
use super::read::ReadTx;
use super::session::WriteTx;
use crate::books::change::Change;
use crate::books::fix::Fix;
use crate::books::rules::{FoundBy, RULES, Rule};
use crate::error::Result;
use crate::models::schema::violations;
use statements::{spelled, statements_of};

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

#[cfg(feature = "postgres")]
const SUSPECTS: &str = "SELECT DISTINCT rule AS name FROM violations";

/// The rules of the view that rows may break now; all of them if that is not known.
#[derive(Debug)]
pub(crate) struct Suspects(Option<Vec<Suspect>>);

#[derive(Debug, QueryableByName)]
struct Suspect {
    #[diesel(sql_type = Text)]
    name: String,
}

impl Suspects {
    pub fn include(&self, rule: &Rule) -> bool {
        match (&self.0, &rule.found) {
            (Some(suspects), FoundBy::View) => suspects.iter().any(|suspect| suspect.name == rule.name),
            _ => true,
        }
    }
}

/// An entry without the key that follows its object's.
const STRAY: &str = "SELECT l.id, CAST(NULL AS TEXT) AS key, '' AS expected, '' AS found
    FROM ledger l LEFT JOIN ledger p ON p.id = l.id - 1 AND p.stored_object_id = l.stored_object_id
    WHERE l.id <> CAST(l.stored_object_id AS NUMERIC) + l.seq OR (l.seq <> 0 AND p.id IS NULL) LIMIT 1";

/// How to enable the constraints again that a repair has lifted.
#[derive(Debug)]
pub(crate) struct Lifted(Vec<String>);

/// Rules about single rows, most of which a CHECK enforces.
const OF_ROWS: [&str; 14] = [
    "sequence",
    "heap_row",
    "space_row",
    "class_row",
    "entry_length",
    "reservation_row",
    "entry_empty",
    "object_type",
    "hold_until",
    "name_empty",
    "event_row",
    "kind_row",
    "quota_row",
    "recency_row",
];

impl ReadTx<'_> {
    /// Passes each row that breaks a rule about single rows to `found`. O(rows).
    pub(in crate::store) fn broken_rows(&mut self, found: Found<'_>) -> Result<ControlFlow<()>> {
        self.scanning(|tx| {
            for rule in RULES.iter().filter(|rule| OF_ROWS.contains(&rule.name)) {
                for broken in broken(tx.conn()?, rule)? {
                    let violation = Violation {
                        invariant: rule.invariant,
                        table: rule.table.to_owned(),
                        id: Some(broken.id),
                        expected: broken.expected,
                        found: broken.found,
                    };
                    if found(violation).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

impl WriteTx<'_> {
    /// Lifts the constraints before the first correction, so that rows may be partly wrong between two of
    /// them. On a server, readers wait from here on.
    pub fn lift_constraints(&mut self) -> Result<Lifted> {
        #[cfg(feature = "postgres")]
        let space = self.space();
        self.read(|tx| match tx.conn()? {
            // SQLite cannot do so in a transaction, so its connection has none from the beginning.
            Conn::Sqlite(_) => Ok(Lifted(Vec::new())),
            #[cfg(feature = "postgres")]
            Conn::Postgres(conn) => Ok(Lifted(lifted::lift(conn, space)?)),
        })
    }

    /// Enables the constraints again, for the check before the commit.
    pub fn enforce_constraints(&mut self, lifted: Option<&Lifted>) -> Result<()> {
        self.read(|tx| {
            let conn = tx.conn()?;
            for statement in lifted.iter().flat_map(|lifted| &lifted.0) {
                conn.batch_execute(statement)?;
            }
            match conn {
                Conn::Sqlite(conn) => conn.batch_execute("PRAGMA ignore_check_constraints = OFF")?,
                #[cfg(feature = "postgres")]
                Conn::Postgres(_) => {}
            }
            Ok(())
        })
    }

    /// The rules that are currently broken. A server plans the whole view for each rule that is asked for, so
    /// this saves many statements there. SQLite keeps its plan from one rule to the next, and is not asked.
    pub fn suspects(&mut self) -> Result<Suspects> {
        self.read(|tx| match tx.conn()? {
            Conn::Sqlite(_) => Ok(Suspects(None)),
            #[cfg(feature = "postgres")]
            Conn::Postgres(conn) => Ok(Suspects(Some(diesel::sql_query(SUSPECTS).load(conn)?))),
        })
    }

    /// The rows that currently break a rule. O(rows).
    pub fn broken(&mut self, rule: &Rule) -> Result<Vec<Broken>> {
        self.read(|tx| Ok(broken(tx.conn()?, rule)?))
    }

    /// Whether some entries do not have the keys that follow their object's. O(entries).
    pub fn has_stray_entries(&mut self) -> Result<bool> {
        self.read(|tx| Ok(!find(tx.conn()?, STRAY)?.is_empty()))
    }

    /// Corrects one row, or one object.
    pub fn fix(&mut self, fix: Fix<'_>) -> Result<()> {
        self.apply(Change::Fixed(fix))
    }
}

fn broken(conn: &mut Conn, rule: &Rule) -> QueryResult<Vec<Broken>> {
    match rule.found {
        FoundBy::View => {
            // It stays prepared: compiling the view takes longer than reading a small heap.
            let query = violations::table.filter(violations::rule.eq(rule.name));
            let columns = (violations::id, violations::key, violations::expected, violations::found);
            let rows: Vec<(Option<i64>, _, _, _)> = query.select(columns).load(conn)?;
            let broken = rows.into_iter().map(|(id, key, expected, found)| Broken {
                id: id.unwrap_or_default(),
                key,
                expected,
                found,
            });
            Ok(broken.collect())
        }
        FoundBy::Repair => find(conn, statements_of(rule)?.find.unwrap_or_default()),
    }
}

fn find(conn: &mut Conn, text: &str) -> QueryResult<Vec<Broken>> {
    diesel::sql_query(spelled(conn, text)).load(conn)
}
