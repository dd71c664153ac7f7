//! Rows of a query that a person has written.
//!
//! The text becomes a subquery. So on any engine it can be nothing but a query: no PRAGMA, no `ATTACH` and no
//! second statement. What a query could still change by calling functions is up to the connection: a file is
//! `query_only` and loads no extensions, and on a server the transaction is `READ ONLY`.

#[cfg(feature = "postgres")]
mod server;
mod signs;
mod sql_query;

use std::ops::ControlFlow;

use diesel::connection::DefaultLoadingMode;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error as Refusal;
use diesel::row::{Field, Row};
use diesel::sql_types::{BigInt, Binary, Double, Untyped};
use diesel::sqlite::{Sqlite, SqliteConnection, SqliteType};

use self::signs::Dialect;
pub use self::signs::find_sign;
pub use self::sql_query::{SqlQuery, SqlValue};
use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::read::{Age, ReadTx};
use crate::store::statement::Value;

/// What to do with a row: its columns and its values.
pub type Take<'t> = &'t mut dyn FnMut(&[String], Vec<SqlValue>) -> ControlFlow<()>;

type Fields = Vec<(String, SqlValue)>;

/// Passes the rows of a query to `take`, and returns its columns.
pub fn each_row(tx: &mut ReadTx<'_>, query: &SqlQuery<'_>, take: Take<'_>) -> Result<Vec<String>> {
    let SqlQuery { text, values } = query;
    let dialect = Dialect::of(tx.is_on_server());
    let text = sql_query::without_end(text, dialect);
    let age = tx.age();
    let mut columns = Vec::new();
    let mut pass = |row: Fields| {
        let (names, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        if columns.is_empty() {
            columns = names;
        }
        take(&columns, values)
    };
    let explained = without_words(text, &["EXPLAIN", "QUERY", "PLAN"]);
    match tx.conn()? {
        Conn::Sqlite(conn) => {
            let (before, query) = match explained {
                Some(query) => ("EXPLAIN QUERY PLAN SELECT * FROM (\n", query),
                None => ("SELECT * FROM (\n", text),
            };
            let pieces = sql_query::split(query, values.len(), dialect)?;
            if sql_query::ends_subquery(query, dialect) {
                return Err(error_alone(conn, &pieces, values).map_or_else(sql_query::ended, failed));
            }
            let rows = Written::around(before, &pieces, "\n)", values);
            if let Err(refusal) = each_row_of_file(conn, rows, age, &mut pass)? {
                return Err(failed(error_alone(conn, &pieces, values).unwrap_or(refusal)));
            }
            if columns.is_empty() && explained.is_none() {
                // The join always returns a row, without values, which has the names. The limit keeps the query from
                // running again.
                let before = "SELECT q.* FROM (SELECT 1) LEFT JOIN (SELECT * FROM (\n";
                let one = Written::around(before, &pieces, "\n) LIMIT 0) q", values);
                let row = one.get_result::<Named>(conn).map_err(failed)?;
                columns = row.0.into_iter().map(|(name, _)| name).collect();
            }
        }
        #[cfg(feature = "postgres")]
        Conn::Postgres(conn) => server::each_row(conn, text, values, age, &mut pass)?,
    }
    #[cfg(feature = "postgres")]
    if columns.is_empty() && tx.is_on_server() {
        columns = server::columns(tx.conn()?, text, values)?;
    }
    Ok(columns)
}

/// Passes the rows of a statement to `pass`. The inner error is that of a text that is not a statement.
fn each_row_of_file(
    conn: &mut SqliteConnection,
    statement: Written<'_>,
    age: Age,
    pass: &mut dyn FnMut(Fields) -> ControlFlow<()>,
) -> Result<QueryResult<()>> {
    let rows = match statement.load_iter::<Named, DefaultLoadingMode>(conn) {
        Ok(rows) => rows,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for row in rows {
        age.check()?;
        if pass(row.map_err(failed)?.0).is_break() {
            break;
        }
    }
    Ok(Ok(()))
}

/// The rest of a text that begins with these words.
fn without_words<'t>(text: &'t str, words: &[&str]) -> Option<&'t str> {
    words.iter().try_fold(text, |text, word| {
        let (first, rest) = text.trim_start().split_at_checked(word.len())?;
        let is_word = first.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace);
        is_word.then_some(rest)
    })
}

/// The error of SQLite about the query alone. Otherwise a message could name what was written around it.
fn error_alone(conn: &mut SqliteConnection, pieces: &[&str], values: &[SqlValue]) -> Option<Refusal> {
    let is_query = ["SELECT", "WITH", "VALUES"]
        .iter()
        .any(|word| without_words(pieces.first().unwrap_or(&""), &[word]).is_some());
    if !is_query {
        return None;
    }
    let explained = Written::around("EXPLAIN ", pieces, "", values);
    explained.load_iter::<Named, DefaultLoadingMode>(conn).err()
}

/// The error of a query, which is that of its text, unless it is about the heap.
fn failed(source: Refusal) -> Error {
    let said = source.to_string();
    let is_about_text = match &source {
        // What is malformed may also be JSON.
        Refusal::DatabaseError(diesel::result::DatabaseErrorKind::ReadOnlyTransaction, _) => true,
        _ => said.contains("malformed") && !said.contains("disk image"),
    };
    if is_about_text {
        let what = "the database refused";
        return Error::Database {
            what,
            source: source.into(),
        };
    }
    source.into()
}

/// A statement whose text is only known now: what is before the first value, and each value with what follows it.
struct Written<'v> {
    text: String,
    values: Vec<(Value<'v>, String)>,
}

impl<'v> Written<'v> {
    /// A query, in these pieces between its parameters, with something written around it.
    fn around(before: &str, pieces: &[&str], after: &str, values: &'v [SqlValue]) -> Self {
        let mut pieces = pieces.iter().map(|&piece| piece.to_owned());
        let mut text = before.to_owned() + &pieces.next().unwrap_or_default();
        let mut values: Vec<_> = values.iter().map(Value::from).zip(pieces).collect();
        values.last_mut().map_or(&mut text, |(_, last)| last).push_str(after);
        Self { text, values }
    }
}

impl QueryFragment<Sqlite> for Written<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql(&self.text);
        for (value, text) in &self.values {
            value.push(&mut out)?;
            out.push_sql(text);
        }
        Ok(())
    }
}

impl QueryId for Written<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Written<'_> {
    type SqlType = Untyped;
}

impl RunQueryDsl<SqliteConnection> for Written<'_> {}

/// A row of SQLite, where each value has its own type.
struct Named(Fields);

impl FromSqlRow<Untyped, Sqlite> for Named {
    fn build_from_row<'a>(row: &impl Row<'a, Sqlite>) -> deserialize::Result<Self> {
        let fields = (0..row.field_count()).map(|at| {
            let field = row.get(at).ok_or("a row has fewer values than columns")?;
            let name = field.field_name().unwrap_or_default().to_owned();
            let Some(value) = field.value() else {
                return Ok((name, SqlValue::Null));
            };
            let value = match value.value_type() {
                None => SqlValue::Null,
                Some(SqliteType::SmallInt | SqliteType::Integer | SqliteType::Long) => {
                    SqlValue::Integer(<i64 as FromSql<BigInt, Sqlite>>::from_sql(value)?)
                }
                Some(SqliteType::Float | SqliteType::Double) => {
                    SqlValue::Real(<f64 as FromSql<Double, Sqlite>>::from_sql(value)?)
                }
                Some(SqliteType::Text) => {
                    let text = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?;
                    SqlValue::Text(String::from_utf8_lossy(&text).into_owned())
                }
                Some(SqliteType::Binary) => SqlValue::Bytes(<Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?),
            };
            Ok((name, value))
        });
        fields.collect::<deserialize::Result<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_recognized_in_any_case_and_as_words() {
        let plan = |text| without_words(text, &["EXPLAIN", "QUERY", "PLAN"]);
        assert_eq!(plan(" explain\nQuery plan SELECT 1"), Some(" SELECT 1"));
        assert_eq!(plan("EXPLAIN SELECT 1"), None);
        assert_eq!(plan("explaining"), None);
        assert_eq!(plan("SELECT '✂'"), None);
    }
}
