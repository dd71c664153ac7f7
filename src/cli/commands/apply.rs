//! `heapledger apply`

use std::path::PathBuf;

use anyhow::Result;

use super::plan_file;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::progress;
use crate::cli::output::text::counted;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is done is exactly what the plan says, in slices between which others can write. If
an object that it concerns has changed since it was made, the plan is stale (exit status 4):
the slices before that stay done, and nothing else is. After a crash, apply the same plan
again: what is done already is recognised.

Examples:
  heapledger apply p.json                # written with --plan
  heapledger apply --exact p.json")]
pub struct Args {
    /// The plan, which `gc`, `free`, `evict` or `compact` has written; `-` for standard input
    #[arg(value_name = "FILE")]
    plan: PathBuf,

    /// Refuse the plan if anything was stored, moved or freed since it was made
    #[arg(long)]
    exact: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let plan = plan_file::read(&args.plan)?;
    let memory = context.change()?;
    let applied = progress::phases("comparing", |phase| memory.apply_with(&plan, args.exact, phase))?;
    context.answer(&applied, |out| {
        let slices = counted(applied.slices, "slice");
        match applied.done_before {
            0 => writeln!(out, "applied {slices} of plan {}", applied.plan)?,
            before => writeln!(
                out,
                "applied {slices} of plan {}; applied before: {before}",
                applied.plan
            )?,
        }
        plan_file::did(out, &applied.totals, context.sizes(), context.is_on_server())
    })
}
