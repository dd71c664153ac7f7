//! Whether the schema in a file is this crate's, before anything in it is run.
//!
//! Views and triggers are code that comes with the file: a view may be one that never
//! ends, a trigger may change what the books do not know. Tables and views that others
//! keep beside the heap are theirs, and never looked at.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use diesel::Connection;

use super::conn::Conn;
use super::exec::{self, SchemaRow};
use super::migrate;
use crate::error::{Error, Result};

/// Rows of `sqlite_schema` by name, in lower case as SQLite compares names.
type Schema = BTreeMap<String, SchemaRow>;

/// Refuses a schema in which a part of the heap is missing or other than the migrations
/// make it, or to which triggers or indexes were added.
pub(super) fn verify_schema(conn: &mut Conn) -> Result<()> {
    let expected = expected()?;
    let mut found = by_name(exec::schema(conn)?);
    for (name, row) in expected {
        match found.remove(name) {
            Some(found) if found == *row => {}
            // How Diesel spells its own table is Diesel's, and may change with its version.
            Some(_) if name == "__diesel_schema_migrations" => {}
            Some(_) => return Err(altered(row, "is not as this version of heapledger makes it")),
            None => return Err(altered(row, "is missing")),
        }
    }
    // What is left is not the heap's; on the heap's tables it would run at every write.
    let foreign = found
        .values()
        .find(|row| row.kind != "table" && expected.contains_key(&row.table.to_lowercase()));
    match foreign {
        Some(row) if row.kind != "view" => Err(altered(
            row,
            "was added to a table of the heap; drop it to use the heap",
        )),
        _ => Ok(()),
    }
}

fn altered(row: &SchemaRow, how: &str) -> Error {
    Error::Damaged {
        what: format!("the {} {:?} of the schema {how}", row.kind, row.name),
    }
}

/// What the migrations make: found out once, in memory.
fn expected() -> Result<&'static Schema> {
    static EXPECTED: OnceLock<Schema> = OnceLock::new();
    if let Some(expected) = EXPECTED.get() {
        return Ok(expected);
    }
    let memory = diesel::SqliteConnection::establish(":memory:").map_err(|source| Error::Database {
        what: "no database in memory",
        source: Box::new(source),
    })?;
    let mut conn = Conn::Sqlite(memory);
    migrate::run_migrations(&mut conn)?;
    let schema = by_name(exec::schema(&mut conn)?);
    Ok(EXPECTED.get_or_init(|| schema))
}

fn by_name(rows: Vec<SchemaRow>) -> Schema {
    rows.into_iter().map(|row| (row.name.to_lowercase(), row)).collect()
}
