//! Checks that the schema in a file is this crate's, before anything in it is run.
//!
//! Views and triggers are code that comes with the file: a view may never end, and a trigger may make
//! changes that bypass the books. Tables and views of others in the file are ignored.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use diesel::connection::SimpleConnection;
use sha2::{Digest, Sha256};

use super::exec;
use super::migrations::in_memory;
use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::queries::audit::Violation;
use crate::store::read::ReadTx;
use crate::store::schema_fault::{Fault, SchemaRow};
use crate::store::sqlite::location::FileLocation;

/// Rows of `sqlite_schema` by kind and name, in lower case, as SQLite compares names. A trigger may
/// have the name of a table.
type Schema = BTreeMap<(String, String), SchemaRow>;

/// SHA-256 of the schema that the migrations create. Running them takes longer than everything else
/// about opening a file, and most files have exactly this schema.
const FINGERPRINT: &str = "609c6c4b92e6f448d272ac54dce27aab4966c6755bb9214855f5c11b5978e0a1";

impl ReadTx<'_> {
    /// The differences between the schema and that of the migrations. Runs nothing of it.
    pub fn schema_faults(&mut self) -> Result<Vec<Fault>> {
        let conn = self.conn()?;
        #[cfg(feature = "postgres")]
        if let Conn::Postgres(_) = conn {
            return crate::store::postgres::verify::faults_in_transaction(conn);
        }
        faults(conn)
    }
}

/// The differences between the schema and that of the migrations, parts of the heap first. Runs
/// nothing of it.
pub(in crate::store) fn faults(conn: &mut Conn) -> Result<Vec<Fault>> {
    let mut found = by_kind_and_name(exec::schema(conn)?);
    if fingerprint(&found) == FINGERPRINT {
        return Ok(Vec::new());
    }
    let all = expected()?;
    let mut faults = Vec::new();
    for (key, row) in all {
        // Tables, views and indexes share one namespace.
        let namesake = || {
            let kinds = ["table", "view", "index"].into_iter().filter(|_| row.kind != "trigger");
            kinds
                .filter_map(|kind| found.get(&(kind.to_owned(), key.1.clone())))
                .next()
                .cloned()
        };
        let there = found.get(key).cloned().or_else(namesake);
        if there.as_ref() != Some(row)
            && !(row.name == DIESELS && there.as_ref().is_some_and(|there| there.kind == row.kind))
        {
            faults.push(Fault::new(Some(row.clone()), there));
        }
        found.remove(key);
    }
    // What remains is not part of the heap. If it is on the heap's tables, it would run with every write.
    let ours = |name: &str| all.values().any(|row| row.table.eq_ignore_ascii_case(name));
    let foreign = found
        .into_values()
        .filter(|row| ["index", "trigger"].contains(&row.kind.as_str()) && ours(&row.table));
    faults.extend(foreign.map(|row| Fault::new(None, Some(row))));
    Ok(faults)
}

/// Refuses a schema in which a part of the heap is missing or altered, or to which triggers, or
/// indexes on expressions, were added. Returns whether indexes are missing, which opening for writing creates.
pub(in crate::store) fn verify_schema(conn: &mut Conn, named: &Path) -> Result<bool> {
    let (harmless, faults): (Vec<_>, Vec<_>) = faults(conn)?.into_iter().partition(Fault::is_harmless);
    if !faults.is_empty() {
        return Err(Fault::error(&faults, named));
    }
    Ok(harmless.iter().any(|fault| !fault.is_extra_index()))
}

/// Recreates missing and altered parts from the text of the migrations, and returns them.
///
/// Altered parts do not run: SQLite drops a view or trigger without parsing it.
pub(in crate::store) fn restore_parts(conn: &mut Conn, location: &FileLocation) -> Result<Vec<Violation>> {
    let named = location.named();
    let mut faults = faults(conn)?;
    faults.retain(|fault| !fault.is_extra_index());
    if !faults.iter().all(Fault::can_be_restored) {
        faults.retain(|fault| !fault.can_be_restored());
        return Err(Fault::error(&faults, named));
    }
    // The tables are as they should be, so they can be read.
    location.bound_by_file(conn, false)?;
    let drops = faults.iter().filter_map(Fault::found);
    for row in drops {
        conn.batch_execute(&format!("DROP {} \"{}\"", row.kind, row.name.replace('"', "\"\"")))?;
    }
    for row in faults.iter().filter_map(Fault::expected) {
        conn.batch_execute(&row.sql).map_err(|error| Error::Damaged {
            what: format!(
                "the {} {:?} of the schema cannot be recreated ({error})",
                row.kind, row.name
            ),
        })?;
    }
    verify_schema(conn, named)?;
    Ok(faults.iter().map(Fault::violation).collect())
}

/// Diesel's own table, whose text may change with Diesel's version.
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

/// The schema of the migrations, created once, in memory.
fn expected() -> Result<&'static Schema> {
    static EXPECTED: OnceLock<Schema> = OnceLock::new();
    if let Some(expected) = EXPECTED.get() {
        return Ok(expected);
    }
    let schema = by_kind_and_name(exec::schema(&mut in_memory()?)?);
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
fn the_fingerprint_matches_the_migrations() {
    assert_eq!(fingerprint(expected().unwrap()), FINGERPRINT);
}
