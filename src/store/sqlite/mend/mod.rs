//! What repair may write: corrections of single rows, each a [`Change::Corrected`].
//!
//! A [`Rule`] names the rows that break an invariant and how one such row is mended.
//! Rules are data, in the order in which they must run: parents before children,
//! where things are; children before parents, what adds up.
#![allow(
    clippy::disallowed_methods,
    reason = "one of the files that write rows: corrections are SQL text"
)]

mod contents;
mod levels;
mod totals;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::SqliteConnection;

pub(crate) use contents::{
    ADD_NAME, BY_OBJECT, DISPLACED, EMPTY_ENTRIES, GIVE_CONTENT, GIVE_ID, GIVE_KEY, GIVE_KIND, HOLDS, MISNUMBERED,
    NAMES, NOT_BY_OBJECT, NUMBERED_ANEW, OBJECTS, REMOVE_OBJECT, RENAME, RENAME_BYTES, RENUMBER_BY_ID, RESTS, STRAY,
    TAKE_OUT, TYPE_NAMES,
};
pub(crate) use levels::LEVELS;
pub(crate) use totals::{BOUND_LATER, HISTORY, REPAIRED, TOTALS};

use super::conn::Conn;
use crate::books::change::Change;
use crate::error::Result;
use crate::store::session::WriteTx;

/// One rule of repair.
#[derive(Debug)]
pub(crate) struct Rule {
    pub invariant: &'static str,
    pub table: &'static str,
    /// The rows that break it, as `id`, `key` (the second half of a key in two parts,
    /// else NULL), `expected` and `found`.
    pub find: &'static str,
    pub mend: Mend,
}

/// Statements that mend one row: `?1` is its `id`, `?2` its `key`, and so on.
pub(crate) type Mend = &'static [&'static str];

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

/// A value of a correction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bind<'a> {
    Int(i64),
    Text(&'a str),
}

impl WriteTx<'_> {
    /// The rows that break a rule, now.
    pub fn broken(&mut self, rule: &Rule) -> Result<Vec<Broken>> {
        self.read(|conn| {
            let Conn::Sqlite(conn) = conn;
            Ok(diesel::sql_query(rule.find).load(conn)?)
        })
    }

    /// Mends one row.
    pub fn mend(&mut self, mend: Mend, binds: &[Bind<'_>]) -> Result<()> {
        self.apply(Change::Corrected { mend, binds })
    }
}

/// Executes a correction.
pub(in crate::store) fn execute(conn: &mut SqliteConnection, mend: Mend, binds: &[Bind<'_>]) -> QueryResult<usize> {
    let mut rows = 0;
    for text in mend {
        let mut query = diesel::sql_query(*text).into_boxed();
        // A statement may use fewer values than the correction has.
        for bind in binds.iter().take(placeholders(text)) {
            query = match *bind {
                Bind::Int(value) => query.bind::<BigInt, _>(value),
                Bind::Text(value) => query.bind::<Text, _>(value),
            };
        }
        rows += query.execute(conn)?;
    }
    Ok(rows)
}

/// The highest `?N` of a statement.
fn placeholders(text: &str) -> usize {
    let numbers = text.split('?').skip(1);
    let numbers = numbers.filter_map(|rest| rest.get(..1)?.parse().ok());
    numbers.max().unwrap_or(0)
}

/// Lets a connection write rows that are still wrong elsewhere, until repair is done:
/// every rule is checked again before the commit.
pub(crate) fn lift_constraints(conn: &mut Conn) -> Result<()> {
    Ok(conn.batch_execute("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;")?)
}

/// Puts the constraints in force again, for the check before the commit.
pub(crate) fn enforce_constraints(conn: &mut Conn) -> Result<()> {
    Ok(conn.batch_execute("PRAGMA ignore_check_constraints = OFF;")?)
}
