//! The context of every command: file and space, and how to print.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use heapledger::{Correction, Error, MemManager, MemRam, Options, Planner, SpaceError};
use serde::Serialize;

use super::exit::{self, Outcome};
use super::globals::{Globals, Making};
use super::input::database::{Database, Mode};
use super::input::dotenv::Variables;
use super::output::render::{Format, Output, Row};
use super::output::text::{Sizes, printable};

/// The options of every command, ready for use.
pub struct Context<'a> {
    globals: &'a Globals,
    db: Database,
    variables: Variables,
}

/// Limit for a reason, in bytes.
const MOST_REASON: usize = 1024;
/// How often a change that can be made in any space tries another one, because the one it chose is dropped.
const TRIES_BESIDE: usize = 20;

impl<'a> Context<'a> {
    pub fn new(globals: &'a Globals) -> Result<Self> {
        // Checked here, before a file is created, because clap would repeat the whole text.
        let length = globals.reason.as_ref().map_or(0, String::len);
        if length > MOST_REASON {
            bail!("--reason has {length} bytes: the history stores at most 1,024 with each event");
        }
        let variables = match Variables::read() {
            Ok(variables) => variables,
            // With --db the command can run; only the other settings of .env are missing.
            Err(error) if globals.db.is_some() => {
                exit::warn(&error.to_string());
                Variables::default()
            }
            Err(error) => bail!("{error}; fix it, or name the heap with --db FILE"),
        };
        let db = Database::find(globals.db.as_deref(), &variables)?;
        Ok(Self { globals, db, variables })
    }

    /// What the library opens: a path, or the address of a server, perhaps with a password.
    pub fn db(&self) -> &Path {
        &self.db.path
    }

    /// The same for messages.
    pub fn shown(&self) -> String {
        self.db.shown()
    }

    pub fn is_on_server(&self) -> bool {
        self.db.is_on_server()
    }

    /// The name of the space.
    pub fn space(&self) -> &str {
        self.globals.space.as_deref().unwrap_or("main")
    }

    /// Whether the space was named.
    pub fn names_space(&self) -> bool {
        self.globals.space.is_some()
    }

    /// How to print the answer.
    pub fn format(&self) -> Format {
        self.globals.format
    }

    /// How tables show sizes.
    pub fn sizes(&self) -> Sizes {
        if self.globals.bytes { Sizes::Exact } else { Sizes::Human }
    }

    /// The output in the requested format.
    pub fn output(&self) -> Output {
        Output::new(self.globals.format, self.sizes())
    }

    /// Prints a single answer: `text` for people, `thing` for programs.
    pub fn answer(
        &self,
        thing: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Outcome> {
        self.output().one(thing, text)?;
        Ok(Outcome::Fine)
    }

    /// Prints a list as the answer.
    pub fn list<R: Row>(&self, rows: impl IntoIterator<Item = R>) -> Result<Outcome> {
        self.output().rows(rows)?;
        Ok(Outcome::Fine)
    }

    /// A shell command line of this program for the same file and space.
    pub fn command(&self, command: &str) -> String {
        let option = |name: &str, value: &str| {
            let value = shlex::try_quote(value).unwrap_or_default();
            match value.starts_with('-') {
                true => format!(" {name}={value}"),
                false => format!(" {name} {value}"),
            }
        };
        let mut line = format!("heapledger{}", option("--db", &self.db.as_option()));
        if self.space() != "main" {
            line.push_str(&option("--space", self.space()));
        }
        format!("{line} {command}")
    }

    /// The options to open the heap with.
    pub fn options(&self) -> Options {
        let mut options = MemManager::options().space(self.space());
        if let Some(durability) = self.globals.durability {
            options = options.durability(durability);
        }
        if let Some(timeout) = self.globals.busy_timeout {
            options = options.busy_timeout(timeout);
        }
        // Accepts names that are not UTF-8.
        if let Some(actor) = self.variables.get("HEAPLEDGER_ACTOR") {
            options = options.actor(actor.value.to_string_lossy());
        }
        if self
            .variables
            .get("HEAPLEDGER_PLAIN_IO")
            .is_some_and(|plain| plain.value == "1")
        {
            options = options.plain_io(true);
        }
        options
    }

    /// Opens a snapshot of the heap for reading: the command sees one state, whatever others
    /// write in the meantime. Nothing is created or changed.
    pub fn read(&self) -> Result<MemManager> {
        Ok(self.follow()?.snapshot()?)
    }

    /// Opens the heap for reading the current state each time.
    pub fn follow(&self) -> Result<MemManager> {
        Ok(self.options().read_only(true).open(self.db())?)
    }

    /// The same for a command that is not about one space: if the heap does not have the one of
    /// `--space`, opens one that it has. `None` if it has none.
    pub fn follow_any(&self) -> Result<Option<MemManager>> {
        let known = match self.follow() {
            Ok(memory) => return Ok(Some(memory)),
            Err(error) => match error.downcast()? {
                Error::UnknownSpace { known, .. } => known,
                error => return Err(error.into()),
            },
        };
        let options = |space| self.options().space(space).read_only(true);
        Ok(known.first().map(|space| options(space).open(self.db())).transpose()?)
    }

    /// The same, which fails without any space.
    pub fn any(&self) -> Result<MemManager> {
        match self.follow_any()? {
            Some(memory) => Ok(memory),
            None => bail!("{} has no space", self.shown()),
        }
    }

    /// Fails if the URL of the heap is read-only.
    pub fn may_write(&self) -> Result<()> {
        self.db.may_write()
    }

    /// Opens a space for a change that is not about this space: the one of `--space`, or another one if that is
    /// not there or is being dropped. `None` if there is none.
    fn change_any(&self) -> Result<Option<MemManager>> {
        self.db.may_write()?;
        let Some(memory) = self.follow_any()? else {
            return Ok(None);
        };
        let mut spaces = memory.spaces()?;
        spaces.retain(|space| space.dropped_at.is_none());
        let space = spaces
            .iter()
            .find(|space| space.name == self.space())
            .or(spaces.first());
        let open = |space: &MemRam| self.options().space(&space.name).open(self.db());
        Ok(space.map(open).transpose()?.map(|memory| self.because(memory)))
    }

    /// Runs a change that is about the space with this name, but can be made in any space: in another one if others
    /// drop the first one meanwhile. `None` if there is none.
    pub fn change_beside<R>(
        &self,
        name: &str,
        mut change: impl FnMut(&MemManager) -> heapledger::Result<R>,
    ) -> Result<Option<R>> {
        let mut once = || Ok(self.change_any()?.map(|memory| change(&memory)).transpose()?);
        for _ in 0..TRIES_BESIDE {
            match once() {
                Err(error) if is_gone_beside(&error, name) => {}
                done => return done,
            }
        }
        once()
    }

    /// Recreates parts of the schema that others dropped or altered. No other command opens such a
    /// heap.
    pub fn restore_schema(&self) -> Result<Vec<Correction>> {
        self.db.may_write()?;
        Ok(self.options().restore_schema(self.db())?)
    }

    /// Opens an existing heap for changes: `heapledger free x` with a mistyped `--db` must not
    /// leave an empty heap behind.
    pub fn change(&self) -> Result<MemManager> {
        self.db.may_write()?;
        // Opening a file for writing may change it, even if the space is not there. On a server, that would take
        // another connection.
        if !self.is_on_server() {
            drop(self.follow()?);
        }
        Ok(self.because(self.existing().open(self.db())?))
    }

    /// The options to open what is there, and create nothing.
    fn existing(&self) -> Options {
        self.options().create(false).create_space(false)
    }

    /// Opens an existing heap for a change that is not worth waiting for if others are in the way.
    pub fn change_if_idle(&self) -> Result<MemManager> {
        self.db.may_write()?;
        Ok(self.existing().busy_timeout(Duration::ZERO).open(self.db())?)
    }

    /// Plans on the heap as `put` would find it. If `put` would create the file or the space, plans
    /// on a new one, and returns true as well.
    pub fn plan<R>(&self, making: Making, work: impl FnOnce(&mut Planner<'_>) -> Result<R>) -> Result<(R, bool)> {
        let is_new = self.to_make(making)?.is_some();
        let planned = if is_new {
            self.options().plan_new(|planner| Ok(work(planner)))?
        } else {
            self.follow()?.plan_batch(|planner| Ok(work(planner)))?
        };
        Ok((planned?, is_new))
    }

    /// Opens the heap for storing. Creates a missing file with the space `main`, but no other
    /// space, because a mistyped `--space` must not leave an empty space behind.
    pub fn store(&self, making: Making) -> Result<MemManager> {
        self.db.may_write()?;
        // Opens it once if the space is there, as `change` does.
        if self.is_on_server() {
            match self.existing().open(self.db()) {
                Err(Error::UnknownSpace { .. }) => {}
                opened => return Ok(self.because(opened?)),
            }
        }
        let made = self.to_make(making)?;
        let memory = self.because(self.options().open(self.db())?);
        if let Some(made) = made {
            let most = self.sizes().phrase(memory.memram()?.max_mem);
            exit::note(&format!(
                "made {made} for at most {most}; `heapledger resize` changes that"
            ));
        }
        Ok(memory)
    }

    /// The text of `--reason`.
    pub fn reason(&self) -> Option<&str> {
        self.globals.reason.as_deref()
    }

    /// The same heap, whose writes are recorded with the reason of `--reason`.
    pub fn because(&self, memory: MemManager) -> MemManager {
        match &self.globals.reason {
            Some(reason) => memory.because(reason),
            None => memory,
        }
    }

    /// What storing would create: the heap or the space, if missing.
    fn to_make(&self, making: Making) -> Result<Option<String>> {
        let (space, path) = (printable(self.space()), self.shown());
        let is_empty = self.db().metadata().is_ok_and(|file| file.is_file() && file.len() == 0);
        let missing = match self.options().read_only(true).open(self.db()) {
            Err(error @ Error::NoFile { .. }) if self.db.mode == Mode::NeverCreate => return Err(error.into()),
            // On a server only `init` creates a heap.
            Err(error @ Error::Server(_)) => return Err(error.into()),
            Err(Error::NoFile { .. }) => format!("heap {path}"),
            Err(_) if is_empty => format!("heap {path}"),
            Err(Error::UnknownSpace { .. }) => format!("space {space} in {path}"),
            // It has already waited for the lock.
            Err(busy @ Error::Busy { .. }) => return Err(busy.into()),
            // If storing fails as well, that error explains it.
            Ok(_) | Err(_) => return Ok(None),
        };
        if making.create || self.space() == "main" {
            return Ok(Some(missing));
        }
        bail!(
            "there is no {missing}, and only the space main is created automatically; create {space} with --create or init"
        )
    }
}

/// Whether a change failed because a space other than the one with this name was dropped meanwhile.
fn is_gone_beside(error: &anyhow::Error, name: &str) -> bool {
    match error.downcast_ref() {
        Some(
            Error::UnknownSpace { space, .. }
            | Error::Space(SpaceError::Dropped { space, .. } | SpaceError::BeingDropped { space, .. }),
        ) => space != name,
        _ => false,
    }
}
