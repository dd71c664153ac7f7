//! `heapledger import`

use std::path::PathBuf;

use anyhow::Result;

use super::args::Making;
use super::context::Context;
use super::exit::Outcome;
use super::progress::Progress;
use super::text::counted;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger import files
  heapledger import files --db new.db --space cache --create

Every content is checked against its id. What is stored already is not stored
again, and no name is taken from another object.")]
pub struct Args {
    /// A folder that `heapledger export` made
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    #[command(flatten)]
    making: Making,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.store(args.making)?;
    let mut progress = Progress::new("importing");
    let imported = memory.import_with(&args.folder, &mut |done| progress.set(done, 0))?;
    drop(progress);
    let (objects, names) = (counted(imported.objects, "object"), counted(imported.names, "name"));
    let (bytes, known) = (context.sizes().phrase(imported.bytes), imported.dedup_hits);
    context.output().one(&imported, |out| match known {
        0 => writeln!(out, "{objects} with {names}, {bytes}"),
        _ => writeln!(
            out,
            "{objects} with {names}, {bytes}; {} stored already",
            counted(known, "object")
        ),
    })?;
    Ok(Outcome::Fine)
}
