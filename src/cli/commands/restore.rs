//! `heapledger restore`

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use heapledger::{Error, MemManager};

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::database::is_same_file;
use crate::cli::input::parse;
use crate::cli::output::progress;
use crate::cli::output::text::printable_path;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger restore heap-copy.db --db other.db
  heapledger restore heap-copy.db --force

The copy is checked in full before it replaces the heap with all its spaces. With --force the
old contents of the heap are lost. FILE does not change. Nobody may have the
heap open.")]
pub struct Args {
    /// A file written by `heapledger backup`
    #[arg(value_name = "FILE", value_parser = parse::named_path())]
    file: PathBuf,

    /// Replace a heap that exists
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let (heap, file) = (context.shown(), printable_path(&args.file));
    if !args.force
        && let (Ok(backup), Ok(old)) = (fs::canonicalize(&args.file), fs::canonicalize(context.db()))
        && backup != old
    {
        bail!("{heap} exists; replace all its contents with --force, or name another heap with --db");
    }
    let restored = progress::phases("copying", |phase| {
        MemManager::restore_with(context.db(), &args.file, phase)
    });
    let restored = match restored {
        Err(Error::NoFile { .. }) => bail!("no backup at {file}"),
        // Perhaps only the first bytes of the heap are damaged.
        Err(error) if matches!(&error, Error::NotAHeap { path, .. } if !is_same_file(path, &args.file)) => Err(error)
            .context(format!(
                "{heap} is not replaced by {file}; if it is a damaged heap, move it away first"
            )),
        restored => restored.with_context(|| format!("{heap} is not replaced by {file}")),
    }?;
    let size = context.sizes().phrase(restored.file_size);
    context.answer(&restored, |out| {
        writeln!(out, "{heap}: restored from {file}, {size}, checked in full")
    })
}
