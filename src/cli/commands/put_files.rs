//! Stores files, in the order in which they were found.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use heapledger::{Allocation, Error, HoldWith, MemManager};

use super::evicted::Evicted;
use super::names::explain_taken;
use super::put_args::Args;
use super::put_names::PathNames;
use super::put_report::Report;
use super::put_source::Source;
use super::soft_limits;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::sources::{Found, SMALL, Small, Sources};
use crate::cli::output::progress::{self, Reading};
use crate::cli::output::text::{counted, printable_path};
use crate::cli::streams::{self, Interruptible};

/// Limit of a batch, which is in memory as a whole.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
const BATCH_FILES: usize = 500;

/// Shown after a stream was read to its end.
const STORING: &str = "storing and writing to disk";

pub struct Put<'a> {
    memory: &'a MemManager,
    args: &'a Args,
    names: Option<PathNames>,
    /// `None` if there is nothing to tell.
    evicted: Option<Evicted>,
    /// The path that was given, at or below which files are found.
    given: &'a Path,
    /// Small files waiting for their batch.
    waiting: Vec<(Source, Vec<u8>)>,
    waiting_bytes: usize,
    pub report: Report<'a>,
}

impl<'a> Put<'a> {
    pub fn new(memory: &'a MemManager, args: &'a Args, report: Report<'a>) -> Result<Self> {
        Ok(Self {
            memory,
            args,
            names: args.path_names(),
            evicted: match args.quiet {
                true => None,
                false => Evicted::before(memory)?,
            },
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
        if let Some(evicted) = self.evicted {
            evicted.tell(self.memory, context.sizes())?;
        }
        done?;
        if failed > 0 {
            bail!("{} could not be stored", counted(failed, "path"));
        }
        Ok(Outcome::Fine)
    }

    pub fn all(&mut self, paths: &'a [PathBuf], sources: &Sources) -> Result<()> {
        for path in paths {
            self.given = path;
            for found in sources.find(path) {
                self.found(found)?;
            }
        }
        self.store_waiting()
    }

    fn found(&mut self, found: Found) -> Result<()> {
        let size = if let Found::File(_, size) = found { size } else { 0 };
        match found {
            Found::File(..) | Found::Link(..) | Found::Folder(_) => match self.source(found) {
                Some(source) => self.file(source, size),
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

    /// Stores the files that wait.
    pub fn store_waiting(&mut self) -> Result<()> {
        let files = mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let (mut rest, mut most) = (files.as_slice(), files.len());
        while let Some(((source, content), others)) = rest.split_first() {
            let (now, later) = rest.split_at_checked(most).unwrap_or((rest, &[]));
            match self.together(now)? {
                None => rest = later,
                // Alone, so that it is refused, and recorded, as what it is.
                Some(0) => {
                    let stored = self.memory.store_bytes(content, self.args.hold_of(source));
                    self.one(source, stored)?;
                    rest = others;
                }
                Some(refused) => {
                    most = refused;
                    continue;
                }
            }
            most = rest.len();
        }
        Ok(())
    }

    /// Stores files in one transaction. If one of them is refused, none is stored, and its position is returned.
    fn together(&mut self, files: &[(Source, Vec<u8>)]) -> Result<Option<usize>> {
        self.report.show_progress();
        let mut refused = None;
        let stored = self.memory.batch(|batch| {
            let mut stored = Vec::with_capacity(files.len());
            for (position, (source, content)) in files.iter().enumerate() {
                match batch.store_bytes(content, self.args.hold_of(source)) {
                    Ok(one) => stored.push(one),
                    Err(error) if self.is_of_one_file(&error) || is_full(&error) => {
                        refused = Some(position);
                        // In a space that evicts it may fit later, so this must not be recorded as a refusal.
                        return Err(Error::BatchFailed);
                    }
                    Err(error) => return Err(error),
                }
            }
            self.report.show_commit();
            Ok(stored)
        });
        if matches!(stored, Err(Error::FileFull { .. })) {
            // Fewer may fit below the ceiling in one transaction.
            refused = Some(files.len() / 2);
        }
        if refused.is_some() {
            return Ok(refused);
        }
        let stored = stored.map_err(explain_taken)?;
        let sources = files.iter().map(|(source, _)| source);
        self.report.stored(sources.zip(&stored))?;
        Ok(None)
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

    /// Whether an error is about one file only, so that others can be stored.
    fn is_of_one_file(&self, error: &Error) -> bool {
        match error {
            Error::Io { .. } | Error::KindConflict { .. } => true,
            // Others have other names, if these come from their paths.
            Error::BadName { .. } | Error::NameIsId { .. } => self.names.is_some(),
            _ => false,
        }
    }

    /// Reports one file. A problem of the file itself does not stop the others; any other error,
    /// such as a full space, does.
    fn one(&mut self, source: &Source, stored: Result<Allocation, Error>) -> Result<()> {
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

/// Whether there is no room for an object.
fn is_full(error: &Error) -> bool {
    matches!(
        error,
        Error::OutOfMemory { .. } | Error::QuotaExceeded(_) | Error::FileFull { .. }
    )
}
