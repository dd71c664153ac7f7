//! `heapledger post`

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use heapledger::{Allocation, Hold, HoldWith, Reservation};

use super::expire::Expires;
use super::names::explain_taken;
use super::put_report::Report;
use super::put_source::Source;
use super::soft_limits;
use super::tags::Tags;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::sources::{Found, Sources};
use crate::cli::output::progress::{self, Reading};
use crate::cli::output::text::printable_path;
use crate::cli::streams::{self, Interruptible};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The content may have fewer bytes than are reserved; the others are available again. If
nothing is stored because of an error, the reservation stays as it is.

Examples:
  heapledger reserve 64KiB --key report
  heapledger post report report.pdf
  heapledger reserve 1MiB --key sources
  tar c src | heapledger post sources - --name src.tar")]
pub struct Args {
    /// The key of the reservation
    #[arg(value_name = "KEY")]
    key: String,

    /// The file to store; `-` is standard input
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// Bind this name to it; if another object has it, it moves
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,

    /// Store nothing if NAME is taken. Without this, it moves, and its old object is freed if
    /// nothing else holds it
    #[arg(short, long, requires = "name")]
    keep: bool,

    #[command(flatten)]
    expires: Expires,

    #[command(flatten)]
    tags: Tags,

    /// Print no summary
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    args.tags.check()?;
    let hold = match &args.name {
        Some(name) if args.keep => Hold::NewName(name),
        Some(name) => Hold::Name(name),
        None => Hold::Anonymous,
    };
    let memory = context.change()?;
    let reservation = memory.reservation(&args.key)?;
    let hold = hold.expires(args.expires.expiry()).tags(args.tags.pairs());
    let stored = post(&reservation, &args.path, hold)?;
    soft_limits::warn_beyond(&memory, args.tags.pairs(), context.sizes())?;
    let mut output = context.output();
    let mut report = Report::new(&mut output, args.quiet);
    report.stored([(&Source::of(&args.path), &stored)].into_iter())?;
    report.end(context.sizes())?;
    Ok(Outcome::Fine)
}

/// Shown after a stream was read to its end.
const STORING: &str = "storing and writing to disk";

fn post(reservation: &Reservation, path: &Path, hold: HoldWith<'_>) -> Result<Allocation> {
    let found = Sources::default().find(path).next();
    let stored = match found {
        Some(Found::Stdin) => reservation.post_from(Reading::new(streams::content()?, STORING), hold),
        Some(Found::Stream(path)) => reservation.post_from(Reading::new(Interruptible(open(&path)?), STORING), hold),
        Some(Found::File(path, _)) => {
            let mut file = open(&path)?;
            progress::phases("opening", |phase| reservation.post_file_with(&mut file, hold, phase))
        }
        Some(Found::Failed(_, why)) => bail!("{}: {why}", printable_path(path)),
        Some(Found::Skipped(_, why)) => bail!("{} is {why}", printable_path(path)),
        None | Some(Found::Link(..) | Found::Folder(_)) => bail!("{} has no content", printable_path(path)),
    };
    stored.map_err(explain_taken)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| printable_path(path))
}
