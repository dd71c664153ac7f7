//! Whether the schema in a file is this crate's, before anything in it is run.
//!
//! Views and triggers are code that comes with the file: a view may be one that never
//! ends, a trigger may change what the books do not know. Tables and views that others
//! keep beside the heap are theirs, and never looked at.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use sha2::{Digest, Sha256};

use super::conn::Conn;
use super::exec::{self, SchemaRow};
use super::migrate;
use crate::error::{Error, Result};

/// Rows of `sqlite_schema` by kind and name, in lower case as SQLite compares names. A
/// trigger may be named as a table is.
type Schema = BTreeMap<(String, String), SchemaRow>;

/// SHA-256 of the schema that the migrations make. They take longer to run than all else
/// that opening a file does, and most files have this schema and no more.
const FINGERPRINT: &str = "01d0a47011b6f03073f7beb5a539f8c0f0d3374295756810eeab578d9b155d2f";

/// Refuses a schema in which a part of the heap is missing or other than the migrations
/// make it, or to which triggers were added, or indexes that are more than columns.
///
/// An index is neither code nor content: one of the heap's that is missing makes it slower,
/// and is what [`restore_indexes`] is for.
pub(super) fn verify_schema(conn: &mut Conn) -> Result<()> {
    let mut found = by_kind_and_name(exec::schema(conn)?);
    if fingerprint(&found) == FINGERPRINT {
        return Ok(());
    }
    let expected = expected()?;
    for (key, row) in expected {
        match found.remove(key) {
            Some(found) if found == *row => {}
            Some(_) if row.name == DIESELS => {}
            Some(_) => return Err(altered(row, "is not as this version of heapledger makes it")),
            None if row.kind == "index" => {}
            None => return Err(altered(row, "is missing")),
        }
    }
    // What is left is not the heap's; on the heap's tables it would run at every write.
    let ours = |name: &str| expected.values().any(|row| row.table.eq_ignore_ascii_case(name));
    let mut foreign = found.values().filter(|row| row.kind != "table" && ours(&row.table));
    let foreign = foreign.find(|row| !is_plain_index(row));
    match foreign {
        Some(row) if row.kind != "view" => Err(altered(
            row,
            "was added to a table of the heap; drop it to use the heap",
        )),
        _ => Ok(()),
    }
}

/// Whether somebody dropped an index of the heap's.
pub(super) fn lacks_indexes(conn: &mut Conn) -> Result<bool> {
    let found = by_kind_and_name(exec::schema(conn)?);
    let missing = |(key, row): (&(String, String), &SchemaRow)| row.kind == "index" && !found.contains_key(key);
    Ok(fingerprint(&found) != FINGERPRINT && expected()?.iter().any(missing))
}

/// Makes the heap's indexes that somebody dropped.
pub(super) fn restore_indexes(conn: &mut Conn) -> Result<()> {
    let found = by_kind_and_name(exec::schema(conn)?);
    let missing = expected()?
        .iter()
        .filter(|(key, row)| row.kind == "index" && !found.contains_key(*key));
    for (_, row) in missing {
        conn.batch_execute(&row.sql)?;
    }
    Ok(())
}

/// Whether an index is of columns alone: no expression, condition or collation can run
/// anything, and no rule of its own can refuse a row.
fn is_plain_index(row: &SchemaRow) -> bool {
    let Some(columns) = row
        .sql
        .split_once('(')
        .and_then(|(_, rest)| rest.trim_end().strip_suffix(')'))
    else {
        return false;
    };
    let start = row.sql.trim_start().to_ascii_lowercase();
    let is_column = |column: &str| {
        let mut words = column.split_whitespace();
        let name = words.next().unwrap_or_default().trim_matches('"');
        let order = words.next().map_or("asc".into(), str::to_ascii_lowercase);
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && ["asc", "desc"].contains(&order.as_str())
            && words.next().is_none()
    };
    row.kind == "index" && start.starts_with("create index") && columns.split(',').all(is_column)
}

/// Diesel's own table: how it is spelled is Diesel's, and may change with its version.
const DIESELS: &str = "__diesel_schema_migrations";

fn fingerprint(schema: &Schema) -> String {
    let mut hash = Sha256::new();
    for row in schema.values() {
        let sql = if row.name == DIESELS { "" } else { &row.sql };
        for part in [&row.kind, &row.name, &row.table, sql] {
            hash.update(part);
            hash.update([0]);
        }
    }
    const_hex::encode(hash.finalize())
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
    let schema = by_kind_and_name(exec::schema(&mut conn)?);
    Ok(EXPECTED.get_or_init(|| schema))
}

fn by_kind_and_name(rows: Vec<SchemaRow>) -> Schema {
    let keyed = rows
        .into_iter()
        .map(|row| ((row.kind.clone(), row.name.to_lowercase()), row));
    keyed.collect()
}

#[cfg(test)]
#[test]
fn the_fingerprint_is_that_of_the_migrations() {
    assert_eq!(fingerprint(expected().unwrap()), FINGERPRINT);
}
