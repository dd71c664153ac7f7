//! `heapledger get -r` and `heapledger export --by-name`: names as files.

use std::path::Path;

use anyhow::Result;
use heapledger::{MemManager, SaveTreeOptions, SavedTree};

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::output::progress;
use crate::cli::output::text::{counted, printable_path};

/// Writes the files, and reports the names that are skipped.
pub fn save(memory: &MemManager, prefix: &str, folder: &Path, force: bool) -> Result<SavedTree> {
    let options = SaveTreeOptions::default().replace(force);
    let saved = progress::bytes("writing", |bytes| memory.save_tree_with(prefix, folder, options, bytes))?;
    for skipped in &saved.skipped {
        exit::warn(&format!("skipped {}: {}", skipped.name, skipped.why));
    }
    Ok(saved)
}

/// Prints a summary.
pub fn report(saved: &SavedTree, folder: &Path, context: &Context<'_>) -> Result<Outcome> {
    let (files, bytes) = (counted(saved.files, "file"), context.sizes().phrase(saved.bytes));
    context.output().one(saved, |out| {
        write!(out, "{}: {files}, {bytes}", printable_path(folder))?;
        match saved.skipped.len() {
            0 => writeln!(out),
            skipped => writeln!(out, "; {skipped} skipped"),
        }
    })?;
    Ok(if saved.skipped.is_empty() {
        Outcome::Fine
    } else {
        Outcome::Findings
    })
}
