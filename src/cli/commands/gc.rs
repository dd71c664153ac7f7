//! `heapledger gc`

use anyhow::Result;
use heapledger::{Expired, Work};

use super::free_plan;
use super::plan_file::{self, PlanFile};
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::progress;
use crate::cli::output::text::counted;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger gc
  heapledger gc --dry-run
  heapledger gc --expired                # even by a clock that is far ahead
  heapledger gc --plan p.json && heapledger apply p.json")]
pub struct Args {
    /// Remove nothing; print what would be given back
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    plan: PlanFile,

    /// Give back what has expired even if the clock is more than a day ahead of the last write
    #[arg(long, conflicts_with = "dry_run")]
    expired: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if let Some(path) = args.plan.path() {
        return plan_file::write(&context.change()?, &Work::Gc, path, context);
    }
    if args.dry_run {
        return free_plan::run(&context.change()?, &[], true, context);
    }
    let collected = progress::phases("opening", |phase| {
        let memory = context.change()?;
        let expired = match args.expired {
            true => memory.collect_expired()?,
            false => Expired::default(),
        };
        let mut collected = memory.collect_garbage_with(phase)?;
        collected.expired += expired;
        anyhow::Ok(collected)
    })?;
    let sizes = context.sizes();
    context.answer(&collected, |out| {
        let expired = &collected.expired;
        if expired.objects > 0 || expired.names > 0 {
            let (objects, names) = (counted(expired.objects, "object"), counted(expired.names, "name"));
            writeln!(
                out,
                "{objects} and {names} had expired: their {} are free",
                sizes.phrase(expired.bytes)
            )?;
        }
        let nothing = collected.bytes == 0 && collected.blocks == 0 && collected.file_bytes == 0;
        if nothing && context.is_on_server() {
            return writeln!(out, "nothing to give back");
        }
        if nothing && collected.held_bytes == 0 {
            return writeln!(
                out,
                "nothing to give back; the file has {}",
                sizes.phrase(collected.file_size)
            );
        }
        let (blocks, pools) = (counted(collected.blocks, "block"), counted(collected.pools, "pool"));
        let (arenas, bytes) = (counted(collected.arenas, "arena"), sizes.phrase(collected.bytes));
        writeln!(
            out,
            "removed {blocks}, {pools} and {arenas}; the space got {bytes} back"
        )?;
        if context.is_on_server() {
            return writeln!(out, "the server's autovacuum lets later rows use their room");
        }
        let (returned, left) = (sizes.phrase(collected.file_bytes), sizes.phrase(collected.file_size));
        writeln!(out, "the file is {returned} smaller and has {left}")?;
        if collected.held_bytes > 0 {
            let held = sizes.phrase(collected.held_bytes);
            writeln!(
                out,
                "a reader or another process still holds {held} of the file and its log; run gc again when it has ended"
            )?;
        }
        Ok(())
    })
}
