//! Draws blocks as cells: a sign each, or one for several neighbours where there are too many.

use std::io::{self, Write};

use super::text::counted;

/// A block to draw.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub arena: i64,
    pub max_mem: u64,
    /// Which entry of the legend it belongs to.
    pub entry: usize,
}

/// What a sign means.
#[derive(Debug, Clone)]
pub struct Entry {
    pub sign: char,
    /// A colour of the 256 that terminals have.
    pub colour: u8,
    pub meaning: String,
}

impl Entry {
    pub fn new(sign: char, colour: u8, meaning: impl Into<String>) -> Self {
        let meaning = meaning.into();
        Self { sign, colour, meaning }
    }
}

/// Colours that people who do not see red or green can tell apart, too, on dark and light: those of Okabe and Ito,
/// as near as terminals have them.
pub const COLOURS: [u8; 7] = [214, 74, 36, 227, 25, 166, 175];
/// The colour of what is empty, and of what has none of these colours.
pub const GREY: u8 = 244;

/// How to draw.
pub struct Field {
    /// Width of the lines.
    pub columns: usize,
    /// At most this many lines of cells, approximately.
    pub lines: usize,
    pub colour: bool,
}

/// Width of the number of an arena.
const MARGIN: usize = 8;

impl Field {
    /// How many blocks one cell stands for.
    pub fn blocks_per_cell(&self, blocks: usize) -> usize {
        blocks.div_ceil(self.wide() * self.lines.max(1)).max(1)
    }

    fn wide(&self) -> usize {
        self.columns.saturating_sub(MARGIN).clamp(8, 128)
    }

    /// Draws the cells, in the order of arenas, pools and blocks: each arena begins a line, unless there are so many
    /// that a cell stands for several blocks.
    pub fn draw(&self, cells: &[Cell], legend: &[Entry], out: &mut dyn Write) -> io::Result<()> {
        let each = self.blocks_per_cell(cells.len());
        if each > 1 {
            let merged: Vec<_> = cells.chunks(each).map(|blocks| merge(blocks, legend.len())).collect();
            for line in merged.chunks(self.wide()) {
                let arena = line.first().map_or(0, |cell| cell.arena);
                self.line(Some(arena), line, legend, out)?;
            }
            return Ok(());
        }
        for arena in cells.chunk_by(|one, other| one.arena == other.arena) {
            for (number, line) in arena.chunks(self.wide()).enumerate() {
                let label = line.first().map(|cell| cell.arena).filter(|_| number == 0);
                self.line(label, line, legend, out)?;
            }
        }
        Ok(())
    }

    fn line(&self, arena: Option<i64>, cells: &[Cell], legend: &[Entry], out: &mut dyn Write) -> io::Result<()> {
        let label = arena.map_or(String::new(), |arena| arena.to_string());
        write!(out, "{label:>width$} ", width = MARGIN - 1)?;
        for alike in cells.chunk_by(|one, other| one.entry == other.entry) {
            let entry = alike.first().and_then(|cell| legend.get(cell.entry));
            let Some(entry) = entry else { continue };
            let signs = entry.sign.to_string().repeat(alike.len());
            write!(out, "{}", self.coloured(entry.colour, &signs))?;
        }
        writeln!(out)
    }

    /// Explains the signs that are used.
    pub fn legend(&self, cells: &[Cell], legend: &[Entry], out: &mut dyn Write) -> io::Result<()> {
        let each = self.blocks_per_cell(cells.len());
        for (index, entry) in legend.iter().enumerate() {
            let blocks = cells.iter().filter(|cell| cell.entry == index).count();
            if blocks > 0 {
                let sign = self.coloured(entry.colour, &entry.sign.to_string());
                writeln!(out, "  {sign}  {}: {}", entry.meaning, counted(blocks as u64, "block"))?;
            }
        }
        match each {
            1 => writeln!(
                out,
                "a cell is a block; each arena, whose number is in front, begins a line"
            ),
            each => writeln!(
                out,
                "a cell is {each} blocks, with the sign of what has most bytes of them; in front is the first arena of a line"
            ),
        }
    }

    fn coloured(&self, colour: u8, text: &str) -> String {
        match self.colour {
            true => format!("\x1b[38;5;{colour}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// Several blocks as one: the entry of the legend that has most of their bytes wins.
fn merge(blocks: &[Cell], entries: usize) -> Cell {
    let mut bytes = vec![0_u64; entries];
    for block in blocks {
        if let Some(sum) = bytes.get_mut(block.entry) {
            *sum = sum.saturating_add(block.max_mem);
        }
    }
    let most = (0..entries).rev().max_by_key(|&entry| bytes.get(entry));
    Cell {
        arena: blocks.first().map_or(0, |block| block.arena),
        max_mem: blocks.iter().map(|block| block.max_mem).sum(),
        entry: most.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(entries: &[(i64, usize, u64)]) -> Vec<Cell> {
        let cell = |&(arena, entry, max_mem)| Cell { arena, max_mem, entry };
        entries.iter().map(cell).collect()
    }

    fn drawn(field: &Field, cells: &[Cell]) -> String {
        let legend = [Entry::new('.', GREY, "empty"), Entry::new('#', 1, "full")];
        let mut out = Vec::new();
        field.draw(cells, &legend, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_cell_is_a_block_and_an_arena_begins_a_line() {
        let field = Field {
            columns: 16,
            lines: 10,
            colour: false,
        };
        let mut blocks = vec![(1, 1, 512); 9];
        blocks.push((7, 0, 512));
        assert_eq!(
            drawn(&field, &cells(&blocks)),
            "      1 ########\n        #\n      7 .\n"
        );
        let field = Field { colour: true, ..field };
        assert_eq!(
            drawn(&field, &cells(&[(1, 1, 1), (1, 1, 1), (1, 0, 1)])),
            "      1 \x1b[38;5;1m##\x1b[0m\x1b[38;5;244m.\x1b[0m\n"
        );
    }

    #[test]
    fn a_cell_of_many_blocks_shows_what_has_most_bytes() {
        let field = Field {
            columns: 16,
            lines: 1,
            colour: false,
        };
        let mut blocks = vec![(1, 0, 512), (1, 1, 4096)];
        blocks.extend(vec![(2, 0, 512); 14]);
        assert_eq!(field.blocks_per_cell(16), 2);
        assert_eq!(drawn(&field, &cells(&blocks)), "      1 #.......\n");
    }
}
