//! `heapledger import`

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;
use heapledger::{Conflict, Error, ImportOptions, Imported, MemManager, OnConflict, TransferError};

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::globals::Making;
use crate::cli::output::progress;
use crate::cli::output::text::{Sizes, counted, printable, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger import files
  heapledger import files --db new.db --space cache --create
  heapledger import files --on-conflict rename

Every content is checked against its id and its kind. Known objects are not stored
again, so an interrupted import can be repeated. A name that another object has here,
or that is invalid, ends the import before anything is stored, unless --on-conflict
says what to do with it:
  skip      leave it out, and also an object with no other names
  replace   give it to the imported object; the other is freed if nothing else holds it
  rename    put ~ and the first digits of the object's id behind it")]
pub struct Args {
    /// A folder written by `heapledger export`
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// What to do with a name that cannot be bound as it is
    #[arg(long, value_name = "WHAT", value_enum)]
    on_conflict: Option<OnConflictArg>,

    #[command(flatten)]
    making: Making,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnConflictArg {
    Skip,
    Replace,
    Rename,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    // First, so that a mistyped folder does not leave an empty heap behind.
    MemManager::survey_export(&args.folder)?;
    let memory = context.store(args.making)?;
    let on_conflict = args
        .on_conflict
        .map_or(OnConflict::Refuse, |on_conflict| match on_conflict {
            OnConflictArg::Skip => OnConflict::Skip,
            OnConflictArg::Replace => OnConflict::Replace,
            OnConflictArg::Rename => OnConflict::Rename,
        });
    let options = ImportOptions::default().on_conflict(on_conflict);
    let imported = progress::bytes("importing", |bytes| memory.import_with(&args.folder, options, bytes));
    let imported = match imported {
        Err(error @ Error::Transfer(TransferError::NameRefused { .. })) if args.on_conflict.is_none() => {
            bail!("{error}; --on-conflict skip, replace or rename imports the rest")
        }
        imported => imported?,
    };
    for conflict in imported.conflicts.iter().take(SHOWN) {
        exit::note(&told(conflict));
    }
    if let Some(more) = imported.conflicts.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        exit::note(&format!("and {}", counted(more as u64, "more name")));
    }
    let summary = summary(&imported, context.sizes());
    context.output().one(&imported, |out| writeln!(out, "{summary}"))?;
    Ok(Outcome::Fine)
}

/// Names reported on standard error at most; `--format json` has all.
const SHOWN: usize = 20;

fn told(conflict: &Conflict) -> String {
    let name = printable(&conflict.name);
    let other = conflict.bound_to.map_or_else(String::new, short_id);
    match (conflict.action, &conflict.renamed) {
        (_, Some(renamed)) => format!("renamed {name} to {}", printable(renamed)),
        (OnConflict::Replace, _) if conflict.freed => format!("replaced {name}, and freed {other}"),
        (OnConflict::Replace, _) => format!("replaced {name}, which was bound to {other}"),
        _ if other.is_empty() => format!("skipped {name}: it is not a valid name"),
        _ => format!("skipped {name}: it is bound to {other}"),
    }
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
