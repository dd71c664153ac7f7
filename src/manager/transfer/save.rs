//! Saves an object as an ordinary file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::temporary::{Temporary, folder_of};
use crate::value::{Hasher, Kind, ObjectId};

/// The temporary name of the file.
const CONTENT: &str = "content";
/// Bytes per read.
const CHUNK: usize = 256 * 1024;

impl MemManager {
    /// Writes the content of an object to the file `to`, and hashes it on the way. The file appears
    /// only when it is complete, with the permissions of any new file, and replaces an existing one;
    /// the target of a symbolic link is replaced, not the link. A device or pipe is written
    /// directly. Returns the number of bytes.
    ///
    /// Until it is complete it is in a folder `.heapledger-…` next to `to`; if the process is
    /// killed, the next call for that folder removes the remains. O(content), in constant memory.
    ///
    /// # Errors
    /// [`Error::NotStored`]; [`Error::Damaged`] if the content does not match its id;
    /// [`Error::Io`], also if `to` is a folder, or a heap that this process has open;
    /// [`Error::Interrupted`] after [`interrupt`](crate::interrupt);
    /// what [any call](MemManager#errors) fails with.
    pub fn save(&self, id: &ObjectId, to: impl AsRef<Path>) -> Result<u64> {
        self.save_with(id, to, &mut |_, _| {})
    }

    /// Like [`Self::save`]; `progress` gets the bytes written, and the total.
    ///
    /// # Errors
    /// Those of [`Self::save`].
    pub fn save_with(&self, id: &ObjectId, to: impl AsRef<Path>, progress: &mut dyn FnMut(u64, u64)) -> Result<u64> {
        let to = to.as_ref();
        let what = || format!("{} cannot be written", to.display());
        let target = fs::canonicalize(to).unwrap_or_else(|_| to.to_owned());
        match fs::metadata(&target) {
            Ok(found) if found.is_dir() => {
                return Err(Error::io(what())(io::ErrorKind::IsADirectory.into()));
            }
            _ if Self::has_open(&target) => {
                let why = "it belongs to a heap that is open here; name another file";
                return Err(Error::io(what())(io::Error::new(io::ErrorKind::InvalidInput, why)));
            }
            // Write to a device or pipe, never replace it.
            Ok(found) if !found.is_file() => {
                let mut file = File::options().write(true).open(&target).map_err(Error::io(what()))?;
                return self.copy(id, &mut file, &what, progress);
            }
            _ => {}
        }
        let temporary = Temporary::within(folder_of(&target), what)?;
        let path = temporary.path(CONTENT);
        // The folder is private, so the file can have its final permissions from the start.
        let made = temporary.step(|| File::options().write(true).create_new(true).open(&path));
        let size = self.copy(id, &mut made?.map_err(Error::io(what()))?, &what, progress)?;
        temporary.persist(CONTENT, &target)?.map_err(Error::io(what()))?;
        Ok(size)
    }

    fn copy(
        &self,
        id: &ObjectId,
        out: &mut File,
        what: &dyn Fn() -> String,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<u64> {
        let kind = self.object(id)?.kind;
        let damaged = |what: String| Error::Damaged { what };
        if kind == Kind::Unknown {
            return Err(damaged(format!(
                "object {id} is of a kind that this version does not know"
            )));
        }
        let mut hasher = Hasher::new(kind);
        let mut reader = self.reader(id)?;
        let (total, mut done) = (reader.size(), 0);
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = reader
                .read(&mut buffer)
                .map_err(Error::io("the object cannot be read"))?;
            let part = buffer.get(..read).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            hasher.update(part);
            out.write_all(part).map_err(Error::io(what()))?;
            done += part.len() as u64;
            progress(done, total);
        }
        match hasher.finish() {
            found if found == *id => Ok(done),
            found => Err(damaged(format!("the content of object {id} has the id {found}"))),
        }
    }
}
