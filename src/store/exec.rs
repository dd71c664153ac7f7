//! Statements that have no place in Diesel's query builder: PRAGMAs, and UPDATEs that
//! must stay prepared.

use std::marker::PhantomData;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::conn::Conn;
use super::queries::audit::Violation;
use crate::error::Result;

/// The text of a statement, with `?` for each value.
pub(in crate::store) trait Sql: 'static {
    const TEXT: &'static str;
}

/// A statement that returns rows of these types.
pub(in crate::store) trait Rows: Sql {
    type Types;
}

/// A statement whose text never changes. Diesel rebuilds and prepares an `update`
/// anew at each call, because its text could differ; this one tells Diesel that it
/// does not, and so stays prepared.
pub(in crate::store) struct Statement<'a, S, const N: usize> {
    values: [Value<'a>; N],
    sql: PhantomData<S>,
}

pub(in crate::store) enum Value<'a> {
    Int(i64),
    Text(&'a str),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a, S: Sql, const N: usize> Statement<'a, S, N> {
    /// The statement `S` with its values.
    pub fn new(values: [Value<'a>; N]) -> Self {
        let sql = PhantomData;
        Self { values, sql }
    }

    /// Executes the statement `S` and returns the number of rows it touched.
    pub fn run(conn: &mut SqliteConnection, values: [Value<'a>; N]) -> QueryResult<usize> {
        Self::new(values).execute(conn)
    }
}

impl<S: Sql, const N: usize> QueryFragment<Sqlite> for Statement<'_, S, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut values = self.values.iter();
        for (index, text) in S::TEXT.split('?').enumerate() {
            if index > 0 {
                match values.next() {
                    Some(Value::Int(value)) => out.push_bind_param::<BigInt, _>(value)?,
                    Some(Value::Text(value)) => out.push_bind_param::<Text, _>(*value)?,
                    None => return Err(diesel::result::Error::NotFound),
                }
            }
            out.push_sql(text);
        }
        Ok(())
    }
}

impl<S: Sql, const N: usize> QueryId for Statement<'_, S, N> {
    type QueryId = S;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<S: Rows, const N: usize> Query for Statement<'_, S, N> {
    type SqlType = S::Types;
}

impl<S: Sql, const N: usize> RunQueryDsl<SqliteConnection> for Statement<'_, S, N> {}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The value of a numeric PRAGMA.
#[allow(clippy::disallowed_methods, reason = "Diesel has no PRAGMAs")]
pub(super) fn pragma(conn: &mut Conn, name: &'static str) -> Result<i64> {
    let Conn::Sqlite(conn) = conn;
    let query = diesel::sql_query(format!("SELECT {name} AS number FROM pragma_{name}"));
    Ok(query.get_result::<Number>(conn)?.number)
}

/// `PRAGMA data_version`, which changes when another connection has written.
pub(super) fn data_version(conn: &mut SqliteConnection) -> QueryResult<i64> {
    DataVersion.get_result(conn)
}

#[derive(QueryId)]
struct DataVersion;

impl QueryFragment<Sqlite> for DataVersion {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("PRAGMA data_version");
        Ok(())
    }
}

impl Query for DataVersion {
    type SqlType = BigInt;
}

impl RunQueryDsl<SqliteConnection> for DataVersion {}

/// Bytes of the file, bytes of its pages on the free list, and bytes of a page.
pub(crate) fn file_sizes(conn: &mut Conn) -> Result<(i64, i64, i64)> {
    let page_size = pragma(conn, "page_size")?;
    let pages = pragma(conn, "page_count")?;
    let free = pragma(conn, "freelist_count")?;
    Ok((pages * page_size, free * page_size, page_size))
}

/// Gives the file's free pages back to the file system.
pub(crate) fn vacuum_and_truncate(conn: &mut Conn) -> Result<()> {
    // Each step of the pragma moves one page, and ends with a row.
    conn.batch_execute("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

#[derive(diesel::QueryableByName)]
struct Message {
    #[diesel(sql_type = Text)]
    message: String,
}

/// SQLite's own checks of the file: `foreign_key_check` and, unless `quick`, `integrity_check`.
#[allow(clippy::disallowed_methods, reason = "Diesel has no PRAGMAs")]
pub(crate) fn sqlite_checks(conn: &mut Conn, quick: bool) -> Result<Vec<Violation>> {
    let Conn::Sqlite(conn) = conn;
    let mut found = Vec::new();
    let violation = |invariant: &str, expected: &str, found| Violation {
        invariant: invariant.to_owned(),
        table: "sqlite".to_owned(),
        id: None,
        expected: expected.to_owned(),
        found,
    };
    if !quick {
        let query = diesel::sql_query("SELECT integrity_check AS message FROM pragma_integrity_check");
        let messages: Vec<Message> = query.load(conn)?;
        let bad = messages.into_iter().filter(|row| row.message != "ok");
        found.extend(bad.map(|row| violation("integrity_check", "ok", row.message)));
    }
    let query = diesel::sql_query(
        "SELECT printf('row %d of %s has no row in %s', rowid, \"table\", parent) AS message FROM pragma_foreign_key_check",
    );
    let messages: Vec<Message> = query.load(conn)?;
    found.extend(
        messages
            .into_iter()
            .map(|row| violation("foreign_key_check", "a parent for each row", row.message)),
    );
    Ok(found)
}
