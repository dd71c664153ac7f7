//! `heapledger put`

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ArgGroup;
use heapledger::{Allocation, Error, Hold, HoldWith, MemManager};

use super::evicted::Evicted;
use super::expire::Expires;
use super::names::explain_taken;
use super::put_names::PathNames;
use super::put_report::Report;
use super::put_source::Source;
use super::tags::Tags;
use super::{put_plan, put_sync, soft_limits};
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::globals::Making;
use crate::cli::input::small_file::{SMALL, Small};
use crate::cli::input::sources::{Found, Sources};
use crate::cli::output::progress::{self, Reading};
use crate::cli::output::text::{counted, printable_path};
use crate::cli::streams::{self, Interruptible};

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("by_path").args(["names", "sync"]).multiple(true)))]
#[command(after_help = "\
Prints the id and path of every file, like sha256sum, and a summary on standard error.

Examples:
  heapledger put photo.jpg notes.txt
  heapledger put -r ~/photos
  heapledger put -r --names photos && heapledger get -r photos -o copy
  heapledger put -r --sync photos        # only what is new, changed or gone
  tar c src | heapledger put - --name src.tar
  heapledger put --expires 7d report.pdf # gone after a week
  heapledger put --tag owner=ann report.pdf
  heapledger put -r --dry-run ~/photos   # whether it fits, and how")]
pub struct Args {
    /// Files to store; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,

    /// Store the files in directories, without following symbolic links
    #[arg(short, long)]
    recursive: bool,

    /// Bind this name to the file, which must be the only one; if another object has it, it moves
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,

    /// Store nothing if NAME is taken. Without this, it moves, and its old object is freed if
    /// nothing else holds it
    #[arg(short, long, requires = "name")]
    keep: bool,

    /// Name each file by its path, with `/` between the parts, without a root; % is written %25, and
    /// bytes that are not UTF-8 %XX. Names that are bound already move
    #[arg(long, conflicts_with = "name")]
    names: bool,

    /// The names begin with PREFIX and `/` instead of PATH, which must be the only one
    #[arg(long, value_name = "PREFIX", requires = "by_path")]
    pub(super) prefix: Option<String>,

    /// Make the names below PREFIX, or PATH, follow the folder PATH, by content: store what is new or
    /// has changed, and remove the names of what is gone, first. Implies --names
    #[arg(long, requires = "recursive", conflicts_with = "name")]
    sync: bool,

    /// Also store permissions, symbolic links and empty folders, as tags of the names: file-mode=0755,
    /// file-type=link, file-type=folder. `get -r --attributes` makes them again
    #[arg(short, long, requires = "by_path")]
    pub(super) attributes: bool,

    /// With --sync, remove names even if PATH has no files, cannot be read in full, or has more than fits
    #[arg(short, long, requires = "sync")]
    pub(super) force: bool,

    #[command(flatten)]
    pub(super) expires: Expires,

    #[command(flatten)]
    pub(super) tags: Tags,

    /// Store nothing; print what would be stored, and how, or what --sync would change. Exit status 1
    /// if it does not fit, or a quota refuses it, which --sync does not foresee of a quota
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Print no summary, and do not report skipped files
    #[arg(short, long)]
    pub(super) quiet: bool,

    #[command(flatten)]
    pub(super) making: Making,
}

impl Args {
    /// The hold of a file that gets a name for its path, or none.
    pub(super) fn hold_of<'n>(&'n self, source: &'n Source) -> HoldWith<'n> {
        let kept = source.kept.iter().map(|(key, value)| (*key, value.as_str()));
        self.hold(source.name.as_deref()).tags(kept)
    }

    pub(super) fn hold<'n>(&'n self, name: Option<&'n str>) -> HoldWith<'n> {
        let hold = match (&self.name, name) {
            (Some(name), _) if self.keep => Hold::NewName(name),
            (Some(name), _) => Hold::Name(name),
            (None, Some(name)) => Hold::Name(name),
            (None, None) => Hold::Anonymous,
        };
        hold.expires(self.expires.expiry()).tags(self.tags.pairs())
    }

    pub(super) fn path_names(&self) -> Option<PathNames> {
        (self.names || self.sync).then(|| PathNames::new(self.prefix.as_deref()))
    }
}

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
    let sources = Sources::new(args.recursive).attributes(args.attributes);
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

/// So that a mistyped path does not leave an empty heap behind.
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

/// Limit of a batch, which is in memory as a whole.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
const BATCH_FILES: usize = 500;

/// Shown after a stream was read to its end.
const STORING: &str = "storing and writing to disk";

pub(super) struct Put<'a> {
    pub(super) memory: &'a MemManager,
    pub(super) args: &'a Args,
    names: Option<PathNames>,
    evicted: Evicted,
    /// The path that was given, at or below which files are found.
    given: &'a Path,
    /// Small files waiting for their batch.
    pub(super) waiting: Vec<(Source, Vec<u8>)>,
    pub(super) waiting_bytes: usize,
    pub report: Report<'a>,
}

impl<'a> Put<'a> {
    pub fn new(memory: &'a MemManager, args: &'a Args, report: Report<'a>) -> Result<Self> {
        Ok(Self {
            memory,
            args,
            names: args.path_names(),
            evicted: Evicted::before(memory)?,
            given: Path::new(""),
            waiting: Vec::new(),
            waiting_bytes: 0,
            report,
        })
    }

    /// Reports what was done. Files stored before an error stay stored, and are reported before the error.
    pub fn end(self, done: Result<()>, context: &Context<'_>) -> Result<Outcome> {
        soft_limits::warn_beyond(self.memory, self.args.tags.pairs(), context.sizes())?;
        let failed = self.report.end(context.sizes())?;
        if !self.args.quiet {
            self.evicted.tell(self.memory, context.sizes())?;
        }
        done?;
        if failed > 0 {
            bail!("{} could not be stored", counted(failed, "path"));
        }
        Ok(Outcome::Fine)
    }

    fn all(&mut self, paths: &'a [PathBuf], sources: &Sources) -> Result<()> {
        for path in paths {
            self.given = path;
            for found in sources.find(path) {
                self.found(found)?;
            }
        }
        self.store_waiting()
    }

    fn found(&mut self, found: Found) -> Result<()> {
        match found {
            Found::File(_, size) => match self.source(found) {
                Some(source) => self.file(source, size),
                None => Ok(()),
            },
            Found::Link(..) | Found::Folder(_) => match self.source(found) {
                Some(source) => self.file(source, 0),
                None => Ok(()),
            },
            Found::Stream(_) => {
                let Some(source) = self.source(found) else {
                    return Ok(());
                };
                self.catch_up()?;
                self.opened(&source, |memory, file, hold| {
                    memory.store_from(Reading::new(Interruptible(file), STORING), hold)
                })
            }
            Found::Stdin => {
                self.catch_up()?;
                let stdin = Reading::new(streams::content()?, STORING);
                let stored = self.memory.store_from(stdin, self.args.hold(None));
                self.one(&Source::of("-"), stored)
            }
            Found::Skipped(path, why) => {
                self.report.skipped(&path, why);
                Ok(())
            }
            Found::Failed(path, why) => {
                self.report.failed(&path, &why);
                Ok(())
            }
        }
    }

    /// Stores a file, now or with others. [`Self::store_waiting`] stores the last ones.
    pub fn file(&mut self, source: Source, size: u64) -> Result<()> {
        if size <= SMALL {
            return self.small(source);
        }
        self.catch_up()?;
        self.opened(&source, |memory, file, hold| {
            progress::phases("opening", |phase| memory.store_file_with(file, hold, phase))
        })
    }

    /// A file with its name, unless it needs one and has none, which is reported.
    fn source(&mut self, found: Found) -> Option<Source> {
        let name = self.names.as_ref().map(|names| names.of(self.given, found.path()));
        match name.transpose() {
            Ok(name) => Some(Source::found(found, name, self.args.attributes)),
            Err(why) => {
                self.report.failed(found.path(), why);
                None
            }
        }
    }

    /// Stores the waiting batch. Needed before an object is stored separately, so that objects are
    /// stored in the order in which they were found.
    fn catch_up(&mut self) -> Result<()> {
        self.store_waiting()?;
        self.report.hide_progress();
        Ok(())
    }

    fn small(&mut self, mut source: Source) -> Result<()> {
        let read = match source.content.take() {
            Some(content) => Ok(Small::Whole(content)),
            None => Small::read(&source.path),
        };
        match read {
            Ok(Small::Whole(content)) => {
                self.waiting_bytes += content.len();
                self.waiting.push((source, content));
            }
            Ok(Small::More(content, rest)) => {
                self.catch_up()?;
                let reader = Reading::new(io::Cursor::new(content).chain(rest), STORING);
                let stored = self.memory.store_from(reader, self.args.hold_of(&source));
                self.one(&source, stored)?;
            }
            Err(error) => self.report.failed(&source.path, &error.to_string()),
        }
        if self.waiting.len() < BATCH_FILES && self.waiting_bytes < BATCH_BYTES {
            Ok(())
        } else {
            self.store_waiting()
        }
    }

    fn opened(
        &mut self,
        source: &Source,
        store: impl FnOnce(&MemManager, &mut File, HoldWith<'_>) -> Result<Allocation, Error>,
    ) -> Result<()> {
        match File::open(&source.path) {
            Ok(mut file) => {
                let stored = store(self.memory, &mut file, self.args.hold_of(source));
                self.one(source, stored)
            }
            Err(error) => {
                self.report.failed(&source.path, &error.to_string());
                Ok(())
            }
        }
    }

    /// Whether others can be stored.
    pub(super) fn is_of_one_file(&self, error: &Error) -> bool {
        match error {
            Error::Io { .. } | Error::KindConflict { .. } => true,
            // Others have other names, if these come from their paths.
            Error::BadName { .. } | Error::NameIsId { .. } => self.names.is_some(),
            _ => false,
        }
    }

    /// Reports one file. A problem of the file itself does not stop the others; any other error,
    /// such as a full space, does.
    pub(super) fn one(&mut self, source: &Source, stored: Result<Allocation, Error>) -> Result<()> {
        match stored {
            Ok(stored) => self.report.stored([(source, &stored)].into_iter()),
            Err(error) if self.is_of_one_file(&error) => {
                self.report.failed(&source.path, &error.to_string());
                Ok(())
            }
            Err(error) => {
                let may_be_more = self.args.recursive || self.args.paths.len() > 1;
                let at = if may_be_more { "stopped at " } else { "" };
                Err(explain_taken(error)).with_context(|| format!("{at}{}", printable_path(&source.path)))
            }
        }
    }
}
