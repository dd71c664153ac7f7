//! `heapledger usage`

use anyhow::Result;
use heapledger::{EventId, LevelUsage, TagUsage, UsagePoint};
use serde::Serialize;

use super::log::exact_time;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::chart::Chart;
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{if_any, printable, share};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger usage
  heapledger usage --by owner            # see put --tag
  heapledger usage --over-time
  heapledger usage --over-time --points 500 --format csv > usage.csv")]
pub struct Args {
    /// Whose the objects are: a row for each value that tags have for this key
    #[arg(long, value_name = "KEY", conflicts_with = "over_time")]
    by: Option<String>,

    /// Show usage since the history began, instead of now
    #[arg(long)]
    over_time: bool,

    /// At most this many points, evenly spaced by events [default: 60, or 1000 for programs]
    #[arg(long, value_name = "N", requires = "over_time", value_parser = clap::value_parser!(u32).range(1..))]
    points: Option<u32>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    if let Some(key) = &args.by {
        let rows = memory.usage_by(key)?;
        let total = rows.iter().map(|row| row.bytes).sum();
        return context.list(rows.into_iter().map(|row| OfTag { total, row }));
    }
    if !args.over_time {
        return context.list(memory.usage()?);
    }
    let mut output = context.output();
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
    columns! { self, sizes,
        Head::left("LEVEL") => self.level,
        Head::right("BLOCK SIZE") => if_any(self.block_size, |size| sizes.cell(size)),
        Head::right("ROWS").worth(4) => self.rows,
        Head::right("BYTES").worth(2) => sizes.cell(self.max_mem),
        Head::right("RESERVED").worth(1) => sizes.cell(self.reserved),
        Head::right("USED").worth(5) => sizes.cell(self.mem),
        Head::right("SHARE").worth(3) => share(self.mem, self.max_mem),
        Head::right("PROMISED") => if_any(self.promised, |bytes| sizes.cell(bytes)),
        Head::right("AVAILABLE") => if_any(self.available, |bytes| sizes.cell(bytes)),
    }
}

/// The objects with a value for a key, and the bytes of all objects.
#[derive(Serialize)]
struct OfTag {
    #[serde(flatten)]
    row: TagUsage,
    #[serde(skip)]
    total: u64,
}

impl Row for OfTag {
    const KEYS: &'static str = "bucket,value,objects,bytes";
    columns! { self, sizes,
        Head::left("BUCKET").worth(1) => self.row.bucket,
        Head::left("VALUE").worth(5).cut_to(12) => if_any(self.row.value.as_deref(), printable),
        Head::right("OBJECTS").worth(3) => self.row.objects,
        Head::right("BYTES").worth(4) => sizes.cell(self.row.bytes),
        Head::right("SHARE").worth(2) => share(self.row.bytes, self.total),
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
