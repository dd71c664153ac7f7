//! `heapledger import`

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Result, bail};
use heapledger::{
    Error, ImportOptions, Imported, MemManager, StoreTarOptions, TarStream, TransferError, UnstoredMember,
};

use super::taken::{self, Taken};
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::globals::Making;
use crate::cli::output::progress;
use crate::cli::output::text::{Sizes, counted, printable_path};
use crate::cli::streams;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger import files
  heapledger import files --db new.db --space cache --create
  heapledger import files --on-conflict rename
  heapledger import - < heap.tar         # what `heapledger export -` wrote
  tar c photos | heapledger import - --by-name

Every content is checked against its id and its kind. Known objects are not stored
again, so an interrupted import can be repeated. A name that another object has here,
or that is invalid, ends the import before anything is stored, unless --on-conflict
says what to do with it:
  skip      leave it out, and also an object with no other names
  replace   give it to the imported object; the other is freed if nothing else holds it
  rename    put ~ and the first digits of the object's id behind it")]
pub struct Args {
    /// A folder written by `heapledger export`; `-` is a tar on standard input
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Store the files of any tar by their paths, as `put -r --names` does: names that are bound already
    /// move
    #[arg(long, conflicts_with = "on_conflict")]
    by_name: bool,

    /// With --by-name, what the names begin with, before a `/`
    #[arg(long, value_name = "PREFIX", requires = "by_name")]
    prefix: Option<String>,

    /// With --by-name, also store permissions, symbolic links and empty folders, as `put --attributes` does
    #[arg(short, long, requires = "by_name")]
    attributes: bool,

    #[command(flatten)]
    taken: Taken,

    #[command(flatten)]
    making: Making,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if args.by_name {
        return files(args, context);
    }
    let options = ImportOptions::default().on_conflict(args.taken.on_conflict());
    // What is not an export leaves no empty heap behind.
    let imported = if args.folder.as_os_str() == "-" {
        let tar = tar_on_stdin()?;
        let memory = context.store(args.making)?;
        progress::bytes("importing", |bytes| memory.import_tar(tar, options, bytes))
    } else {
        MemManager::survey_export(&args.folder)?;
        let memory = context.store(args.making)?;
        progress::bytes("importing", |bytes| memory.import_with(&args.folder, options, bytes))
    };
    let imported = match imported {
        Err(error @ Error::Transfer(TransferError::NameRefused { .. })) if args.taken.is_refused() => {
            bail!("{error}; --on-conflict skip, replace or rename imports the rest")
        }
        imported => imported?,
    };
    taken::note(&imported.conflicts);
    let summary = summary(&imported, context.sizes());
    context.answer(&imported, |out| writeln!(out, "{summary}"))
}

/// Stores the files of a tar by their paths.
fn files(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if args.folder.as_os_str() != "-" {
        bail!(
            "--by-name reads a tar from standard input, so DIR must be -; `heapledger put -r --names` stores a folder"
        );
    }
    let tar = tar_on_stdin()?;
    let memory = context.store(args.making)?;
    let prefix = args.prefix.as_deref().unwrap_or_default();
    let options = StoreTarOptions::default().prefix(prefix).attributes(args.attributes);
    let mut told = |member: UnstoredMember| {
        let line = format!("{}: {}", printable_path(&member.path), member.why);
        match member.failed {
            true => exit::warn(&line),
            false => exit::note(&format!("skipped {line}")),
        }
    };
    let stored = progress::bytes("storing", |bytes| memory.store_tar(tar, &options, &mut told, bytes))?;
    context.answer(&stored, |out| {
        let (names, bytes) = (counted(stored.names, "name"), context.sizes().phrase(stored.bytes));
        write!(out, "{names}, {bytes}")?;
        for (count, what) in [
            (stored.dedup_hits, "already known"),
            (stored.skipped, "skipped"),
            (stored.failed, "failed"),
        ] {
            if count > 0 {
                write!(out, "; {count} {what}")?;
            }
        }
        writeln!(out)
    })?;
    if stored.failed > 0 {
        bail!("{} could not be stored", counted(stored.failed, "path"));
    }
    Ok(Outcome::Fine)
}

fn tar_on_stdin() -> Result<TarStream<impl Read>> {
    if io::stdin().is_terminal() {
        bail!("standard input is a terminal; pass a tar, as in `heapledger import - < FILE`");
    }
    Ok(TarStream::open(streams::content()?)?)
}

fn summary(imported: &Imported, sizes: Sizes) -> String {
    let (objects, names) = (counted(imported.objects, "object"), counted(imported.names, "name"));
    let mut text = format!("{objects} with {names}, {}", sizes.phrase(imported.bytes));
    for (count, what) in [(imported.dedup_hits, "stored already"), (imported.left_out, "left out")] {
        if count > 0 {
            text.push_str(&format!("; {} {what}", counted(count, "object")));
        }
    }
    text
}
