//! `heapledger rename-space`

use anyhow::{Result, bail};
use heapledger::MemManager;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::text::printable;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger rename-space main old
  heapledger rename-space cache thumbnails --reason 'one cache for each kind'

Programs that have the space open go on. Those that open it need its new name.")]
pub struct Args {
    /// The space
    #[arg(value_name = "OLD")]
    old: String,

    /// Its new name
    #[arg(value_name = "NEW")]
    new: String,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let rename = |memory: &MemManager| memory.rename_space(&args.old, &args.new);
    let Some(space) = context.change_beside(&args.old, rename)? else {
        bail!("{} has no space that can be renamed", context.shown());
    };
    context.answer(&space, |out| {
        writeln!(out, "space {} is {} now", printable(&args.old), printable(&space.name))
    })
}
