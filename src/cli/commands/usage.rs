//! `heapledger usage`

use anyhow::Result;
use heapledger::{EventId, LevelUsage, UsagePoint};
use serde::Serialize;

use super::log::exact_time;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::chart::Chart;
use crate::cli::output::render::Row;
use crate::cli::output::table::Head;
use crate::cli::output::text::Sizes;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger usage
  heapledger usage --over-time
  heapledger usage --over-time --points 500 --format csv > usage.csv")]
pub struct Args {
    /// Show usage since the history began, instead of now
    #[arg(long)]
    over_time: bool,

    /// At most this many points, evenly spaced by events [default: 60, or 1000 for programs]
    #[arg(long, value_name = "N", requires = "over_time", value_parser = clap::value_parser!(u32).range(1..))]
    points: Option<u32>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let mut output = context.output();
    if !args.over_time {
        output.rows(memory.usage()?)?;
        return Ok(Outcome::Fine);
    }
    let points = args.points.unwrap_or(if output.is_table() { 60 } else { 1000 });
    let room = output.columns().map_or(usize::MAX, Chart::points_in);
    let points = memory.usage_over_time(usize::try_from(points)?.min(room))?;
    if output.is_table() {
        let chart = Chart {
            points: &points,
            sizes: context.sizes(),
        };
        chart.draw(output.text())?;
        output.flush()?;
    } else {
        output.rows(points.iter().map(PointRow::from))?;
    }
    Ok(Outcome::Fine)
}

impl Row for LevelUsage {
    const KEYS: &'static str = "space,level,block_size,rows,max_mem,reserved,mem,promised,available";
    const HEAD: &'static [Head] = &[
        Head::left("LEVEL"),
        Head::right("BLOCK SIZE"),
        Head::right("ROWS").worth(4),
        Head::right("BYTES").worth(2),
        Head::right("RESERVED").worth(1),
        Head::right("USED").worth(5),
        Head::right("SHARE").worth(3),
        Head::right("PROMISED"),
        Head::right("AVAILABLE"),
    ];

    fn cells(&self, sizes: Sizes) -> Vec<String> {
        let share = match self.max_mem {
            0 => "-".to_owned(),
            max_mem => format!("{:.1} %", 100.0 * self.mem as f64 / max_mem as f64),
        };
        vec![
            self.level.to_string(),
            self.block_size.map(|size| sizes.cell(size)).unwrap_or_default(),
            self.rows.to_string(),
            sizes.cell(self.max_mem),
            sizes.cell(self.reserved),
            sizes.cell(self.mem),
            share,
            self.promised.map(|bytes| sizes.cell(bytes)).unwrap_or_default(),
            self.available.map(|bytes| sizes.cell(bytes)).unwrap_or_default(),
        ]
    }
}

/// A point of a plot.
#[derive(Serialize)]
struct PointRow {
    event_id: EventId,
    time: String,
    mem: u64,
    peak_mem: u64,
    room_in_blocks: u64,
    uncarved_in_pools: u64,
    uncarved_in_arenas: u64,
    unreserved: u64,
    capacity: u64,
}

impl From<&UsagePoint> for PointRow {
    fn from(point: &UsagePoint) -> Self {
        Self {
            event_id: point.event_id,
            time: exact_time(point.at),
            mem: point.mem,
            peak_mem: point.peak_mem,
            room_in_blocks: point.room_in_blocks,
            uncarved_in_pools: point.uncarved_in_pools,
            uncarved_in_arenas: point.uncarved_in_arenas,
            unreserved: point.unreserved,
            capacity: point.capacity,
        }
    }
}

impl Row for PointRow {
    const KEYS: &'static str = "event_id,time,mem,peak_mem,room_in_blocks,uncarved_in_pools,uncarved_in_arenas,unreserved,\
        capacity";
}
