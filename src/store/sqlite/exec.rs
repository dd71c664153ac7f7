//! Statements that have no place in Diesel's query builder: PRAGMAs, and UPDATEs that
//! must stay prepared.

use std::marker::PhantomData;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};

use crate::error::Result;
use crate::store::conn::Conn;
use crate::value::ObjectId;

/// The text of a statement, with `?` for each value.
pub(in crate::store) trait Sql: 'static {
    const TEXT: &'static str;
}

macro_rules! sql {
    ($($name:ident = $text:expr;)*) => {
        $(struct $name;
        impl Sql for $name {
            const TEXT: &'static str = $text;
        })*
    };
}
pub(in crate::store) use sql;

/// A statement that returns rows of these types.
pub(in crate::store) trait Returning: Sql {
    type Types;
}

/// A statement whose text never changes. Diesel builds and prepares an `update` again at each
/// call, because its text could differ; this one tells Diesel that it does not, and so stays
/// prepared.
pub(in crate::store) struct Statement<'a, S, const N: usize> {
    values: [Value<'a>; N],
    sql: PhantomData<S>,
}

#[derive(Clone, Copy, PartialEq)]
pub(in crate::store) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    Id(&'a ObjectId),
}

impl Value<'_> {
    /// Puts the value into a statement.
    pub(in crate::store) fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        match self {
            Value::Null => out.push_bind_param::<Nullable<BigInt>, _>(&None::<i64>),
            Value::Int(value) => out.push_bind_param::<BigInt, _>(value),
            Value::Text(value) => out.push_bind_param::<Text, _>(*value),
            Value::Blob(value) => out.push_bind_param::<Binary, _>(*value),
            Value::Id(id) => out.push_bind_param::<Text, _>(*id),
        }
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'a> From<&'a ObjectId> for Value<'a> {
    fn from(id: &'a ObjectId) -> Self {
        Self::Id(id)
    }
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
    /// Split at compile time, because Diesel walks through the text each time it collects values.
    const TEXT: (&'static str, [&'static str; N]) = split(S::TEXT);

    /// The statement `S` with its values.
    pub fn new(values: [Value<'a>; N]) -> Self {
        let sql = PhantomData;
        Self { values, sql }
    }

    /// Executes the statement `S` and returns the number of rows it changed. Only the engine can call
    /// this, so queries cannot write.
    pub(in crate::store::sqlite) fn run(conn: &mut SqliteConnection, values: [Value<'a>; N]) -> QueryResult<usize> {
        conn.execute_returning_count(&Self::new(values))
    }
}

impl<S: Sql, const N: usize> QueryFragment<Sqlite> for Statement<'_, S, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let (before, after) = Self::TEXT;
        out.push_sql(before);
        for (value, text) in self.values.iter().zip(after) {
            value.push(&mut out)?;
            out.push_sql(text);
        }
        Ok(())
    }
}

/// The text before the first `?` and after each one. Runs at compile time.
#[allow(clippy::indexing_slicing, reason = "out of bounds is an error of the compiler")]
const fn split<const N: usize>(text: &str) -> (&str, [&str; N]) {
    let mut after = [""; N];
    let mut rest = text;
    let mut at = text.len();
    let mut values = N;
    while at > 0 {
        at -= 1;
        if text.as_bytes()[at] == b'?' {
            values -= 1;
            after[values] = rest.split_at(at + 1).1;
            rest = rest.split_at(at).0;
        }
    }
    assert!(values == 0, "a statement needs one `?` per value");
    (rest, after)
}

impl<S: Sql, const N: usize> QueryId for Statement<'_, S, N> {
    type QueryId = S;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<S: Returning, const N: usize> Query for Statement<'_, S, N> {
    type SqlType = S::Types;
}

impl<S: Returning, const N: usize> RunQueryDsl<SqliteConnection> for Statement<'_, S, N> {}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The value of a numeric PRAGMA.
#[allow(clippy::disallowed_methods, reason = "Diesel has no PRAGMAs")]
pub(in crate::store) fn pragma(conn: &mut Conn, name: &'static str) -> Result<i64> {
    let Conn::Sqlite(conn) = conn;
    let query = diesel::sql_query(format!("SELECT {name} AS number FROM pragma_{name}"));
    Ok(query.get_result::<Number>(conn)?.number)
}

/// `PRAGMA data_version`, which changes when another connection has written.
pub(in crate::store) fn data_version(conn: &mut SqliteConnection) -> QueryResult<i64> {
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

/// A row of `sqlite_schema`.
#[derive(Debug, Clone, PartialEq, Eq, diesel::QueryableByName)]
pub(in crate::store) struct SchemaRow {
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    /// The table that an index or a trigger is on.
    #[diesel(sql_type = Text)]
    pub table: String,
    #[diesel(sql_type = Text)]
    pub sql: String,
}

/// The schema, without automatic indexes.
#[allow(clippy::disallowed_methods, reason = "sqlite_schema is not a table of this crate")]
pub(in crate::store) fn schema(conn: &mut Conn) -> Result<Vec<SchemaRow>> {
    let Conn::Sqlite(conn) = conn;
    let text = r#"SELECT type AS kind, name, tbl_name AS "table", sql FROM sqlite_schema WHERE sql IS NOT NULL"#;
    Ok(diesel::sql_query(text).load(conn)?)
}
