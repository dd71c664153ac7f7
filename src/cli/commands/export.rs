//! `heapledger export`

use std::path::PathBuf;

use anyhow::Result;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::progress;
use crate::cli::output::text::{counted, printable_path};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger export files
  heapledger export files --space cache && tar -cf cache.tar files

DIR is new, or an empty folder such as a mounted disk. DIR/objects has the contents,
DIR/manifest.jsonl a line of JSON for each object; it comes last, and a folder
without it is not an export. It has no history and no reservations. Everything in it
is readable by you alone.")]
pub struct Args {
    /// The folder to create
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let exported = progress::bytes("exporting", |bytes| memory.export_with(&args.folder, bytes))?;
    let (objects, names) = (counted(exported.objects, "object"), counted(exported.names, "name"));
    let bytes = context.sizes().phrase(exported.bytes);
    context.output().one(&exported, |out| {
        writeln!(out, "{}: {objects} with {names}, {bytes}", printable_path(&args.folder))
    })?;
    Ok(Outcome::Fine)
}
