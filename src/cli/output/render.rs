//! Prints the answer of a command as a table, JSON, NDJSON or CSV. Lists are written row by row,
//! so a list of a million rows takes no more memory than one of a thousand.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::table::{Head, Table};
use super::terminal::{self, Wrapping};
use super::text::Sizes;

/// How to print the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// An aligned table
    #[default]
    Table,
    /// One document: an object, or an array for a list
    Json,
    /// A JSON object per line
    Ndjson,
    /// Comma-separated, with a header
    Csv,
}

/// A row of a list. It serialises to the columns that it has in the schema.
pub trait Row: Serialize {
    /// The keys it serialises to, as CSV: the header of a list without rows.
    const KEYS: &'static str;
    /// The columns of the table; empty for plain lines.
    const HEAD: &'static [Head] = &[];
    /// The cells of those columns, safe to print on a terminal; none where people get a drawing.
    fn cells(&self, _: Sizes) -> Vec<String> {
        Vec::new()
    }
    /// A line to write instead if the output is not a terminal.
    fn raw_line(&self) -> Option<Vec<u8>> {
        None
    }
}

/// The columns of the table of a [`Row`], each with its cell.
macro_rules! columns {
    ($self:ident, $sizes:pat, $($head:expr => $cell:expr),+ $(,)?) => {
        const HEAD: &'static [$crate::cli::output::table::Head] = &[$($head),+];

        fn cells(&$self, $sizes: $crate::cli::output::text::Sizes) -> Vec<String> {
            vec![$($cell.to_string()),+]
        }
    };
}
pub(in crate::cli) use columns;

impl<R: Row> Row for &R {
    const KEYS: &'static str = R::KEYS;
    const HEAD: &'static [Head] = R::HEAD;

    fn cells(&self, sizes: Sizes) -> Vec<String> {
        R::cells(self, sizes)
    }

    fn raw_line(&self) -> Option<Vec<u8>> {
        R::raw_line(self)
    }
}

/// Standard output in the requested format.
pub struct Output {
    format: Format,
    sizes: Sizes,
    /// The width of the terminal, if the answer is a table on a terminal.
    columns: Option<usize>,
    is_terminal: bool,
    out: BufWriter<Wrapping<Answer>>,
}

impl Output {
    pub fn new(format: Format, sizes: Sizes) -> Self {
        let columns = terminal::columns().filter(|_| format == Format::Table);
        Self {
            format,
            sizes,
            columns,
            is_terminal: io::stdout().is_terminal(),
            out: BufWriter::new(Wrapping::new(Answer(io::stdout()), columns)),
        }
    }

    /// Whether the format is a table.
    pub fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// The width of the terminal, if the answer is a table on a terminal.
    pub fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Starts a list, which must be ended with [`List::end`].
    pub fn list<R: Row>(&mut self) -> List<'_, R> {
        List {
            table: Table::new(R::HEAD, self.columns),
            rows: 0,
            output: self,
            of: PhantomData,
        }
    }

    /// A whole list.
    pub fn rows<R: Row>(&mut self, rows: impl IntoIterator<Item = R>) -> io::Result<()> {
        let mut list = self.list();
        rows.into_iter().try_for_each(|row| list.row(&row))?;
        list.end()
    }

    /// A whole list that is still being read.
    pub fn rows_read<R: Row>(&mut self, rows: impl IntoIterator<Item = heapledger::Result<R>>) -> anyhow::Result<()> {
        let mut list = self.list();
        for row in rows {
            list.row(&row?)?;
        }
        Ok(list.end()?)
    }

    /// Prints a single answer: `text` for people, `thing` for programs.
    pub fn one(
        &mut self,
        thing: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.format {
            Format::Table => text(&mut self.out)?,
            Format::Json => writeln!(self.out, "{}", serde_json::to_string_pretty(thing)?)?,
            Format::Ndjson => writeln!(self.out, "{}", serde_json::to_string(thing)?)?,
            Format::Csv => csv_record(&mut self.out, thing, true)?,
        }
        self.out.flush()
    }

    /// Writes plain text.
    pub fn text(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Prints a table within other text.
pub fn table(out: &mut dyn Write, head: &'static [Head], rows: impl Iterator<Item = Vec<String>>) -> io::Result<()> {
    let mut table = Table::new(head, terminal::columns());
    for cells in rows {
        table.row(out, cells)?;
    }
    table.end(out)
}

/// Standard output, whose errors say that the answer cannot be written.
struct Answer(Stdout);

impl Write for Answer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(not_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(not_written)
    }
}

fn not_written(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write the answer: {error}"))
}

/// A list being written.
pub struct List<'a, R> {
    output: &'a mut Output,
    table: Table<'static>,
    rows: u64,
    of: PhantomData<R>,
}

impl<R: Row> List<'_, R> {
    /// Writes the next row, or buffers it until its chunk is full.
    pub fn row(&mut self, row: &R) -> io::Result<()> {
        let first = self.rows == 0;
        self.rows += 1;
        let out = &mut self.output.out;
        match self.output.format {
            Format::Table => match row.raw_line().filter(|_| !self.output.is_terminal) {
                Some(line) => out.write_all(&line).and_then(|()| out.write_all(b"\n")),
                None => self.table.row(out, row.cells(self.output.sizes)),
            },
            Format::Json => write!(
                out,
                "{}{}",
                if first { "[\n  " } else { ",\n  " },
                serde_json::to_string(row)?
            ),
            Format::Ndjson => writeln!(out, "{}", serde_json::to_string(row)?),
            Format::Csv => csv_record(out, row, first),
        }
    }

    /// Flushes the rows written so far.
    pub fn flush(&mut self) -> io::Result<()> {
        self.table.flush(&mut self.output.out)?;
        self.output.flush()
    }

    /// Ends the list.
    pub fn end(mut self) -> io::Result<()> {
        let empty = self.rows == 0;
        let out = &mut self.output.out;
        match self.output.format {
            Format::Table => self.table.end(out)?,
            Format::Json => writeln!(out, "{}", if empty { "[]" } else { "\n]" })?,
            Format::Csv if empty => writeln!(out, "{}", R::KEYS)?,
            Format::Ndjson | Format::Csv => {}
        }
        self.flush()
    }
}

/// The fields that a value serialises to, in order.
struct Record(Vec<(String, Value)>);

impl Record {
    fn of(thing: &impl Serialize) -> io::Result<Self> {
        Ok(serde_json::from_str(&serde_json::to_string(thing)?)?)
    }

    /// The values; nested ones stay JSON.
    fn cells(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(_, value)| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Record;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Record(fields))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Writes the fields of a value as CSV, the first one below their keys.
fn csv_record(out: &mut impl Write, thing: &impl Serialize, is_first: bool) -> io::Result<()> {
    let record = Record::of(thing)?;
    if is_first {
        csv_line(out, record.0.iter().map(|(key, _)| key.clone()))?;
    }
    csv_line(out, record.cells())
}

/// Writes one line of CSV, quoted where necessary.
pub(super) fn csv_line(out: &mut (impl Write + ?Sized), cells: impl Iterator<Item = String>) -> io::Result<()> {
    let mut line = csv::Writer::from_writer(Vec::new());
    line.write_record(cells)?;
    let line = line.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    out.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_the_order_of_its_fields() {
        #[derive(Serialize)]
        struct Thing {
            z: u64,
            a: Option<&'static str>,
            m: Vec<u8>,
        }
        let record = Record::of(&Thing {
            z: 1,
            a: None,
            m: vec![2],
        })
        .unwrap();
        assert_eq!(record.cells().collect::<Vec<_>>(), ["1", "", "[2]"]);
        assert_eq!(
            record.0.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
            ["z", "a", "m"]
        );
    }

    #[test]
    fn csv_is_quoted_where_necessary() {
        let mut out = Vec::new();
        csv_line(
            &mut out,
            ["a,b", "say \"x\"", "two\nlines", ""].map(String::from).into_iter(),
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\n"
        );
    }
}
