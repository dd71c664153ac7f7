//! `heapledger export`

use std::path::PathBuf;

use anyhow::Result;

use super::save_tree;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::progress;
use crate::cli::output::text::{counted, printable_path};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger export files
  heapledger export files --space cache && tar -cf cache.tar files
  heapledger export tree --by-name       # like `get -r -o tree`

DIR is new, or an empty folder such as a mounted disk. DIR/objects has the contents,
DIR/manifest.jsonl a line of JSON for each object; it comes last, and a folder
without it is not an export. It has no history and no reservations. Everything in it
is readable by you alone.")]
pub struct Args {
    /// The folder to create
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Write the object of each name as a file at the path that the name is, without a manifest: what
    /// has no name is left out. Names that are no path in DIR are reported and skipped; exit status 1
    /// if there are any
    #[arg(long)]
    by_name: bool,

    /// With --by-name, replace files that exist
    #[arg(short, long, requires = "by_name")]
    force: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    if args.by_name {
        let saved = save_tree::save(&memory, "", &args.folder, args.force)?;
        return save_tree::report(&saved, &args.folder, context);
    }
    let exported = progress::bytes("exporting", |bytes| memory.export_with(&args.folder, bytes))?;
    let (objects, names) = (counted(exported.objects, "object"), counted(exported.names, "name"));
    let bytes = context.sizes().phrase(exported.bytes);
    context.output().one(&exported, |out| {
        writeln!(out, "{}: {objects} with {names}, {bytes}", printable_path(&args.folder))
    })?;
    Ok(Outcome::Fine)
}
