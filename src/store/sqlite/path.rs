//! The path of a heap: absolute and without links. All other paths are derived from it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::vfs;
use crate::error::{Error, Result};

/// The most bytes that SQLite appends to the name of the heap for a file next to it: `-journal`.
const SUFFIX: usize = 8;
/// Bytes of the longest name that the common file systems have.
const LONGEST_NAME: usize = 255;

/// The path to use from now on: the program may change its working folder, and SQLite looks for
/// the log next to the file, not next to a link to it.
///
/// Neither the file nor its folder needs to exist.
///
/// # Errors
/// [`Error::Io`] for an unusable path.
pub(crate) fn locate(path: &Path) -> Result<PathBuf> {
    let located = usable(path).and_then(|()| resolve(path)).and_then(short_enough);
    located.map_err(Error::io(format!("{} cannot be opened", path.display())))
}

/// Refuses paths that SQLite would misinterpret or truncate.
fn usable(path: &Path) -> io::Result<()> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() {
        return Err(refused("the path is empty; name a file"));
    }
    if bytes.contains(&0) {
        return Err(refused("the path contains a NUL character, which no file name can"));
    }
    if bytes == b":memory:" {
        return Err(refused(
            "a heap is a file, never in memory; for a file of this name, open ./:memory:",
        ));
    }
    Ok(())
}

fn resolve(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        resolved => return resolved,
    }
    let target = std::path::absolute(follow(path))?;
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return Ok(target);
    };
    match folder.canonicalize() {
        Ok(folder) => Ok(folder.join(name)),
        // Creating the file will fail with the same error.
        Err(_) => Ok(target),
    }
}

/// Resolves a path that may be a link to a file that does not exist yet.
fn follow(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // The same limit as on Linux.
    for _ in 0..40 {
        let Ok(link) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(link);
    }
    path
}

fn short_enough(path: PathBuf) -> io::Result<PathBuf> {
    let length = |part: &std::ffi::OsStr| part.as_encoded_bytes().len();
    let (whole, most) = (length(path.as_os_str()), vfs::longest_path() - SUFFIX);
    if whole > most {
        return Err(refused(&format!(
            "its absolute path is too long, {whole} bytes where SQLite takes at most {most}; \
             move it to a folder with a shorter path"
        )));
    }
    let (name, most) = (path.file_name().map_or(0, length), LONGEST_NAME - SUFFIX);
    if name > most {
        return Err(refused(&format!(
            "its name is too long, {name} bytes where at most {most} leave room for the files next to it"
        )));
    }
    Ok(path)
}

/// Fails if SQLite cannot open a file that is created in a temporary folder, where its path is
/// longer than the final one.
pub(crate) fn short_enough_to_create(made: &Path) -> io::Result<()> {
    let Some((folder, name)) = made.parent().zip(made.file_name()) else {
        return Ok(());
    };
    let whole = folder.canonicalize()?.join(name).as_os_str().as_encoded_bytes().len();
    let most = vfs::longest_path() - SUFFIX;
    if whole <= most {
        return Ok(());
    }
    Err(refused(&format!(
        "the absolute path of its folder is too long: with what is made there first it is {whole} bytes, where \
         SQLite takes at most {most}; use a folder whose path is at least {} bytes shorter",
        whole - most
    )))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}
