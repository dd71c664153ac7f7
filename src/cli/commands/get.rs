//! `heapledger get`

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use heapledger::{Error, Hasher, Held, Kind, MemManager, ObjectId, Policy};

use super::save_tree::{self, Attributes};
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::output::progress::{self, Progress};
use crate::cli::streams::is_output;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger get greeting
  heapledger get 2cf24dba5fb0 -o copy.bin
  heapledger get backup.tar | tar -t
  heapledger get -r photos -o copy       # what put -r --names photos stored")]
pub struct Args {
    /// A name, an object id, or the first 6 or more digits of one. With -r, what the names begin with
    /// before a `/`; without it, all names are meant
    #[arg(value_name = "ID|NAME", required_unless_present = "recursive")]
    object: Option<String>,

    /// Write to FILE, which appears only when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write the object of each name below NAME as a file into the folder of --output, which is
    /// created. Names that are no path in it are reported and skipped; exit status 1 if there are any
    #[arg(short, long, requires = "output")]
    recursive: bool,

    /// With -r, replace files that exist
    #[arg(short, long, requires = "recursive")]
    force: bool,

    #[command(flatten)]
    attributes: Attributes,
}

impl Args {
    /// Whether the output goes to a file.
    pub fn is_to_file(&self) -> bool {
        self.file().is_some() && !self.recursive
    }

    fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| !is_output(path))
    }
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let object = args.object.as_deref().unwrap_or_default();
    if args.recursive {
        return tree(args, object, &memory, context);
    }
    let id = memory.find(object)?;
    note_read(&memory, object, &id, context)?;
    match args.file() {
        Some(path) => progress::bytes("reading", |bytes| memory.save_with(&id, path, bytes)).map(drop)?,
        None => to_stdout(&memory, id)?,
    }
    Ok(Outcome::Fine)
}

fn tree(args: &Args, prefix: &str, memory: &MemManager, context: &Context<'_>) -> Result<Outcome> {
    let Some(folder) = args.file() else {
        bail!("-r writes files, so --output must be a folder; `heapledger export - --by-name` writes a tar");
    };
    let saved = save_tree::save(memory, prefix, folder, args.attributes.options(args.force))?;
    if saved.files + saved.links + saved.folders == 0 && saved.skipped.is_empty() {
        if prefix.is_empty() {
            exit::warn("no object has a name; `heapledger put -r --names` binds the paths of files");
            return Ok(Outcome::Findings);
        }
        return Err(Error::UnknownName {
            name: format!("{}/", prefix.trim_end_matches('/')),
            space: memory.space().to_owned(),
        }
        .into());
    }
    save_tree::report(&saved, folder, context)
}

/// Records the read, in a space that evicts by use, and extends the hold that it refreshes, unless somebody
/// else is writing, or nobody may write.
fn note_read(memory: &MemManager, text: &str, id: &ObjectId, context: &Context<'_>) -> Result<()> {
    let evicts = memory.memram().map(|space| space.evict);
    let goes_by_use = unless_damaged(evicts)?.is_some_and(Policy::is_by_use);
    let held = match unless_damaged(memory.resolve(text))? {
        Some(named) if named == *id => Held::Name(text),
        _ => Held::Anonymous(id),
    };
    if (goes_by_use || unless_damaged(memory.is_refreshed_on_get(held))?)
        && let Ok(memory) = context.change_if_idle()
    {
        memory.note_use(id);
        // If this fails, the hold is gone by now.
        let _ = memory.note_get(held);
    }
    Ok(())
}

/// Damage elsewhere does not keep content from being read. After an error of a server, nothing can be read.
fn unless_damaged<R: Default>(read: Result<R, Error>) -> Result<R, Error> {
    match read {
        Err(error @ (Error::Busy { .. } | Error::Server(_))) => Err(error),
        read => Ok(read.unwrap_or_default()),
    }
}

/// Writes the content of an object, which is verified only when all of it was read.
fn to_stdout(memory: &MemManager, id: ObjectId) -> Result<()> {
    let kind = memory.object(&id)?.kind;
    if kind == Kind::Unknown {
        bail!("object {id} is of a kind that this version does not know");
    }
    let (mut reader, mut hasher) = (memory.reader(&id)?, Hasher::new(kind));
    let mut stdout = io::stdout().lock();
    let mut progress = if stdout.is_terminal() {
        Progress::hidden()
    } else {
        Progress::new("reading")
    };
    let (total, mut done) = (reader.size(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = reader.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else {
            break;
        };
        hasher.update(part);
        stdout.write_all(part)?;
        done += part.len() as u64;
        progress.set(done, total);
    }
    match hasher.finish() {
        found if found == id => Ok(stdout.flush()?),
        found => bail!("damaged: the content of object {id} is that of {found}; `heapledger check` lists all damage"),
    }
}
