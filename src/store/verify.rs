//! Whether the schema in a file is this crate's, before anything in it is run.
//!
//! Views and triggers are code that comes with the file: a view may be one that never
//! ends, a trigger may change what the books do not know. Tables and views that others
//! keep beside the heap are theirs, and never looked at.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use diesel::Connection;
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
/// make it, or to which triggers or indexes were added.
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
            None => return Err(altered(row, "is missing")),
        }
    }
    // What is left is not the heap's; on the heap's tables it would run at every write.
    let ours = |name: &str| expected.values().any(|row| row.table.eq_ignore_ascii_case(name));
    let foreign = found.values().find(|row| row.kind != "table" && ours(&row.table));
    match foreign {
        Some(row) if row.kind != "view" => Err(altered(
            row,
            "was added to a table of the heap; drop it to use the heap",
        )),
        _ => Ok(()),
    }
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
