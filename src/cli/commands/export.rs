//! `heapledger export`

use std::path::PathBuf;

use anyhow::Result;
use heapledger::Exported;

use super::save_tree::{self, Attributes};
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::output::progress;
use crate::cli::output::text::{Sizes, counted, printable_path};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger export files
  heapledger export - --space cache > cache.tar
  heapledger export - | heapledger import - --space copy --create
  heapledger export tree --by-name       # like `get -r -o tree`
  heapledger export - --by-name | tar -t # the same as a tar of plain files

DIR is new, or an empty folder such as a mounted disk. DIR/objects has the contents,
DIR/manifest.jsonl a line of JSON for each object; it comes last, and a folder
without it is not an export. History, reservations, quotas, pins, eviction policy and
capacity are not in it. Everything is readable by you alone. `-` writes the same as a tar, the manifest first; the time of
a file is when its object was stored.")]
pub struct Args {
    /// The folder to create; `-` writes a tar to standard output
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Write the object of each name as a file at the path that the name is, without a manifest: what
    /// has no name is left out. Names that are no path in DIR are reported and skipped; exit status 1
    /// if there are any
    #[arg(long)]
    by_name: bool,

    /// With --by-name, only names that begin with PREFIX and `/`, which the paths do not have
    #[arg(long, value_name = "PREFIX", requires = "by_name")]
    prefix: Option<String>,

    #[command(flatten)]
    attributes: Attributes,

    /// With --by-name, replace files that exist
    #[arg(short, long, requires = "by_name")]
    force: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let to_stdout = args.folder.as_os_str() == "-";
    if args.by_name {
        let prefix = args.prefix.as_deref().unwrap_or_default();
        let options = args.attributes.options(args.force);
        if to_stdout {
            return save_tree::save_tar(&memory, prefix, options, context.sizes());
        }
        let saved = save_tree::save(&memory, prefix, &args.folder, options)?;
        return save_tree::report(&saved, &args.folder, context);
    }
    if to_stdout {
        let out = save_tree::tar_to_stdout()?;
        let exported = progress::bytes("exporting", |bytes| memory.export_tar(out, bytes))?;
        exit::note(&summary(&exported, context.sizes()));
        return Ok(Outcome::Fine);
    }
    let exported = progress::bytes("exporting", |bytes| memory.export_with(&args.folder, bytes))?;
    let told = summary(&exported, context.sizes());
    context.answer(&exported, |out| {
        writeln!(out, "{}: {told}", printable_path(&args.folder))
    })
}

fn summary(exported: &Exported, sizes: Sizes) -> String {
    let (objects, names) = (counted(exported.objects, "object"), counted(exported.names, "name"));
    format!("{objects} with {names}, {}", sizes.phrase(exported.bytes))
}
