//! Tables for people: aligned, without lines, written in chunks.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ColumnConstraint, Width, presets};

/// A column: its title, and which side its cells stand on.
#[derive(Debug, Clone, Copy)]
pub enum Head {
    /// Text
    Left(&'static str),
    /// Numbers
    Right(&'static str),
}

impl Head {
    fn title(self) -> &'static str {
        match self {
            Self::Left(title) | Self::Right(title) => title,
        }
    }
}

/// A table that is being written. The columns of a chunk are as wide as its cells need,
/// and at least as wide as in the chunk before.
pub struct Table {
    head: &'static [Head],
    chunk: Vec<Vec<String>>,
    widths: Vec<u16>,
}

const ROWS_IN_CHUNK: usize = 1000;

impl Table {
    /// A table with these columns. Without any, its rows are plain lines.
    pub fn new(head: &'static [Head]) -> Self {
        Self {
            head,
            chunk: Vec::new(),
            widths: Vec::new(),
        }
    }

    /// Writes a row, or keeps it until its chunk is full.
    pub fn row(&mut self, out: &mut dyn Write, cells: Vec<String>) -> io::Result<()> {
        if self.head.is_empty() {
            return writeln!(out, "{}", cells.join("  "));
        }
        self.chunk.push(cells);
        if self.chunk.len() < ROWS_IN_CHUNK {
            Ok(())
        } else {
            self.flush(out)
        }
    }

    /// Writes the rows kept so far.
    pub fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.chunk.is_empty() { Ok(()) } else { self.write(out) }
    }

    /// Writes what is left; a table without rows is its header.
    pub fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.widths.is_empty() && !self.head.is_empty() {
            self.write(out)
        } else {
            self.flush(out)
        }
    }

    fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        if self.widths.is_empty() {
            table.set_header(self.head.iter().map(|head| head.title()));
        }
        table.add_rows(self.chunk.drain(..));
        table.discover_columns();
        for (index, head) in self.head.iter().enumerate() {
            let Some(column) = table.column_mut(index) else {
                continue;
            };
            column.set_padding((0, 2));
            if let Head::Right(_) = head {
                column.set_cell_alignment(CellAlignment::Right);
            }
            if let Some(&width) = self.widths.get(index) {
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
            }
        }
        let needed = table.column_max_content_widths();
        let before = self.widths.iter().copied().chain(std::iter::repeat(0));
        self.widths = needed
            .iter()
            .zip(before)
            .map(|(&needed, before)| needed.max(before))
            .collect();
        for line in table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[Head] = &[Head::Left("NAME"), Head::Right("SIZE"), Head::Left("KIND")];

    fn row(name: &str, size: usize) -> Vec<String> {
        vec![name.into(), size.to_string(), "str".into()]
    }

    #[test]
    fn columns_are_aligned() {
        let (mut table, mut out) = (Table::new(HEAD), Vec::new());
        table.row(&mut out, row("a", 5)).unwrap();
        table.row(&mut out, row("longer", 12345)).unwrap();
        table.end(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "NAME     SIZE  KIND\na           5  str\nlonger  12345  str\n");
    }

    #[test]
    fn a_later_chunk_keeps_the_widths_and_has_no_header() {
        let (mut table, mut out) = (Table::new(HEAD), Vec::new());
        for size in 0..ROWS_IN_CHUNK + 1 {
            table.row(&mut out, row("longer", size)).unwrap();
        }
        let before = out.len();
        table.end(&mut out).unwrap();
        assert_eq!(String::from_utf8(out.split_off(before)).unwrap(), "longer  1000  str\n");
        assert!(before > 0);
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        let (mut table, mut out) = (Table::new(HEAD), Vec::new());
        table.end(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME  SIZE  KIND\n");
    }
}
