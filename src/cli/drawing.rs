//! The tree of arenas, pools and blocks as people see it.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use heapledger::{Arena, Pool};

use super::levels::{Levels, Space};
use super::text::{Sizes, printable};

/// The tree for people.
pub struct Drawing {
    pub sizes: Sizes,
    pub colour: bool,
    pub depth: u8,
}

/// Colour is for terminals, and for people who have not said no to it.
pub fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How full something is: content, and what is carved into blocks or reserved below it.
struct Fill {
    mem: i64,
    carved: i64,
    max_mem: i64,
}

impl Drawing {
    pub fn draw(&self, levels: &impl Levels, out: &mut dyn Write) -> Result<()> {
        let Space {
            name,
            mem,
            reserved,
            max_mem,
        } = levels.space()?;
        let fill = Fill {
            mem,
            carved: reserved,
            max_mem,
        };
        self.line(out, &format!("space {}", printable(&name)), &fill, "")?;
        let arenas = levels.arenas()?;
        for (arena, corner) in with_corners(&arenas) {
            let fill = Fill {
                mem: arena.mem,
                carved: arena.reserved,
                max_mem: arena.max_mem,
            };
            self.line(out, &format!("{}arena {}", corner.branch(), arena.id), &fill, "")?;
            if self.depth > 1 {
                self.pools(levels, arena, corner.stem(), out)?;
            }
        }
        Ok(())
    }

    fn pools(&self, levels: &impl Levels, arena: &Arena, stem: &str, out: &mut dyn Write) -> Result<()> {
        let pools = levels.pools(arena)?;
        for (pool, corner) in with_corners(&pools) {
            let fill = Fill {
                mem: pool.mem,
                carved: pool.reserved,
                max_mem: pool.max_mem,
            };
            let class = format!("  blocks of {}", self.sizes.cell(pool.block_size));
            self.line(
                out,
                &format!("{stem}{}pool {}", corner.branch(), pool.id),
                &fill,
                &class,
            )?;
            if self.depth > 2 {
                self.blocks(levels, pool, &format!("{stem}{}", corner.stem()), out)?;
            }
        }
        Ok(())
    }

    fn blocks(&self, levels: &impl Levels, pool: &Pool, stem: &str, out: &mut dyn Write) -> Result<()> {
        let blocks = levels.blocks(pool)?;
        for (block, corner) in with_corners(&blocks) {
            let fill = Fill {
                mem: block.mem,
                carved: block.max_mem,
                max_mem: block.max_mem,
            };
            self.line(out, &format!("{stem}{}block {}", corner.branch(), block.id), &fill, "")?;
        }
        Ok(())
    }

    fn line(&self, out: &mut dyn Write, label: &str, fill: &Fill, class: &str) -> io::Result<()> {
        let (on, off) = if self.colour { ("\x1b[36m", "\x1b[0m") } else { ("", "") };
        let (bar, percent) = (fill.bar(), fill.percent());
        let (mem, max_mem) = (self.sizes.cell(fill.mem), self.sizes.cell(fill.max_mem));
        writeln!(
            out,
            "{label:<26} {on}{bar}{off} {percent:>4} {mem:>10} of {max_mem:>10}{class}"
        )
    }
}

const BAR: i64 = 16;

impl Fill {
    /// Anything at all shows as one cell, so that empty looks empty and nothing else does.
    fn bar(&self) -> String {
        let cells = |bytes: i64| {
            let scaled = i128::from(bytes) * i128::from(BAR) / i128::from(self.max_mem.max(1));
            i64::try_from(scaled).unwrap_or(BAR).clamp(i64::from(bytes > 0), BAR)
        };
        let content = cells(self.mem);
        let room = (cells(self.carved) - content).max(i64::from(self.carved > self.mem && content < BAR));
        let repeat = |cell: &str, count: i64| cell.repeat(usize::try_from(count).unwrap_or_default());
        format!(
            "{}{}{}",
            repeat("█", content),
            repeat("░", room),
            repeat("·", BAR - content - room)
        )
    }

    /// Rounded down, so that only what is full shows 100%.
    fn percent(&self) -> String {
        format!("{}%", i128::from(self.mem) * 100 / i128::from(self.max_mem.max(1)))
    }
}

/// Whether another child of the same parent follows.
#[derive(Clone, Copy)]
enum Corner {
    Middle,
    Last,
}

impl Corner {
    fn branch(self) -> &'static str {
        match self {
            Self::Middle => "├─ ",
            Self::Last => "└─ ",
        }
    }

    fn stem(self) -> &'static str {
        match self {
            Self::Middle => "│  ",
            Self::Last => "   ",
        }
    }
}

fn with_corners<T>(children: &[T]) -> impl Iterator<Item = (&T, Corner)> {
    let last = children.len().saturating_sub(1);
    let corner = move |index| if index == last { Corner::Last } else { Corner::Middle };
    children
        .iter()
        .enumerate()
        .map(move |(index, child)| (child, corner(index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_content_room_and_what_is_not_carved() {
        let bar = |mem, carved, max_mem| Fill { mem, carved, max_mem }.bar();
        assert_eq!(bar(0, 0, 100), "················");
        assert_eq!(bar(100, 100, 100), "████████████████");
        assert_eq!(bar(50, 75, 100), "████████░░░░····");
        assert_eq!(bar(1, 1, 1_000_000), "█···············");
        assert_eq!(bar(1, 2, 1_000_000), "█░··············");
        assert_eq!(bar(99, 100, 100), "███████████████░");
        assert_eq!(bar(i64::MAX, i64::MAX, i64::MAX), "████████████████");
    }

    #[test]
    fn only_what_is_full_shows_100_percent() {
        assert_eq!(
            Fill {
                mem: 999,
                carved: 1000,
                max_mem: 1000
            }
            .percent(),
            "99%"
        );
        assert_eq!(
            Fill {
                mem: 1000,
                carved: 1000,
                max_mem: 1000
            }
            .percent(),
            "100%"
        );
    }
}
