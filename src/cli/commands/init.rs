//! `heapledger init`

use std::time::Duration;

use anyhow::Result;
use heapledger::{Geometry, MemManager, Policy};

use super::evict;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::parse::{self, Ceiling};
use crate::cli::input::when;
use crate::cli::output::text::printable;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger init --max-mem 64MiB
  heapledger init --max-file 100MiB  # everything on disk, log included
  heapledger --db cache.db --space thumbnails init --max-mem 2GiB
  heapledger init --max-mem 2GiB --evict oldest  # makes room by itself")]
pub struct Args {
    /// Capacity, a hard limit
    #[arg(long, value_name = "SIZE", value_parser = parse::size, default_value = "1GiB")]
    max_mem: u64,

    /// Ceiling of everything that a new heap has on disk: the file, its log and the index of the log;
    /// an existing file must have the same [default: none]
    #[arg(long, value_name = "SIZE", value_parser = parse::ceiling)]
    max_file: Option<Ceiling>,

    /// Evict objects if there is no room for a new one: those that were used least (lru, sieve, s3-fifo), the
    /// largest or the oldest first [default: refuse the new one]
    #[arg(long, value_name = "POLICY", value_parser = evict::policy())]
    evict: Option<Policy>,

    /// Younger objects are not evicted: 90s, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = when::span, requires = "evict")]
    min_age: Option<Duration>,

    /// Bytes of an arena [default: 256KiB]
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    arena: Option<u64>,

    /// Only one size class, of 512-byte blocks: the original design block for block
    #[arg(long)]
    classic: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let geometry = if args.classic {
        Geometry::classic()
    } else {
        Geometry::standard()
    };
    let geometry = match args.arena {
        Some(size) => geometry.with_arena_size(size)?,
        None => geometry,
    };
    let mut options = context
        .options()
        .max_mem(args.max_mem)
        .geometry(geometry)
        .create(true)
        .create_new_space(true);
    let max_file = args.max_file.and_then(|Ceiling(max_file)| max_file);
    if let Some(max_file) = max_file {
        options = options.max_file(max_file);
    }
    if let Some(policy) = args.evict {
        options = options.evict(evict::eviction(policy, args.min_age));
    }
    let memory = options.open(context.db())?;
    let (space, eviction) = (memory.memram()?, memory.eviction()?);
    context.answer(&space, |out| {
        let (name, path) = (printable(&space.name), context.shown());
        let ceiling = max_file.map_or(String::new(), |max_file| {
            format!("; at most {} on disk", context.sizes().phrase(max_file))
        });
        writeln!(
            out,
            "made space {name} in {path}: {}{ceiling}",
            shape(&memory, space.max_mem, context)
        )?;
        match eviction {
            None => Ok(()),
            eviction => writeln!(out, "{}", evict::in_words(eviction)),
        }
    })
}

/// `1.0 GiB in arenas of 256.0 KiB, blocks of 512 B, 4.0 KiB, 32.0 KiB`
fn shape(memory: &MemManager, max_mem: u64, context: &Context<'_>) -> String {
    let sizes = context.sizes();
    let geometry = memory.geometry();
    let blocks: Vec<_> = geometry
        .classes()
        .iter()
        .map(|class| sizes.cell(class.block_size))
        .collect();
    let (max_mem, arena) = (sizes.phrase(max_mem), sizes.cell(geometry.arena_size()));
    format!("{max_mem} in arenas of {arena}, blocks of {}", blocks.join(", "))
}
