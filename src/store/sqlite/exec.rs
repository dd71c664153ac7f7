//! Statements that have no place in Diesel's query builder: PRAGMAs, and the schema.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::BigInt;
use diesel::sqlite::{Sqlite, SqliteConnection};

use crate::error::Result;
use crate::store::conn::Conn;
use crate::store::schema_fault::SchemaRow;
use crate::store::statement::{Sql, Statement, Value};

/// Execution of a [`Statement`]. Only the engine can call it, so queries cannot write.
pub(in crate::store::sqlite) trait Run<'a, const N: usize> {
    /// Executes the statement with these values, and returns the number of rows it changed.
    fn run(conn: &mut SqliteConnection, values: [Value<'a>; N]) -> QueryResult<usize>;
}

impl<'a, S: Sql, const N: usize> Run<'a, N> for Statement<'a, S, N> {
    fn run(conn: &mut SqliteConnection, values: [Value<'a>; N]) -> QueryResult<usize> {
        conn.execute_returning_count(&Self::new(values))
    }
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The value of a numeric PRAGMA.
#[allow(clippy::disallowed_methods, reason = "Diesel has no PRAGMAs")]
pub(in crate::store) fn pragma(conn: &mut Conn, name: &'static str) -> Result<i64> {
    let conn = conn.sqlite()?;
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

/// The schema, without automatic indexes.
#[allow(clippy::disallowed_methods, reason = "sqlite_schema is not a table of this crate")]
pub(in crate::store) fn schema(conn: &mut Conn) -> Result<Vec<SchemaRow>> {
    let conn = conn.sqlite()?;
    let text = r#"SELECT type AS kind, name, tbl_name AS "table", sql FROM sqlite_schema WHERE sql IS NOT NULL"#;
    Ok(diesel::sql_query(text).load(conn)?)
}
