//! Checks that the schema in a file is this crate's, before anything in it is run.
//!
//! Views and triggers are code that comes with the file: a view may never end, and a trigger may make
//! changes that bypass the books. Tables and views of others in the file are ignored.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use diesel::connection::SimpleConnection;
use sha2::{Digest, Sha256};

use super::exec::{self, SchemaRow};
use super::migrations::in_memory;
use crate::books::invariants::Invariant;
use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::queries::audit::Violation;
use crate::store::read::ReadTx;
use crate::store::sqlite::location::FileLocation;

/// Rows of `sqlite_schema` by kind and name, in lower case, as SQLite compares names. A trigger may
/// have the name of a table.
type Schema = BTreeMap<(String, String), SchemaRow>;

/// SHA-256 of the schema that the migrations create. Running them takes longer than everything else
/// about opening a file, and most files have exactly this schema.
const FINGERPRINT: &str = "7075a071047935151ac85d6df0c63df45f94af2ac03a8be56825e1d0440800ff";

/// A part of the schema that differs from that of the migrations.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The expected part, if it is one of the heap's.
    expected: Option<&'static SchemaRow>,
    /// The actual part, if it exists.
    found: Option<SchemaRow>,
}

impl Fault {
    /// Whether opening the file can correct or ignore it: an index is neither code nor content. A
    /// missing index of the heap only makes it slower.
    pub fn is_harmless(&self) -> bool {
        self.expected.is_none_or(|row| row.kind == "index") && self.found.as_ref().is_none_or(is_plain_index)
    }

    /// Whether it is a harmless index that somebody added.
    pub fn is_extra_index(&self) -> bool {
        self.expected.is_none() && self.is_harmless()
    }

    /// Whether it can be recreated from the migrations. A table cannot, because it has content.
    pub fn can_be_restored(&self) -> bool {
        self.is_extra_index()
            || self.expected.is_some_and(|row| {
                row.kind != "table" && self.found.as_ref().is_none_or(|found| found.kind == row.kind)
            })
    }

    /// The kind and name of the part.
    pub fn part(&self) -> String {
        match (self.expected, &self.found) {
            (Some(row), _) | (None, Some(row)) => format!("the {} {:?}", row.kind, row.name),
            (None, None) => String::new(),
        }
    }

    pub fn name(&self) -> &str {
        let row = self.expected.or(self.found.as_ref());
        row.map_or("", |row| &row.name)
    }

    /// The table of an index or trigger.
    pub fn table(&self) -> &str {
        let row = self.expected.or(self.found.as_ref());
        row.map_or("", |row| &row.table)
    }

    /// What is wrong with it, and what to do if it cannot be restored.
    pub fn what(&self) -> String {
        let part = self.part();
        match (self.expected, &self.found) {
            (Some(row), Some(found)) if row.kind != found.kind => {
                format!(
                    "{part} is missing, but a {} has its name: rename or drop that",
                    found.kind
                )
            }
            (Some(row), found) => {
                let how = found
                    .as_ref()
                    .map_or("is missing", |_| "is not as heapledger creates it");
                match row.kind.as_str() {
                    "table" => format!(
                        "{part} {how}, and nothing restores it: go back to a backup, or take the rows out with `sqlite3 FILE .recover`"
                    ),
                    _ => format!("{part} {how}"),
                }
            }
            (None, _) => {
                let row = self.found.as_ref();
                let (kind, name) = row.map_or(("", ""), |row| (&row.kind, &row.name));
                let name = name.replace('"', "\"\"");
                format!(
                    "{part} was added to the table {:?} of the heap, and would run when that changes: drop it with `DROP {} \"{name}\"` in sqlite3",
                    self.table(),
                    kind.to_uppercase(),
                )
            }
        }
    }

    /// The faults as violations, except for additional indexes.
    pub fn violations(faults: &[Self]) -> Vec<Violation> {
        let wrong = faults.iter().filter(|fault| !fault.is_extra_index());
        wrong.map(Self::violation).collect()
    }

    fn violation(&self) -> Violation {
        let found = match (self.expected, &self.found) {
            (Some(_), None) => "none".into(),
            (Some(row), Some(found)) if row.kind == found.kind && row.kind != "table" => "another definition".into(),
            _ => self.what(),
        };
        let expected = match self.expected {
            Some(_) => self.part(),
            None => format!(
                "no {} on the table {:?}",
                self.found.as_ref().map_or("", |row| &row.kind),
                self.table()
            ),
        };
        Violation {
            invariant: Invariant::Schema,
            table: "sqlite_schema".into(),
            id: None,
            expected,
            found,
        }
    }
}

impl ReadTx<'_> {
    /// The differences between the schema and that of the migrations. Runs nothing of it.
    pub fn schema_faults(&mut self) -> Result<Vec<Fault>> {
        faults(self.conn()?)
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
            faults.push(Fault {
                expected: Some(row),
                found: there,
            });
        }
        found.remove(key);
    }
    // The rest is not part of the heap; on its tables it would run with every write.
    let ours = |name: &str| all.values().any(|row| row.table.eq_ignore_ascii_case(name));
    let foreign = found
        .into_values()
        .filter(|row| ["index", "trigger"].contains(&row.kind.as_str()) && ours(&row.table));
    faults.extend(foreign.map(|row| Fault {
        expected: None,
        found: Some(row),
    }));
    Ok(faults)
}

/// Refuses a schema in which a part of the heap is missing or altered, or to which triggers, or
/// indexes on expressions, were added.
pub(in crate::store) fn verify_schema(conn: &mut Conn, named: &Path) -> Result<()> {
    let mut faults = faults(conn)?;
    faults.retain(|fault| !fault.is_harmless());
    if faults.is_empty() {
        Ok(())
    } else {
        Err(altered(&faults, named))
    }
}

/// Whether indexes are missing, which opening for writing creates.
pub(in crate::store) fn lacks_indexes(conn: &mut Conn) -> Result<bool> {
    Ok(faults(conn)?
        .iter()
        .any(|fault| fault.is_harmless() && !fault.is_extra_index()))
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
        return Err(altered(&faults, named));
    }
    // The tables are as they should be, so they can be read.
    location.bound_by_file(conn, false)?;
    let drops = faults.iter().filter_map(|fault| fault.found.as_ref());
    for row in drops {
        conn.batch_execute(&format!("DROP {} \"{}\"", row.kind, row.name.replace('"', "\"\"")))?;
    }
    for row in faults.iter().filter_map(|fault| fault.expected) {
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

/// At most this many parts are named in a message.
const NAMED: usize = 3;

fn altered(faults: &[Fault], named: &Path) -> Error {
    let mut parts: Vec<_> = faults.iter().map(Fault::what).take(NAMED).collect();
    if faults.len() > NAMED {
        parts.push(format!("and {} more", faults.len() - NAMED));
    }
    Error::AlteredSchema {
        path: named.to_owned(),
        what: parts.join("; "),
        can_be_restored: faults.iter().all(Fault::can_be_restored),
    }
}

/// Whether an index has only plain columns, so that no expression, condition or collation runs
/// anything, and it cannot refuse a row.
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
