//! Plans as files, and what they amount to in words.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use heapledger::{MemManager, ObjectId, Work, WorkPlan, WorkTotals};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::parse;
use crate::cli::output::progress;
use crate::cli::output::text::{Sizes, counted, printable_path};

/// Where to write a plan instead of carrying it out.
#[derive(Debug, clap::Args)]
pub struct PlanFile {
    /// Change nothing; write what would be done to a new file, for `apply`
    #[arg(long, value_name = "FILE", value_parser = parse::named_path(), conflicts_with = "dry_run")]
    plan: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    plan: ObjectId,
    slices: u64,
    #[serde(flatten)]
    totals: WorkTotals,
}

impl PlanFile {
    /// The file, if one was asked for.
    pub fn path(&self) -> Option<&Path> {
        self.plan.as_deref()
    }
}

/// Plans some work, and writes the plan to a new file.
pub fn write(memory: &MemManager, work: &Work, to: &Path, context: &Context<'_>) -> Result<Outcome> {
    let plan = progress::during("trying it out", || memory.plan_work(work))?;
    let what = || format!("{} cannot be written", printable_path(to));
    // Never overwrites the heap, nor a plan that somebody may want to apply.
    let mut file = File::create_new(to).with_context(what)?;
    let json = plan.to_json();
    let written = file.write_all(json.as_bytes()).and_then(|()| file.sync_all());
    written.with_context(what)?;
    let written = Written {
        plan: plan.digest(),
        slices: plan.slices.len() as u64,
        totals: plan.totals,
    };
    context.answer(&written, |out| {
        writeln!(out, "{}: {}", printable_path(to), counted(written.slices, "slice"))?;
        would(out, &written.totals, context.sizes(), context.is_on_server())
    })
}

/// Prints what some work would do, and does nothing.
pub fn dry_run(memory: &MemManager, work: &Work, context: &Context<'_>) -> Result<Outcome> {
    let totals = progress::during("trying it out", || memory.plan_work(work))?.totals;
    context.answer(&totals, |out| {
        would(out, &totals, context.sizes(), context.is_on_server())
    })
}

/// Reads a plan from a file or, for `-`, from standard input. To be called before the heap is opened: if
/// the file is one of the heap's, closing it would drop its locks.
pub fn read(from: &Path) -> Result<WorkPlan> {
    let what = || format!("{} cannot be read", printable_path(from));
    let mut json = Vec::new();
    match from.to_str() {
        Some("-") => io::stdin().lock().read_to_end(&mut json).with_context(what)?,
        _ => File::open(from)
            .and_then(|mut file| file.read_to_end(&mut json))
            .with_context(what)?,
    };
    WorkPlan::from_json(&json).with_context(|| printable_path(from))
}

fn would(out: &mut dyn Write, totals: &WorkTotals, sizes: Sizes, on_server: bool) -> io::Result<()> {
    if totals.freed > 0 {
        let (objects, bytes) = (counted(totals.freed, "object"), sizes.phrase(totals.freed_bytes));
        writeln!(out, "would free {objects} of {bytes}")?;
    }
    if totals.moves > 0 {
        writeln!(out, "would move {}", moves(totals, sizes))?;
    }
    writeln!(out, "would remove {}", removed(totals, "would get", sizes))?;
    if on_server {
        return Ok(());
    }
    let (returned, left) = (sizes.phrase(totals.file_bytes), sizes.phrase(totals.file_size));
    writeln!(out, "the file would be {returned} smaller and have {left}")
}

/// What was done, in the same words.
pub fn did(out: &mut dyn Write, totals: &WorkTotals, sizes: Sizes, on_server: bool) -> io::Result<()> {
    if totals.freed > 0 {
        let (objects, bytes) = (counted(totals.freed, "object"), sizes.phrase(totals.freed_bytes));
        writeln!(out, "freed {objects} of {bytes}")?;
    }
    if totals.moves > 0 {
        writeln!(out, "moved {}", moves(totals, sizes))?;
    }
    writeln!(out, "removed {}", removed(totals, "got", sizes))?;
    if on_server {
        return writeln!(out, "the server's autovacuum lets later rows use their room");
    }
    let (returned, left) = (sizes.phrase(totals.file_bytes), sizes.phrase(totals.file_size));
    writeln!(out, "the file is {returned} smaller and has {left}")
}

/// `3 pieces (1 object joined), 96 KiB (98,304 bytes)`
fn moves(totals: &WorkTotals, sizes: Sizes) -> String {
    let (moved, bytes) = (counted(totals.moves, "piece"), sizes.phrase(totals.moved_bytes));
    match totals.joined {
        0 => format!("{moved}, {bytes}"),
        joined => format!("{moved} ({} joined), {bytes}", counted(joined, "object")),
    }
}

fn removed(totals: &WorkTotals, verb: &str, sizes: Sizes) -> String {
    let (blocks, pools) = (counted(totals.blocks, "block"), counted(totals.pools, "pool"));
    let (arenas, bytes) = (counted(totals.arenas, "arena"), sizes.phrase(totals.bytes));
    format!("{blocks}, {pools} and {arenas}; the space {verb} {bytes} back")
}
