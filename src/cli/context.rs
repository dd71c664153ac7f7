//! What every command is given: which file and space, and how to print.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use heapledger::{Durability, Error, MemManager, Options};
use tempfile::TempDir;

use super::args::{DurabilityArg, Globals};
use super::render::{Format, Output};
use super::text::Sizes;

/// The options of every command, ready for use.
pub struct Context<'a> {
    globals: &'a Globals,
    db: PathBuf,
}

impl<'a> Context<'a> {
    pub fn new(globals: &'a Globals) -> Result<Self> {
        let variable = match env::var("DATABASE_URL") {
            Err(env::VarError::NotUnicode(_)) if globals.db.is_none() => {
                bail!("DATABASE_URL is not UTF-8; use --db FILE")
            }
            other => other.ok(),
        };
        let db = database(globals.db.as_deref(), variable.as_deref())?;
        Ok(Self { globals, db })
    }

    /// The heap file.
    pub fn db(&self) -> &Path {
        &self.db
    }

    /// Whether the answer is one JSON document.
    pub fn is_json(&self) -> bool {
        self.globals.format == Format::Json
    }

    /// How tables show sizes.
    pub fn sizes(&self) -> Sizes {
        if self.globals.bytes { Sizes::Exact } else { Sizes::Human }
    }

    /// Where the answer goes.
    pub fn output(&self) -> Output {
        Output::new(self.globals.format, self.sizes())
    }

    /// The options to open the heap with.
    pub fn options(&self) -> Options {
        let mut options = MemManager::options().space(&self.globals.space);
        if let Some(durability) = self.globals.durability {
            options = options.durability(match durability {
                DurabilityArg::Full => Durability::Full,
                DurabilityArg::Normal => Durability::Normal,
            });
        }
        if let Some(timeout) = self.globals.busy_timeout {
            options = options.busy_timeout(timeout);
        }
        // A name in another encoding is still a name.
        let actor = env::var_os("HEAPLEDGER_ACTOR").unwrap_or_default();
        if !actor.is_empty() {
            options = options.actor(actor.to_string_lossy());
        }
        options
    }

    /// The heap as it is now, for reading: all that a command reads is of one state,
    /// whatever others do meanwhile. Nothing is made or changed.
    pub fn read(&self) -> Result<MemManager> {
        Ok(self.follow()?.snapshot()?)
    }

    /// The heap for reading, each time as it is then.
    pub fn follow(&self) -> Result<MemManager> {
        Ok(self.options().read_only(true).open(&self.db)?)
    }

    /// The heap for changing what it holds. It must be there: `heapledger free x`
    /// beside a mistyped `--db` must not leave an empty heap behind.
    pub fn change(&self) -> Result<MemManager> {
        drop(self.follow()?);
        self.store()
    }

    /// The heap as `put` would find it, for planning. Where `put` would make the file or
    /// the space, they are made in a folder that goes away.
    pub fn plan_store(&self) -> Result<Planned> {
        let found = self.options().read_only(true).open(&self.db);
        match found {
            Err(Error::NoFile { .. } | Error::UnknownSpace { .. }) => {
                let folder = tempfile::tempdir()?;
                Ok(Planned {
                    memory: self.options().open(folder.path().join("heap.db"))?,
                    folder: Some(folder),
                })
            }
            found => Ok(Planned {
                memory: found?,
                folder: None,
            }),
        }
    }

    /// The heap for storing into; file and space are made if they are not there.
    pub fn store(&self) -> Result<MemManager> {
        let memory = self.options().open(&self.db)?;
        Ok(match &self.globals.reason {
            Some(reason) => memory.because(reason),
            None => memory,
        })
    }
}

/// A heap to plan on.
pub struct Planned {
    pub memory: MemManager,
    folder: Option<TempDir>,
}

impl Planned {
    /// Whether it is only made up.
    pub fn is_new(&self) -> bool {
        self.folder.is_some()
    }
}

/// The heap file: `--db`, else `DATABASE_URL`, else `heap.db`.
fn database(option: Option<&Path>, variable: Option<&str>) -> Result<PathBuf> {
    let (source, text) = match (option, variable) {
        (Some(path), _) => match path.to_str() {
            Some(text) => ("--db", text),
            None => return Ok(path.to_owned()),
        },
        (None, Some(url)) if !url.is_empty() => ("DATABASE_URL", url),
        _ => return Ok(PathBuf::from("heap.db")),
    };
    let url = text.strip_prefix("sqlite:");
    let path = match url {
        // What follows a `?` are settings of other programs' drivers.
        Some(rest) => rest
            .strip_prefix("//")
            .unwrap_or(rest)
            .split('?')
            .next()
            .unwrap_or_default(),
        None => text,
    };
    // The rest of the URL is not repeated: it may hold a password.
    if let Some((scheme, _)) = path.split_once("://") {
        bail!("{source} is a {scheme} URL, and a heap is a SQLite file; name one with --db FILE");
    }
    if path.is_empty() {
        bail!("{source} names no file; name one with --db FILE");
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_in_the_order_option_variable_default() {
        let found = |option: Option<&str>, variable| database(option.map(Path::new), variable).unwrap();
        assert_eq!(found(Some("a.db"), Some("b.db")), Path::new("a.db"));
        assert_eq!(found(None, Some("b.db")), Path::new("b.db"));
        assert_eq!(found(None, Some("")), Path::new("heap.db"));
        assert_eq!(found(None, None), Path::new("heap.db"));
    }

    #[test]
    fn a_sqlite_url_is_a_path() {
        for (url, path) in [
            ("sqlite://heap.db", "heap.db"),
            ("sqlite:heap.db", "heap.db"),
            ("sqlite:///var/heap.db", "/var/heap.db"),
            ("sqlite://heap.db?mode=rwc", "heap.db"),
            ("odd?name.db", "odd?name.db"),
        ] {
            assert_eq!(database(None, Some(url)).unwrap(), Path::new(path));
        }
    }

    #[test]
    fn another_database_is_refused_without_its_password() {
        let error = database(None, Some("postgres://me:secret@host/db"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("postgres") && !error.contains("secret"), "{error}");
        assert!(database(None, Some("sqlite://")).is_err());
    }
}
