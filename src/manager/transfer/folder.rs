//! Opens files of an export without leaving its folder.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result, TransferError};
use crate::manager::MemManager;

/// A folder whose files are opened without following links, so that an export from somebody else
/// cannot refer to files of the user who imports it.
pub(in crate::manager) struct Folder {
    path: PathBuf,
    #[cfg(unix)]
    root: std::os::fd::OwnedFd,
}

impl Folder {
    /// The folder itself may be reached through a link.
    pub fn open(path: &Path) -> Result<Self> {
        #[cfg(unix)]
        let root = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| Error::io(format!("{} cannot be read", path.display()))(error.into()))?;
        Ok(Self {
            path: path.to_owned(),
            #[cfg(unix)]
            root,
        })
    }

    /// The path of a file in it.
    pub fn path(&self, file: &Path) -> PathBuf {
        self.path.join(file)
    }

    /// Opens a regular file in the folder.
    ///
    /// # Errors
    /// [`TransferError::BadExport`] for a link on the path or any other kind of file, without waiting for it;
    /// [`Error::Io`].
    pub fn file(&self, file: &Path) -> Result<File> {
        let cannot = || Error::io(format!("{} cannot be read", self.path(file).display()));
        // Closing a second name of an open heap would drop its locks.
        if MemManager::has_open(self.path(file)) {
            return Err(self.bad(file, "it belongs to a heap that is open here"));
        }
        let opened = self.open_below(file)?;
        if !opened.metadata().map_err(cannot())?.is_file() {
            return Err(self.bad(file, "it is not a regular file"));
        }
        Ok(opened)
    }

    #[cfg(unix)]
    fn open_below(&self, file: &Path) -> Result<File> {
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut folder = None;
        let mut parts = file.components().peekable();
        while let Some(part) = parts.next() {
            let Component::Normal(name) = part else { break };
            let is_last = parts.peek().is_none();
            // Opening a pipe without a writer would block.
            let kind = if is_last { OFlags::NONBLOCK } else { OFlags::DIRECTORY };
            let opened = rustix::fs::openat(folder.as_ref().unwrap_or(&self.root), name, flags | kind, Mode::empty());
            let opened = opened.map_err(|error| match error {
                Errno::LOOP => self.bad(file, "it is not a regular file but a link"),
                Errno::NOTDIR => self.bad(file, "part of its path is a link, or not a folder"),
                // The result of opening a socket, or a device without a driver.
                Errno::NXIO => self.bad(file, "it is not a regular file"),
                error => Error::io(format!("{} cannot be read", self.path(file).display()))(error.into()),
            })?;
            if is_last {
                return Ok(opened.into());
            }
            folder = Some(opened);
        }
        Err(self.bad(file, "it is not in the folder"))
    }

    #[cfg(not(unix))]
    fn open_below(&self, file: &Path) -> Result<File> {
        let mut path = self.path.clone();
        for part in file.components() {
            let Component::Normal(name) = part else {
                return Err(self.bad(file, "it is not in the folder"));
            };
            path.push(name);
            if path.is_symlink() {
                return Err(self.bad(file, "it is not a regular file but a link"));
            }
        }
        File::open(&path).map_err(Error::io(format!("{} cannot be read", path.display())))
    }

    fn bad(&self, file: &Path, why: &str) -> Error {
        TransferError::BadExport {
            path: self.path(file),
            why: why.to_owned(),
        }
        .into()
    }
}

#[cfg(unix)]
use rustix::fs::{Mode, OFlags};
#[cfg(unix)]
use rustix::io::Errno;
