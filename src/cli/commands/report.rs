//! `heapledger report`

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use heapledger::{MemManager, ReportOptions};
use serde::Serialize;

use super::doctor;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::when::When;
use crate::cli::output::progress;
use crate::cli::output::text::{counted, printable, printable_path};
use crate::cli::page::Page;
use crate::cli::streams::is_output;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The page has the totals, the findings of `heapledger doctor`, usage over time, a map of the
blocks with a slider over events, the classes, the largest objects and who holds how much,
and what came and went. It is one file that loads nothing, has names but no contents, and
takes less than 5 MB however large the heap is.

Examples:
  heapledger report -o heap.html
  heapledger report -o heap.html --since 7d --force
  heapledger report -o then.html --at @123
  heapledger report -o - | gzip > heap.html.gz")]
pub struct Args {
    /// The file to write, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Show the space as it was: an event (@123), a time (2026-01-31T12:00:00Z), or how long ago (2h, 30d)
    #[arg(long, value_name = "EVENT|TIME")]
    at: Option<When>,

    /// Begin its history there [default: as early as it is known]
    #[arg(long, value_name = "EVENT|TIME")]
    since: Option<When>,

    /// Replace an existing file
    #[arg(short, long)]
    force: bool,
}

#[derive(Serialize)]
struct Written {
    file: String,
    bytes: u64,
    frames: u64,
    cells: u64,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let is_to_file = !is_output(&args.output);
    if is_to_file && !args.force && fs::symlink_metadata(&args.output).is_ok() {
        bail!(
            "{} exists; replace it with --force, or name another file",
            printable_path(&args.output)
        );
    }
    let memory = context.follow()?;
    let moment = |when: Option<When>| when.map(|when| when.moment(&memory)).transpose();
    let options = ReportOptions::default().at(moment(args.at)?).since(moment(args.since)?);
    let report = progress::during("looking back", || memory.report(options))?;
    let findings = report.now.iter().flat_map(|now| &now.findings);
    let remedies = findings.map(|finding| doctor::commands(finding, context)).collect();
    let heap = printable(&context.shown()).into_owned();
    let page = Page {
        report: &report,
        heap,
        remedies,
    }
    .html();
    if !is_to_file {
        let mut out = io::stdout().lock();
        out.write_all(page.as_bytes())?;
        out.flush()?;
        return Ok(Outcome::Fine);
    }
    save(&args.output, page.as_bytes(), args.force)?;
    let last = report.map.frames.last();
    let written = Written {
        file: printable_path(&args.output),
        bytes: page.len() as u64,
        frames: report.map.frames.len() as u64,
        cells: last.map_or(0, |frame| frame.cells.len() as u64),
    };
    context.answer(&written, |out| {
        let (moments, cells) = (counted(written.frames, "moment"), counted(written.cells, "cell"));
        let size = context.sizes().phrase(written.bytes);
        writeln!(out, "{}: {size}, {moments}, {cells}", written.file)
    })
}

/// Writes the file, which appears only when it is complete.
fn save(to: &Path, page: &[u8], force: bool) -> Result<()> {
    let what = || format!("{} cannot be written", printable_path(to));
    let target = fs::canonicalize(to).unwrap_or_else(|_| to.to_owned());
    if MemManager::has_open(&target) {
        bail!("{}: it is the heap; name another file", what());
    }
    if fs::metadata(&target).is_ok_and(|found| !found.is_file()) {
        return fs::write(&target, page).with_context(what);
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(what)?;
    file.write_all(page).with_context(what)?;
    let persisted = if force {
        file.persist(&target)
    } else {
        file.persist_noclobber(&target)
    };
    persisted.map(drop).map_err(|error| error.error).with_context(what)
}
