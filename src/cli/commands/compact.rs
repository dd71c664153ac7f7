//! `heapledger compact`

use anyhow::Result;
use heapledger::{CompactOptions, Work};

use super::plan_file::{self, PlanFile};
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::parse;
use crate::cli::output::progress;
use crate::cli::output::text::counted;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
An arena is emptied if less than a quarter of it is used and there is room for all of it
elsewhere. The space gets the arenas back; the file becomes hardly smaller, because the
contents take as much of it as before.

Examples:
  heapledger compact --dry-run
  heapledger compact
  heapledger compact --under 50 --most 64MiB
  heapledger compact --plan p.json && heapledger apply p.json")]
pub struct Args {
    /// Empty only arenas of which less than this is used, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = CompactOptions::default().under,
          value_parser = clap::value_parser!(u8).range(1..=100))]
    under: u8,

    /// Move at most this many bytes
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    most: Option<u64>,

    /// Join the pieces of objects wherever one block has room for all of them, not only of those
    /// that have to be moved anyway
    #[arg(long)]
    join: bool,

    /// Move nothing; print what would be done
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    plan: PlanFile,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let options = CompactOptions::default()
        .under(args.under)
        .most(args.most)
        .join(args.join);
    let memory = context.change()?;
    if let Some(path) = args.plan.path() {
        return plan_file::write(&memory, &Work::Compact(options), path, context);
    }
    if args.dry_run {
        return plan_file::dry_run(&memory, &Work::Compact(options), context);
    }
    let compacted = progress::phases("reading what has room", |phase| memory.compact_with(options, phase))?;
    context.answer(&compacted, |out| {
        plan_file::did(out, &compacted.totals, context.sizes(), context.is_on_server())?;
        if compacted.stale > 0 {
            let steps = counted(compacted.stale, "step");
            writeln!(out, "left {steps} out, because others changed something meanwhile")?;
        }
        Ok(())
    })
}
