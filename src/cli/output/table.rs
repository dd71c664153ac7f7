//! Aligned tables without borders, written in chunks.
//!
//! On a terminal, a table is never wider than the terminal: first texts are truncated, with a
//! `…`; then columns are left out, those of the lowest worth first, but never those that identify
//! a row. Elsewhere nothing is truncated. Columns with only empty cells are not shown.

use std::io::{self, Write};

use super::fit::{GAP, Need, fit};
use super::text::{cut, cut_name, width};

/// A column: its title, alignment, and worth.
#[derive(Debug, Clone, Copy)]
pub struct Column<'t> {
    title: &'t str,
    right: bool,
    /// Columns of the lowest worth are left out first; those with `None` never are.
    worth: Option<u8>,
    /// The width that cells may be truncated to.
    least: Option<usize>,
    /// Whether cells are names, which may be paths.
    names: bool,
    /// The expected width of cells that are not known yet.
    usual: usize,
}

impl<'t> Column<'t> {
    /// A column of text that is never left out.
    pub const fn left(title: &'t str) -> Self {
        Self {
            title,
            right: false,
            worth: None,
            least: None,
            names: false,
            usual: 0,
        }
    }

    /// A column of numbers that is never left out.
    pub const fn right(title: &'t str) -> Self {
        Self {
            right: true,
            ..Self::left(title)
        }
    }

    /// Lets the column be left out, after all those of lower worth.
    pub const fn worth(self, worth: u8) -> Self {
        Self {
            worth: Some(worth),
            ..self
        }
    }

    /// Lets cells be truncated to this width. Not for numbers.
    pub const fn cut_to(self, least: usize) -> Self {
        Self {
            least: Some(least),
            ..self
        }
    }

    /// Cells are names: a path keeps most of its end when it is truncated.
    pub const fn of_names(self) -> Self {
        Self { names: true, ..self }
    }

    /// The minimum width if rows arrive one at a time.
    pub const fn usual(self, usual: usize) -> Self {
        Self { usual, ..self }
    }
}

/// A column that every answer of a command has.
pub type Head = Column<'static>;

/// A table being written. The columns of a chunk are as wide as its cells need, and at least as
/// wide as in the previous chunk.
pub struct Table<'t> {
    head: &'t [Column<'t>],
    /// The width of the terminal; `None` if lines may have any length.
    columns: Option<usize>,
    chunk: Vec<Vec<String>>,
    /// The width of the widest cell of each column so far; 0 if all were empty.
    natural: Vec<usize>,
    /// The columns of the last header.
    shown: Option<Vec<bool>>,
    /// Rows are written as they arrive, long before the last one is known.
    comes_slowly: bool,
    /// The fixed widths of such rows, so that they align.
    fixed: Option<Vec<usize>>,
}

const ROWS_IN_CHUNK: usize = 1000;
/// If nothing is truncated, other rows are not padded for cells wider than this.
const PADDED: usize = 100;

impl<'t> Table<'t> {
    /// A table with these columns, for a terminal of this width, if any. Without `head`, rows are
    /// plain lines.
    pub fn new(head: &'t [Column<'t>], columns: Option<usize>) -> Self {
        Self {
            head,
            columns,
            chunk: Vec::new(),
            natural: vec![0; head.len()],
            shown: None,
            comes_slowly: false,
            fixed: None,
        }
    }

    /// Writes a row, or buffers it until its chunk is full.
    pub fn row(&mut self, out: &mut dyn Write, cells: Vec<String>) -> io::Result<()> {
        if self.head.is_empty() {
            return writeln!(out, "{}", cells.join("  "));
        }
        self.chunk.push(cells);
        if self.chunk.len() < ROWS_IN_CHUNK {
            Ok(())
        } else {
            self.write(out)
        }
    }

    /// Writes the buffered rows before more arrive. All columns are shown from the start, because
    /// later rows may have cells for them.
    pub fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.comes_slowly = true;
        if self.chunk.is_empty() { Ok(()) } else { self.write(out) }
    }

    /// Writes the remaining rows; a table without rows is only its header.
    pub fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.chunk.is_empty() && (self.shown.is_some() || self.head.is_empty()) {
            return Ok(());
        }
        self.write(out)
    }

    fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let widths = self.widths();
        let shown: Vec<_> = widths.iter().map(|&width| width > 0).collect();
        if self.shown.as_ref() != Some(&shown) {
            if self.shown.is_some() {
                writeln!(out)?;
            }
            self.line(out, &widths, self.head.iter().map(|head| head.title))?;
            self.shown = Some(shown);
        }
        for row in std::mem::take(&mut self.chunk) {
            self.line(out, &widths, row.iter().map(String::as_str))?;
        }
        Ok(())
    }

    /// The widths of the columns in this chunk.
    fn widths(&mut self) -> Vec<usize> {
        let most = self.columns.unwrap_or(PADDED);
        for row in &self.chunk {
            for (natural, cell) in self.natural.iter_mut().zip(row) {
                *natural = width(cell).min(most).max(*natural);
            }
        }
        if let Some(fixed) = &mut self.fixed {
            let columns = fixed.iter_mut().zip(self.head).zip(&self.natural);
            // Numbers are never truncated.
            for ((fixed, _), &natural) in columns.filter(|((fixed, head), _)| **fixed > 0 && head.least.is_none()) {
                *fixed = natural.max(*fixed);
            }
            return fixed.clone();
        }
        // Before any row is known, all columns are shown.
        let all = self.comes_slowly || (self.chunk.is_empty() && self.shown.is_none());
        let needs: Vec<_> = self
            .head
            .iter()
            .zip(&self.natural)
            .map(|(head, &natural)| head.need(natural, all))
            .collect();
        let widths = fit(&needs, self.columns.unwrap_or(usize::MAX));
        self.fixed = self.comes_slowly.then(|| widths.clone());
        widths
    }

    fn line<'c>(&self, out: &mut dyn Write, widths: &[usize], cells: impl Iterator<Item = &'c str>) -> io::Result<()> {
        let mut line = String::new();
        let last = self.head.len().saturating_sub(1);
        for (index, ((head, &wide), cell)) in self.head.iter().zip(widths).zip(cells).enumerate() {
            if wide == 0 {
                continue;
            }
            let pushes_others = self.comes_slowly && head.least.is_some() && index < last;
            let cell = match self.columns {
                None if !pushes_others => cell.into(),
                _ if head.names => cut_name(cell, wide),
                _ => cut(cell, wide),
            };
            let blanks = " ".repeat(wide.saturating_sub(width(&cell)));
            let (before, after) = if head.right { (&*blanks, "") } else { ("", &*blanks) };
            line.push_str(&format!("{before}{cell}{after}{:GAP$}", ""));
        }
        writeln!(out, "{}", line.trim_end())
    }
}

impl Column<'_> {
    fn need(&self, natural: usize, all: bool) -> Need {
        let natural = match natural {
            0 if !all => 0,
            natural if all => natural.max(self.title.len()).max(self.usual),
            natural => natural.max(self.title.len()),
        };
        Need {
            natural,
            least: self.least.map_or(natural, |least| least.max(self.title.len())),
            worth: self.worth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[Head] = &[
        Head::left("NAME").cut_to(5),
        Head::right("SIZE"),
        Head::left("KIND").worth(1),
    ];

    fn row(name: &str, size: usize) -> Vec<String> {
        vec![name.into(), size.to_string(), "str".into()]
    }

    #[test]
    fn rows_that_arrive_slowly_are_aligned() {
        for columns in [None, Some(60)] {
            let (mut table, mut out) = (Table::new(HEAD, columns), Vec::new());
            for name in ["ab", "a", "much too long a name", "b"] {
                table.row(&mut out, row(name, 5)).unwrap();
                table.flush(&mut out).unwrap();
            }
            table.end(&mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            let places: Vec<_> = text
                .lines()
                .skip(1)
                .map(|line| line.chars().position(|sign| sign == '5'))
                .collect();
            assert_eq!(text.lines().count(), 5, "{text}");
            assert!(places.iter().all(|place| *place == places[0]), "{text}");
        }
    }

    fn table(columns: Option<usize>, rows: &[Vec<String>]) -> String {
        let (mut table, mut out) = (Table::new(HEAD, columns), Vec::new());
        for cells in rows {
            table.row(&mut out, cells.clone()).unwrap();
        }
        table.end(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_even_with_wide_characters() {
        assert_eq!(
            table(None, &[row("名前", 5), row("longer", 12345)]),
            "NAME     SIZE  KIND\n名前        5  str\nlonger  12345  str\n"
        );
    }

    #[test]
    fn a_table_fits_its_terminal() {
        let rows = [row("longer", 1), row("名前名前", 12345)];
        assert_eq!(
            table(Some(18), &rows),
            "NAME    SIZE  KIND\nlong…      1  str\n名前…  12345  str\n"
        );
        assert_eq!(
            table(Some(17), &rows),
            "NAME       SIZE\nlonger        1\n名前名前  12345\n"
        );
        assert_eq!(table(Some(4), &[]), "NAME  SIZE\n");
    }

    #[test]
    fn a_column_is_hidden_while_its_cells_are_empty() {
        let bare = || vec!["a".to_owned(), "1".into(), String::new()];
        assert_eq!(table(None, &[bare()]), "NAME  SIZE\na        1\n");
        let mut rows = vec![bare(); ROWS_IN_CHUNK];
        rows.push(row("b", 2));
        let text = table(None, &rows);
        assert!(
            text.ends_with("a        1\n\nNAME  SIZE  KIND\nb        2  str\n"),
            "{text}"
        );
    }

    #[test]
    fn rows_that_arrive_one_at_a_time_show_all_columns() {
        const SLOW: &[Head] = &[Head::left("NAME").usual(6), Head::right("SIZE"), Head::left("KIND")];
        let (mut table, mut out) = (Table::new(SLOW, None), Vec::new());
        for cells in [vec!["a".to_owned(), "1".into(), String::new()], row("longer", 2)] {
            table.row(&mut out, cells).unwrap();
            table.flush(&mut out).unwrap();
        }
        table.end(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "NAME    SIZE  KIND\na          1\nlonger     2  str\n"
        );
    }

    #[test]
    fn a_later_chunk_keeps_the_widths_and_has_no_header() {
        let mut rows = vec![row("longer", 1); ROWS_IN_CHUNK];
        rows.push(row("a", 2));
        let text = table(None, &rows);
        assert!(text.ends_with("longer     1  str\na          2  str\n"), "{text}");
    }

    #[test]
    fn a_table_without_rows_is_only_its_header() {
        assert_eq!(table(None, &[]), "NAME  SIZE  KIND\n");
    }
}
