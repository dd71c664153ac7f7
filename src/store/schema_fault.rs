//! How a schema differs from that of the migrations.

use std::path::Path;

use diesel::sql_types::Text;

use crate::books::invariants::Invariant;
use crate::error::Error;
use crate::store::queries::audit::Violation;

/// A part of the schema, as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq, diesel::QueryableByName)]
pub(in crate::store) struct SchemaRow {
    /// `table`, `view`, `index`, `trigger`, or another kind.
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

/// A part of the schema that differs from that of the migrations.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The expected part, if it is one of the heap's.
    expected: Option<SchemaRow>,
    /// The actual part, if it exists.
    found: Option<SchemaRow>,
    is_on_server: bool,
}

impl Fault {
    /// A part of a file.
    pub(in crate::store) fn new(expected: Option<SchemaRow>, found: Option<SchemaRow>) -> Self {
        Self {
            expected,
            found,
            is_on_server: false,
        }
    }

    /// A part of the schema on a server. If both are missing, the schema differs from what was created,
    /// but this role may not find out where.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn on_server(expected: Option<SchemaRow>, found: Option<SchemaRow>) -> Self {
        Self {
            is_on_server: true,
            ..Self::new(expected, found)
        }
    }

    /// The expected part, if it is one of the heap's.
    pub(in crate::store) fn expected(&self) -> Option<&SchemaRow> {
        self.expected.as_ref()
    }

    /// The actual part, if it exists.
    pub(in crate::store) fn found(&self) -> Option<&SchemaRow> {
        self.found.as_ref()
    }

    /// Whether opening the file can correct or ignore it: an index is neither code nor content. A
    /// missing index of the heap only makes it slower.
    pub fn is_harmless(&self) -> bool {
        let is_known = self.expected.is_some() || self.found.is_some();
        is_known
            && self.expected.as_ref().is_none_or(|row| row.kind == "index")
            && self.found.as_ref().is_none_or(is_plain_index)
    }

    /// Whether it is a harmless index that somebody added.
    pub fn is_extra_index(&self) -> bool {
        self.expected.is_none() && self.is_harmless()
    }

    /// Whether it can be recreated from the migrations. A table cannot, because it has content.
    pub fn can_be_restored(&self) -> bool {
        self.is_extra_index()
            || self.expected.as_ref().is_some_and(|row| {
                row.kind != "table" && self.found.as_ref().is_none_or(|found| found.kind == row.kind)
            })
    }

    /// The kind and name of the part.
    pub fn part(&self) -> String {
        match (&self.expected, &self.found) {
            (Some(row), _) | (None, Some(row)) => format!("the {} {:?}", row.kind, row.name),
            (None, None) => "the schema".into(),
        }
    }

    pub fn name(&self) -> &str {
        let row = self.expected.as_ref().or(self.found.as_ref());
        row.map_or("", |row| &row.name)
    }

    /// The table of an index or trigger.
    pub fn table(&self) -> &str {
        let row = self.expected.as_ref().or(self.found.as_ref());
        row.map_or("", |row| &row.table)
    }

    /// What is wrong with it, and what to do if it cannot be restored.
    pub fn what(&self) -> String {
        let part = self.part();
        match (&self.expected, &self.found) {
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
                    "table" if self.is_on_server => {
                        format!("{part} {how}, and nothing restores it: go back to a dump of the schema")
                    }
                    "table" => format!(
                        "{part} {how}, and nothing restores it: go back to a backup, or take the rows out with `sqlite3 FILE .recover`"
                    ),
                    _ => format!("{part} {how}"),
                }
            }
            (None, None) => "the schema is not as it was created, and this role may not find out where".into(),
            (None, Some(row)) if self.is_on_server => {
                let to = if row.table.is_empty() {
                    "the schema".into()
                } else {
                    format!("the table {:?} of the heap", row.table)
                };
                format!("{part} was added to {to}, and may run when the heap is used: drop it")
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

    pub(in crate::store) fn violation(&self) -> Violation {
        let found = match (&self.expected, &self.found) {
            (Some(_), None) => "none".into(),
            (Some(row), Some(found)) if row.kind == found.kind && row.kind != "table" => "another definition".into(),
            _ => self.what(),
        };
        let expected = match &self.expected {
            Some(_) => self.part(),
            None => format!(
                "no {} on the table {:?}",
                self.found.as_ref().map_or("", |row| &row.kind),
                self.table()
            ),
        };
        Violation {
            invariant: Invariant::Schema,
            table: if self.is_on_server {
                "pg_catalog"
            } else {
                "sqlite_schema"
            }
            .into(),
            id: None,
            expected,
            found,
        }
    }
}

/// At most this many parts are named in a message.
const NAMED: usize = 3;

impl Fault {
    /// The error that refuses a schema with these faults.
    pub(in crate::store) fn error(faults: &[Self], named: &Path) -> Error {
        let mut parts: Vec<_> = faults.iter().map(Self::what).take(NAMED).collect();
        if faults.len() > NAMED {
            parts.push(format!("and {} more", faults.len() - NAMED));
        }
        Error::AlteredSchema {
            path: named.to_owned(),
            what: parts.join("; "),
            can_be_restored: faults.iter().all(Self::can_be_restored),
        }
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
