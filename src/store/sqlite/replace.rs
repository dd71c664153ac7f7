//! Replaces a heap with another file.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::sidecar::sidecar;
use super::vfs::DatabaseFile;
use crate::error::{Error, Result};

/// Runs `put`, which moves a complete heap file to `path`, while nobody has the heap there open.
/// Moves the old log to `aside` first, and back if `put` fails. A process killed between the two
/// moves leaves the old heap without its log.
///
/// # Errors
/// [`Error::InUse`]; [`Error::Io`].
pub(in crate::store) fn replace_unused(
    path: &Path,
    named: &Path,
    aside: &Path,
    put: impl FnOnce() -> Result<io::Result<()>>,
) -> Result<()> {
    let cannot = || Error::io(format!("{} cannot be replaced", named.display()));
    // Until it is dropped nobody can read the old file.
    let _locked = match DatabaseFile::open_for_writing(path) {
        Ok(mut file) => {
            if !file.lock_alone().map_err(cannot())? {
                return Err(Error::InUse { path: named.to_owned() });
            }
            Some(file)
        }
        Err(_) if matches!(path.try_exists(), Ok(false)) => None,
        Err(error) => return Err(cannot()(error)),
    };
    let log = sidecar(path, "-wal");
    let moved = match std::fs::rename(&log, aside) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(cannot()(error)),
    };
    let done = put().and_then(|put| put.map_err(cannot()));
    if done.is_err() && moved {
        let _ = std::fs::rename(aside, &log);
    }
    done?;
    // SQLite would build a new one from the log, but there is none.
    match std::fs::remove_file(sidecar(path, "-shm")) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot()(error)),
        _ => Ok(()),
    }
}
