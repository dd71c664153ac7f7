//! `heapledger backup`

use std::path::PathBuf;

use anyhow::Result;
use heapledger::Violation;

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::parse;
use crate::cli::output::progress;
use crate::cli::output::text::{counted, printable, printable_path};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger backup heap-copy.db
  heapledger backup backups/heap-$(date +%F).db && echo done

FILE is a complete heap, checked in full. It appears only when it is complete,
and nothing is overwritten. Programs that use the heap need not stop.")]
pub struct Args {
    /// The file to create
    #[arg(value_name = "FILE", value_parser = parse::named_path())]
    file: PathBuf,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.follow()?;
    let backup = progress::phases("copying", |phase| memory.backup_with(&args.file, phase))?;
    let size = context.sizes().phrase(backup.file_size);
    context.answer(&backup, |out| {
        writeln!(out, "{}: {size}, checked in full", printable_path(&args.file))
    })?;
    if backup.violations.is_empty() {
        return Ok(Outcome::Fine);
    }
    let count = counted(backup.violations.len() as u64, "violation");
    let file = args.file.to_string_lossy();
    let repair = shlex::try_quote(&file).unwrap_or_default();
    exit::warn(&format!(
        "the heap is damaged, and so is its backup: {count}; `heapledger --db {repair} check --repair` repairs what it can \
         in the backup"
    ));
    for violation in backup.violations.iter().take(SHOWN) {
        exit::warn(&printable(&Violation::to_string(violation)));
    }
    Ok(Outcome::Findings)
}

/// Violations shown at most; `check` lists them all.
const SHOWN: usize = 5;
