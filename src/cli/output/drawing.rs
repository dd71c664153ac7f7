//! Draws the tree of arenas, pools and blocks.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use heapledger::{Arena, Pool};

use super::levels::{Fill, Levels};
use super::text::{Sizes, cut, printable, width};

/// The drawing of a tree.
pub struct Drawing {
    pub sizes: Sizes,
    pub colour: bool,
    pub depth: u8,
    /// The width of the terminal, if any.
    pub columns: Option<usize>,
}

/// Whether to use colour: only on a terminal, and not with `NO_COLOR`.
pub fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Drawing {
    pub fn draw(&self, levels: &impl Levels, out: &mut dyn Write) -> Result<()> {
        let (name, fill) = levels.space()?;
        let label = format!("space {}", printable(&name));
        self.line(out, &cut(&label, self.shape(0).label), &fill, "")?;
        let arenas = levels.arenas()?;
        for (arena, corner) in with_corners(&arenas) {
            let fill = Fill::new(arena.mem, arena.reserved, arena.max_mem);
            self.line(out, &format!("{}arena {}", corner.branch, arena.id.n()), &fill, "")?;
            if self.depth > 1 {
                self.pools(levels, arena, corner.stem, out)?;
            }
        }
        Ok(())
    }

    fn pools(&self, levels: &impl Levels, arena: &Arena, stem: &str, out: &mut dyn Write) -> Result<()> {
        let pools = levels.pools(arena)?;
        for (pool, corner) in with_corners(&pools) {
            let fill = Fill::new(pool.mem, pool.reserved, pool.max_mem);
            let class = format!("  blocks of {}", self.sizes.cell(pool.block_size));
            self.line(
                out,
                &format!("{stem}{}pool {}", corner.branch, pool.id.n()),
                &fill,
                &class,
            )?;
            if self.depth > 2 {
                self.blocks(levels, pool, &format!("{stem}{}", corner.stem), out)?;
            }
        }
        Ok(())
    }

    fn blocks(&self, levels: &impl Levels, pool: &Pool, stem: &str, out: &mut dyn Write) -> Result<()> {
        let blocks = levels.blocks(pool)?;
        for (block, corner) in with_corners(&blocks) {
            let fill = Fill::new(block.mem, block.max_mem, block.max_mem);
            self.line(
                out,
                &format!("{stem}{}block {}", corner.branch, block.id.n()),
                &fill,
                "",
            )?;
        }
        Ok(())
    }

    fn line(&self, out: &mut dyn Write, label: &str, fill: &Fill, class: &str) -> io::Result<()> {
        let shape = self.shape(width(label));
        let blanks = " ".repeat(shape.label.saturating_sub(width(label)));
        let percent = fill.percent();
        let mem = self.sizes.cell(fill.mem);
        write!(out, "{label}{blanks} ")?;
        if shape.bar > 0 {
            let (on, off) = if self.colour { ("\x1b[36m", "\x1b[0m") } else { ("", "") };
            write!(out, "[{on}{}{off}] ", fill.bar(shape.bar))?;
        }
        write!(out, "{percent:>4} {mem:>10}")?;
        if shape.capacity {
            write!(out, " of {:>10}", self.sizes.cell(fill.max_mem))?;
        }
        writeln!(out, "{}", if shape.class { class } else { "" })
    }

    /// What fits a line with a label of this width. The level and its bytes have priority over its
    /// capacity and the bar.
    fn shape(&self, label: usize) -> Shape {
        let wide = Shape {
            label: LABEL.max(label),
            bar: BAR,
            capacity: true,
            class: true,
        };
        let Some(columns) = self.columns else { return wide };
        let narrow = SHORT_LABEL.max(label);
        // Spaces, brackets, percent, and bytes.
        let bar = columns.saturating_sub(narrow + " []  100%  999.9 KiB".len());
        match columns {
            WITH_CLASS.. => wide,
            WITHOUT_CLASS.. => Shape { class: false, ..wide },
            _ => Shape {
                label: narrow,
                bar: if bar < 4 { 0 } else { bar.min(BAR) },
                capacity: false,
                class: false,
            },
        }
    }
}

/// What a line shows, and its width.
struct Shape {
    label: usize,
    bar: usize,
    capacity: bool,
    class: bool,
}

const BAR: usize = 16;
const LABEL: usize = 26;
/// `   └─ block 12345`
const SHORT_LABEL: usize = 18;
/// Widths of a complete line, and of one without the block size.
const WITH_CLASS: usize = 96;
const WITHOUT_CLASS: usize = 75;

impl Fill {
    /// Content, then room in blocks; the rest is not carved yet. Any content takes at least one
    /// cell, so that only a level without content looks empty.
    pub fn bar(&self, wide: usize) -> String {
        if self.mem == 0 {
            return " ".repeat(wide);
        }
        let cells = |bytes: u64| {
            let scaled = i128::from(bytes) * wide as i128 / i128::from(self.max_mem.max(1));
            usize::try_from(scaled).unwrap_or(0).clamp(1, wide)
        };
        let content = cells(self.mem);
        let has_room = self.carved > self.mem && content < wide;
        let room = (cells(self.carved).saturating_sub(content)).max(usize::from(has_room));
        let rest = wide - content - room;
        format!("{}{}{}", "█".repeat(content), "░".repeat(room), " ".repeat(rest))
    }

    /// Rounded down, so that only a full level shows 100%.
    fn percent(&self) -> String {
        format!("{}%", i128::from(self.mem) * 100 / i128::from(self.max_mem.max(1)))
    }
}

/// What comes before a child, and before those below it.
#[derive(Clone, Copy)]
struct Corner {
    branch: &'static str,
    stem: &'static str,
}

const MIDDLE: Corner = Corner {
    branch: "├─ ",
    stem: "│  ",
};
const LAST: Corner = Corner {
    branch: "└─ ",
    stem: "   ",
};

fn with_corners<T>(children: &[T]) -> impl Iterator<Item = (&T, Corner)> {
    let last = children.len().saturating_sub(1);
    let corner = move |index| if index == last { LAST } else { MIDDLE };
    children
        .iter()
        .enumerate()
        .map(move |(index, child)| (child, corner(index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_content_and_room_and_is_empty_without_content() {
        let bar = |mem, carved, max_mem| Fill::new(mem, carved, max_mem).bar(16);
        assert_eq!(bar(0, 0, 100), "                ");
        assert_eq!(bar(0, 100, 100), "                ");
        assert_eq!(bar(100, 100, 100), "████████████████");
        assert_eq!(bar(50, 75, 100), "████████░░░░    ");
        assert_eq!(bar(1, 1, 1_000_000), "█               ");
        assert_eq!(bar(1, 2, 1_000_000), "█░              ");
        assert_eq!(bar(99, 100, 100), "███████████████░");
        assert_eq!(bar(u64::MAX, u64::MAX, u64::MAX), "████████████████");
    }

    #[test]
    fn only_a_full_level_shows_100_percent() {
        assert_eq!(Fill::new(999, 1000, 1000).percent(), "99%");
        assert_eq!(Fill::new(1000, 1000, 1000).percent(), "100%");
    }
}
