//! `heapledger copy`

use std::path::PathBuf;

use anyhow::{Result, bail};
use heapledger::{CopiedSpace, CopyOptions, Error, OnConflict, TransferError};

use super::taken::{self, Taken};
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::database::{Database, is_same_file};
use crate::cli::input::parse;
use crate::cli::output::progress;
use crate::cli::output::text::{Sizes, counted, printable};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger copy --to copy.db
  heapledger copy --to copy.db --space cache  # this space alone
  heapledger copy --to old.db --on-conflict rename
  heapledger copy --to-space archive          # within the heap

TARGET is a file or a server, as for --db: heapledger copy --to postgres://me@host/db.
It is created if there is none. Everything that is stored is copied with its names and
holds, but no history and no reservations. Contents are hashed on the way, and in the end
both heaps are compared. If it was interrupted, the same command continues. Programs that
use the heap need not stop; but within a heap nobody should write to the space meanwhile,
because then the newest state is read, and not one from the beginning.

A space of the target must be empty, or a part of such a copy, unless --on-conflict
says what to do with a name that another object has there:
  skip      leave it out, and also an object with no other names
  replace   give it to the copied object; the other is freed if nothing else holds it
  rename    put ~ and the first digits of the object's id behind it")]
pub struct Args {
    /// The heap to copy into: a file, or the address of a server; without it, this heap
    #[arg(long, value_name = "TARGET", value_parser = parse::named_path(), required_unless_present = "to_space")]
    to: Option<PathBuf>,

    /// Copy the space of --space, or main, and call it this
    #[arg(long, value_name = "NAME")]
    to_space: Option<String>,

    #[command(flatten)]
    taken: Taken,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let to = args.to.as_ref().map(|to| Database::named("--to", to)).transpose()?;
    match &to {
        Some(to) => to.may_write()?,
        None => context.may_write()?,
    }
    let is_here = |to: &Database| is_same_file(&to.path, context.db());
    let memory = if to.as_ref().is_none_or(|to| args.to_space.is_some() && is_here(to)) {
        Some(context.change()?)
    } else if context.names_space() || args.to_space.is_some() {
        Some(context.follow()?)
    } else {
        context.follow_any()?
    };
    let Some(memory) = memory else {
        bail!("{} has no space, so there is nothing to copy", context.shown());
    };
    let mut options = CopyOptions::default()
        .on_conflict(args.taken.on_conflict())
        .this_space_only(context.names_space())
        .target(context.options());
    options.to_space.clone_from(&args.to_space);
    let memory = context.because(memory);
    let path = to.as_ref().map_or(context.db(), |to| &to.path);
    let copied = progress::phases("comparing", |phase| memory.copy_to_with(path, &options, phase));
    let copied = match copied {
        Err(error @ Error::Transfer(TransferError::Occupied { .. })) if args.taken.is_refused() => {
            bail!("{error}; --on-conflict skip, replace or rename adds to it")
        }
        copied => copied?,
    };
    for space in &copied.spaces {
        taken::note(&space.conflicts);
    }
    let verified = match args.taken.on_conflict() {
        OnConflict::Refuse => "the same objects, names and holds are in both",
        _ => "all of it is there",
    };
    context.answer(&copied, |out| {
        for space in &copied.spaces {
            writeln!(out, "{}", summary(space, context.sizes()))?;
        }
        let to = to.as_ref().map_or_else(|| context.shown(), Database::shown);
        writeln!(out, "compared with {to}: {verified}, and both balance")
    })
}

fn summary(copied: &CopiedSpace, sizes: Sizes) -> String {
    let (objects, names) = (counted(copied.objects, "object"), counted(copied.names, "name"));
    let (space, bytes) = (printable(&copied.space), sizes.phrase(copied.bytes));
    let mut text = format!("{space}: {objects} with {names}, {bytes}");
    for (count, what) in [(copied.already, "there already"), (copied.left_out, "left out")] {
        if count > 0 {
            text.push_str(&format!("; {} {what}", counted(count, "object")));
        }
    }
    text
}
