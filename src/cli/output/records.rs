//! Prints rows whose columns are only known once the first row is there.

use std::cell::OnceCell;
use std::fmt;
use std::ops::ControlFlow;

use anyhow::Result;
use heapledger::SqlValue;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::render::{Format, Output, csv_line};
use super::table::{Column, Table};
use super::text::printable;

/// Passes rows to the function that it gets, and returns the names of the columns.
type Source<'s> =
    &'s mut dyn FnMut(&mut dyn FnMut(&[String], Vec<SqlValue>) -> ControlFlow<()>) -> heapledger::Result<Vec<String>>;

impl Output {
    /// Prints the rows of a query.
    pub fn records(&mut self, source: Source<'_>) -> Result<()> {
        let (titles, columns) = (OnceCell::new(), OnceCell::new());
        let (mut table, mut rows, mut failed) = (None::<Table<'_>>, 0_u64, Ok(()));
        let (format, width) = (self.format(), self.columns());
        let out = self.text();
        // A column of numbers is one that has a number in the first row.
        let begin = |names: &[String], first: &[SqlValue]| {
            let titles = titles.get_or_init(|| {
                names
                    .iter()
                    .map(|name| printable(name).into_owned())
                    .collect::<Vec<_>>()
            });
            let columns = columns.get_or_init(|| {
                let kinds = first.iter().map(Some).chain(std::iter::repeat(None));
                titles
                    .iter()
                    .zip(kinds)
                    .map(|(title, kind)| column(title, kind))
                    .collect::<Vec<_>>()
            });
            Table::new(columns, width)
        };
        let names = source(&mut |names, values| {
            rows += 1;
            failed = match format {
                Format::Table => {
                    let table = table.get_or_insert_with(|| begin(names, &values));
                    table.row(out, values.iter().map(cell).collect())
                }
                Format::Csv => {
                    let header = if rows == 1 {
                        csv_line(out, names.iter().cloned())
                    } else {
                        Ok(())
                    };
                    header.and_then(|()| csv_line(out, values.iter().map(field)))
                }
                Format::Json => {
                    let before = if rows == 1 { "[\n  " } else { ",\n  " };
                    write!(out, "{before}{}", Record(names, &values))
                }
                Format::Ndjson => writeln!(out, "{}", Record(names, &values)),
            };
            match failed {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        failed?;
        let names = names?;
        match format {
            Format::Table => table.unwrap_or_else(|| begin(&names, &[])).end(out)?,
            Format::Json => writeln!(out, "{}", if rows == 0 { "[]" } else { "\n]" })?,
            Format::Csv if rows == 0 => csv_line(out, names.into_iter())?,
            Format::Csv | Format::Ndjson => {}
        }
        Ok(self.flush()?)
    }
}

fn column<'t>(title: &'t str, first: Option<&SqlValue>) -> Column<'t> {
    match first {
        Some(SqlValue::Integer(_) | SqlValue::Real(_)) => Column::right(title),
        _ => Column::left(title).cut_to(8),
    }
}

/// For people, who must be able to tell NULL from an empty text.
fn cell(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Text(text) => printable(text).into_owned(),
        other => field(other),
    }
}

/// For CSV.
fn field(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => String::new(),
        SqlValue::Text(text) => text.clone(),
        other => match serde_json::to_value(other) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(value) => value.to_string(),
            Err(_) => String::new(),
        },
    }
}

/// A row as a JSON object.
struct Record<'r>(&'r [String], &'r [SqlValue]);

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(names, values) = self;
        let mut map = serializer.serialize_map(Some(names.len()))?;
        for (name, value) in names.iter().zip(*values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
