//! `heapledger get`

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use heapledger::{Hasher, Kind, MemManager, ObjectId, ObjectReader};
use tempfile::NamedTempFile;

use super::context::Context;
use super::exit::Outcome;
use super::progress::Progress;
use super::text::printable_path;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger get greeting
  heapledger get 2cf24dba5fb0 -o copy.bin
  heapledger get backup.tar | tar -t")]
pub struct Args {
    /// A name, an object id, or the first 6 or more digits of one
    #[arg(value_name = "ID|NAME")]
    object: String,

    /// Write to FILE, which appears only when all of it is written
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    /// Whether nothing goes to standard output.
    pub fn is_to_file(&self) -> bool {
        self.file().is_some()
    }

    fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| path.as_os_str() != "-")
    }
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let id = memory.find(&args.object)?;
    let content = Content::of(&memory, id)?;
    match args.file() {
        Some(path) => to_file(content, path).with_context(|| printable_path(path))?,
        None => to_stdout(content)?,
    }
    Ok(Outcome::Fine)
}

fn to_stdout(content: Content) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let progress = if stdout.is_terminal() {
        Progress::hidden()
    } else {
        Progress::new("reading")
    };
    content.copy(&mut stdout, progress)?;
    Ok(stdout.flush()?)
}

fn to_file(content: Content, path: &Path) -> Result<()> {
    let progress = Progress::new("reading");
    // Through a symbolic link, so that the link stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => bail!("is a directory; name a file"),
        // A device or pipe is written to, never replaced.
        Ok(found) if !found.is_file() => {
            let mut file = File::options().write(true).open(&path)?;
            return content.copy(&mut file, progress);
        }
        _ => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = new_file(folder.unwrap_or(Path::new(".")))?;
    content.copy(&mut file, progress)?;
    file.persist(&path)?;
    Ok(())
}

/// A new file with the permissions that any new file has here; temporary ones are
/// private otherwise.
fn new_file(folder: &Path) -> Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".heapledger-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(|error| {
        // The cause alone: a temporary name means nothing to anyone.
        let cause = error.get_ref().and_then(|inner| inner.source());
        anyhow!("{}", cause.map_or_else(|| error.to_string(), ToString::to_string))
    })
}

/// The content of an object, which is known to be right only when all of it was read.
struct Content {
    id: ObjectId,
    reader: ObjectReader,
    hasher: Hasher,
}

impl Content {
    fn of(memory: &MemManager, id: ObjectId) -> Result<Self> {
        let stored = memory.object(&id)?.kind;
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == stored);
        let kind =
            kind.with_context(|| format!("object {id} is of kind {stored:?}, which this heapledger does not know"))?;
        Ok(Self {
            id,
            reader: memory.reader(&id)?,
            hasher: Hasher::new(kind),
        })
    }

    /// Copies all of it, and fails if it is not what was stored.
    fn copy(mut self, out: &mut dyn Write, mut progress: Progress) -> Result<()> {
        let total = self.reader.size();
        let mut buffer = vec![0; 256 * 1024];
        let mut done = 0;
        loop {
            let read = self.reader.read(&mut buffer)?;
            let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else {
                break;
            };
            self.hasher.update(part);
            out.write_all(part)?;
            done += part.len() as u64;
            progress.set(done, total);
        }
        match self.hasher.finish() {
            found if found == self.id => Ok(()),
            found => bail!(
                "damaged: the content of object {} is that of {found}; `heapledger check` lists all that is wrong",
                self.id
            ),
        }
    }
}
