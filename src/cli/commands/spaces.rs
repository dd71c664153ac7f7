//! `heapledger spaces` and `heapledger resize`

use anyhow::{Result, bail};
use heapledger::{DiskUse, DroppedSpace, MemRam};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::parse::{self, Ceiling};
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{if_any, printable, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger spaces
  heapledger spaces --format csv --db cache.db
  heapledger spaces --dropped  # those that are gone, or on their way")]
pub struct ListArgs {
    /// List the spaces that were dropped, with what each had then
    #[arg(long)]
    dropped: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger resize 4GiB
  heapledger resize --max-file 6GiB  # everything on disk, for all spaces
  heapledger resize --max-file none")]
pub struct ResizeArgs {
    /// The new capacity: 65536, 64M, 1.5GiB
    #[arg(value_name = "SIZE", value_parser = parse::size, required_unless_present = "max_file")]
    max_mem: Option<u64>,

    /// The new ceiling of everything that the heap has on disk: the file, its log and the index of the
    /// log; none removes it. At least 1 MiB, and what is there with a reserve for freeing
    #[arg(long, value_name = "SIZE", value_parser = parse::ceiling)]
    max_file: Option<Ceiling>,
}

pub fn list(args: &ListArgs, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.follow_any()?;
    if args.dropped {
        let Some(memory) = memory else {
            bail!(
                "{} has no space to open it with; its table dropped_spaces has those that were dropped",
                context.shown()
            );
        };
        return context.list(memory.dropped_spaces()?);
    }
    let spaces = memory.map_or(Ok(Vec::new()), |memory| memory.spaces())?;
    for space in &spaces {
        if let Some(at) = space.dropped_at {
            let (name, at) = (printable(&space.name), time(at));
            exit::note(&format!(
                "note: the drop of space {name} began at {at} and is not complete; drop-space removes the rest"
            ));
        }
    }
    context.list(spaces)
}

pub fn resize(args: &ResizeArgs, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.change()?;
    let (before, had) = (memory.memram()?, memory.disk_use()?.max_file);
    // First the one that depends on more than the arguments.
    if let Some(Ceiling(max_file)) = args.max_file {
        memory.set_max_file(max_file)?;
    }
    let space = match args.max_mem {
        Some(max_mem) => memory.resize(max_mem).or_else(|refused| {
            // What is refused changes nothing.
            if args.max_file.is_some() {
                memory.set_max_file(had)?;
            }
            Err(refused)
        })?,
        None => memory.memram()?,
    };
    let disk = memory.disk_use()?;
    let resized = Resized { space, disk };
    context.answer(&resized, |out| {
        let (Resized { space, disk }, sizes) = (&resized, context.sizes());
        if args.max_mem.is_some() {
            let (was, is) = (sizes.phrase(before.max_mem), sizes.phrase(space.max_mem));
            let (name, free) = (printable(&space.name), sizes.phrase(space.available()));
            writeln!(out, "space {name} has {is} (was {was}), {free} free")?;
        }
        if args.max_file.is_some() {
            let ceiling = |max_file: Option<u64>| max_file.map_or("none".into(), |bytes| sizes.phrase(bytes));
            let (was, is) = (ceiling(had), ceiling(disk.max_file));
            let total = sizes.phrase(disk.total());
            writeln!(out, "the ceiling of the file is {is} (was {was}), {total} on disk")?;
        }
        Ok(())
    })
}

#[derive(Serialize)]
struct Resized {
    #[serde(flatten)]
    space: MemRam,
    disk: DiskUse,
}

impl Row for MemRam {
    const KEYS: &'static str = "id,name,max_mem,mem,promised,reserved,arena_size,per_block,arenas,peak_mem,allocations,frees,\
        dedup_hits,dedup_saved,created_at,history,history_keep,history_max_bytes,history_bytes,dropped_at,tags,quotas,evict,evict_min_age,\
        evictions,evicted_mem,evict_hand,evict_main,evict_gone";
    columns! { self, sizes,
        Head::left("SPACE").cut_to(12) => printable(&self.name),
        Head::right("CAPACITY") => sizes.cell(self.max_mem),
        Head::right("USED") => sizes.cell(self.mem),
        Head::right("PROMISED").worth(4) => sizes.cell(self.promised),
        Head::right("FREE").worth(5) => sizes.cell(self.available()),
        Head::right("ARENAS").worth(2) => self.arenas,
        Head::right("OBJECTS").worth(4) => self.allocations - self.frees,
        Head::right("PEAK").worth(3) => sizes.cell(self.peak_mem),
        Head::left("CREATED").worth(1) => time(self.created_at),
    }
}

impl Row for DroppedSpace {
    const KEYS: &'static str =
        "id,name,max_mem,mem,objects,names,reservations,history_bytes,created_at,dropped_at,gone_at,actor,reason";
    columns! { self, sizes,
        Head::left("SPACE").cut_to(12) => printable(&self.name),
        Head::right("USED") => sizes.cell(self.mem),
        Head::right("OBJECTS").worth(4) => self.objects,
        Head::right("NAMES").worth(2) => self.names,
        Head::left("DROPPED") => time(self.dropped_at),
        Head::left("GONE").worth(5) => self.gone_at.map_or("not yet".into(), time),
        Head::left("BY").worth(3).cut_to(10) => if_any(self.actor.as_deref(), printable),
        Head::left("REASON").worth(1).cut_to(10) => if_any(self.reason.as_deref(), printable),
    }
}
