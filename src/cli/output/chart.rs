//! A chart of usage over time, drawn with characters.

use std::io::{self, Write};

use heapledger::UsagePoint;

use super::text::{Sizes, time};

/// A chart of the bytes used, one column per point.
pub struct Chart<'a> {
    pub points: &'a [UsagePoint],
    pub sizes: Sizes,
}

/// Height of the highest column, in lines.
const HEIGHT: usize = 6;
/// Parts of a column, from nothing to a full line.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// Width of the axis labels, in columns.
const MARGIN: usize = 12;

impl Chart<'_> {
    /// How many points fit a terminal with this number of columns.
    pub fn points_in(columns: usize) -> usize {
        columns.saturating_sub(MARGIN + " ┤".chars().count()).max(1)
    }

    pub fn draw(&self, out: &mut dyn Write) -> io::Result<()> {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return writeln!(out, "nothing has happened yet");
        };
        // Includes peaks between two points.
        let top = self.points.iter().map(|point| point.peak_mem).max().unwrap_or_default();
        for line in (0..HEIGHT).rev() {
            let figure = match line {
                0 => self.sizes.cell(0u8),
                _ if line + 1 == HEIGHT => self.sizes.cell(top),
                _ => String::new(),
            };
            let row: String = self
                .points
                .iter()
                .map(|point| cell(point.peak_mem, top, line))
                .collect();
            writeln!(out, "{figure:>MARGIN$} ┤{}", row.trim_end())?;
        }
        let (from, to) = (format!("@{}", first.event_id.n()), format!("@{}", last.event_id.n()));
        let gap = self.points.len().saturating_sub(from.len() + to.len()).max(1);
        writeln!(out, "{:>MARGIN$} └{from}{}{to}", "", "─".repeat(gap))?;
        writeln!(out, "{:>MARGIN$}  {} to {}", "time", time(first.at), time(last.at))?;
        let (now, capacity) = (self.sizes.phrase(last.mem), self.sizes.phrase(last.capacity));
        writeln!(
            out,
            "{:>MARGIN$}  {now} of {capacity}, at most {}",
            "used",
            self.sizes.phrase(top)
        )
    }
}

/// The part of a column in one line, counted from the bottom. Any value above 0 is visible.
fn cell(bytes: u64, top: u64, line: usize) -> &'static str {
    let full = (HEIGHT * 8) as i128;
    let height = i128::from(bytes) * full / i128::from(top.max(1));
    let height = height.clamp(i128::from(bytes > 0), full) - (line * 8) as i128;
    let eighths = usize::try_from(height.clamp(0, 8)).unwrap_or_default();
    EIGHTHS.get(eighths).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(bytes: u64, top: u64) -> String {
        (0..HEIGHT).map(|line| cell(bytes, top, line)).collect()
    }

    #[test]
    fn a_column_is_as_high_as_its_share_of_the_top() {
        assert_eq!(column(0, 48), "      ");
        assert_eq!(column(1, 48), "▁     ");
        assert_eq!(column(12, 48), "█▄    ");
        assert_eq!(column(48, 48), "██████");
        assert_eq!(column(1, 1_000_000), "▁     ");
        assert_eq!(column(0, 0), "      ");
        assert_eq!(column(u64::MAX, u64::MAX), "██████");
    }
}
