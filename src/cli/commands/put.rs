//! `heapledger put`

use std::path::PathBuf;

use anyhow::{Result, bail};

pub use super::put_args::Args;
use super::put_files::Put;
use super::put_report::Report;
use super::{put_plan, put_sync};
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::sources::Sources;
use crate::cli::output::text::{counted, printable_path};
use crate::cli::streams;

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if args.name.is_some() && (args.recursive || args.paths.len() > 1) {
        bail!("--name names one file; give one PATH, without -r");
    }
    if args.prefix.is_some() && args.paths.len() > 1 {
        bail!("--prefix stands for one PATH; give one");
    }
    if (args.names || args.sync) && args.paths.iter().any(|path| path.as_os_str() == "-") {
        bail!("standard input has no path; name it with --name");
    }
    args.tags.check()?;
    refuse_if_all_are_missing(&args.paths)?;
    let sources = Sources {
        recursive: args.recursive,
        attributes: args.attributes,
    };
    if args.sync {
        let [path] = args.paths.as_slice() else {
            bail!("--sync follows one folder; give one PATH");
        };
        return put_sync::run(args, path, &sources, context);
    }
    if args.dry_run {
        return put_plan::run(args, &sources, context);
    }
    if args.paths.iter().any(|path| path.as_os_str() == "-") {
        // First, so that closed standard input leaves no empty heap behind.
        drop(streams::input()?);
    }
    let memory = context.store(args.making)?;
    let mut output = context.output();
    let report = Report::new(&mut output, args.quiet);
    let mut put = Put::new(&memory, args, report)?;
    let done = put.all(&args.paths, &sources);
    put.end(done, context)
}

/// Fails if all paths are missing, so that a mistyped path does not leave an empty heap behind.
fn refuse_if_all_are_missing(paths: &[PathBuf]) -> Result<()> {
    let missing = |path: &&PathBuf| path.as_os_str() != "-" && !path.exists();
    if paths.iter().filter(missing).count() < paths.len() {
        return Ok(());
    }
    for path in paths {
        let why = path
            .metadata()
            .err()
            .map_or_else(String::new, |error| format!(": {error}"));
        exit::warn(&format!("{}{why}", printable_path(path)));
    }
    bail!("{} could not be stored", counted(paths.len() as u64, "path"))
}
