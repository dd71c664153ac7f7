//! `heapledger get -r` and `heapledger export --by-name`: names as files.

use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::{Result, bail};
use heapledger::{MemManager, SaveTreeOptions, SavedTree};

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::output::progress;
use crate::cli::output::text::{Sizes, counted, printable_path};

/// What is made besides files.
#[derive(Debug, clap::Args)]
pub struct Attributes {
    /// Also restore the permissions, symbolic links and empty folders that `put --attributes` stored. Links that
    /// may lead outside are reported and skipped
    #[arg(short, long)]
    attributes: bool,

    /// With --attributes, restore links that lead outside, too
    #[arg(long, requires = "attributes")]
    any_links: bool,
}

impl Attributes {
    pub fn options(&self, force: bool) -> SaveTreeOptions {
        let options = SaveTreeOptions::default().replace(force);
        options.attributes(self.attributes).any_links(self.any_links)
    }
}

/// Writes the files, and reports the names that are skipped.
pub fn save(memory: &MemManager, prefix: &str, folder: &Path, options: SaveTreeOptions) -> Result<SavedTree> {
    let saved = progress::bytes("writing", |bytes| memory.save_tree_with(prefix, folder, options, bytes))?;
    warn(&saved);
    Ok(saved)
}

/// The same as a tar on standard output, with a summary on standard error.
pub fn save_tar(memory: &MemManager, prefix: &str, options: SaveTreeOptions, sizes: Sizes) -> Result<Outcome> {
    let out = tar_to_stdout()?;
    let saved = progress::bytes("writing", |bytes| memory.save_tree_tar(prefix, out, options, bytes))?;
    warn(&saved);
    exit::note(&summary(&saved, sizes));
    Ok(Outcome::findings_if(!saved.skipped.is_empty()))
}

/// Standard output, unless a person would see the tar.
pub fn tar_to_stdout() -> Result<io::StdoutLock<'static>> {
    let stdout = io::stdout().lock();
    if stdout.is_terminal() {
        bail!("a tar is not for a terminal; redirect it, as in `heapledger export - > FILE`");
    }
    Ok(stdout)
}

fn warn(saved: &SavedTree) {
    for skipped in &saved.skipped {
        exit::warn(&format!("skipped {}: {}", skipped.name, skipped.why));
    }
}

/// Prints a summary.
pub fn report(saved: &SavedTree, folder: &Path, context: &Context<'_>) -> Result<Outcome> {
    let told = summary(saved, context.sizes());
    context.answer(saved, |out| writeln!(out, "{}: {told}", printable_path(folder)))?;
    Ok(Outcome::findings_if(!saved.skipped.is_empty()))
}

fn summary(saved: &SavedTree, sizes: Sizes) -> String {
    let mut text = counted(saved.files, "file");
    for (count, what) in [(saved.links, "link"), (saved.folders, "empty folder")] {
        if count > 0 {
            text.push_str(&format!(", {}", counted(count, what)));
        }
    }
    text.push_str(&format!(", {}", sizes.phrase(saved.bytes)));
    match saved.skipped.len() {
        0 => text,
        skipped => format!("{text}; {skipped} skipped"),
    }
}
