//! Writes files below a folder, and nowhere else.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::temporary::Temporary;

/// The temporary name of a file.
const CONTENT: &str = "content";

/// A folder into which files are written. No link below it is followed, whoever creates one meanwhile: each
/// part of a path is opened in the folder that the last one led to.
pub(super) struct TreeFolder {
    path: PathBuf,
    replace: bool,
    temporary: Temporary,
    #[cfg(unix)]
    places: unix::Places,
}

/// Why a file was not written.
pub(super) enum Unwritten {
    /// This one cannot be there, but others can.
    Skipped(String),
    /// No file can be written.
    Failed(Error),
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl TreeFolder {
    /// Makes the folder, unless it exists. With `replace`, files in it are replaced.
    pub fn make(path: &Path, replace: bool) -> Result<Self> {
        let cannot = || format!("{} cannot be written", path.display());
        fs::create_dir_all(path).map_err(Error::io(cannot()))?;
        #[cfg(unix)]
        let root = unix::Places::root(path).map_err(Error::io(cannot()))?;
        let temporary = Temporary::within(path, cannot)?;
        Ok(Self {
            path: path.to_owned(),
            replace,
            #[cfg(unix)]
            places: unix::Places::new(root, &temporary).map_err(Error::io(cannot()))?,
            temporary,
        })
    }

    /// Writes a file, whole or not at all, with these permissions or those of any new file.
    pub fn write(
        &mut self,
        path: &Path,
        mode: Option<u32>,
        content: impl FnOnce(&mut File) -> Result<(), Unwritten>,
    ) -> Result<(), Unwritten> {
        let target = self.target(path)?;
        let made = self.temporary.step(|| self.create())?;
        let mut file = made.map_err(Error::io(format!("{} cannot be written", target.display())))?;
        let written = content(&mut file).and_then(|()| {
            permit(&file, mode).map_err(|error| self.explain(&target, error))?;
            let placed = self.temporary.step(|| self.place(path))?;
            placed.map_err(|error| self.explain(&target, error))
        });
        if written.is_err() {
            // Another file may follow.
            let _ = fs::remove_file(self.temporary.path(CONTENT));
        }
        written
    }

    /// Makes a folder, unless it is there.
    pub fn folder(&mut self, path: &Path) -> Result<(), Unwritten> {
        let entered = self.enter(&path.join(CONTENT));
        entered.map_err(|error| self.explain(&self.path.join(path), error))
    }

    /// Changes the permissions of a folder.
    pub fn permit_folder(&mut self, path: &Path, mode: u32) -> Result<(), Unwritten> {
        self.folder(path)?;
        let changed = self.permit_entered(mode);
        changed.map_err(|error| self.explain(&self.path.join(path), error))
    }

    /// Makes a link.
    pub fn link(&mut self, path: &Path, to: &Path) -> Result<(), Unwritten> {
        let target = self.target(path)?;
        let made = self.temporary.step(|| self.create_link(to))?;
        let made = made.and_then(|()| self.temporary.step(|| self.place(path)).unwrap_or(Ok(())));
        made.map_err(|error| {
            let _ = fs::remove_file(self.temporary.path(CONTENT));
            self.explain(&target, error)
        })
    }

    /// Enters the folder of what is to be written, and returns its path.
    fn target(&mut self, path: &Path) -> Result<PathBuf, Unwritten> {
        let target = self.path.join(path);
        // Replacing it would destroy the heap.
        if self.replace && MemManager::has_open(&target) {
            return Err(Unwritten::Skipped("a heap that is open here is there".to_owned()));
        }
        self.enter(path).map_err(|error| self.explain(&target, error))?;
        Ok(target)
    }

    fn explain(&self, target: &Path, error: io::Error) -> Unwritten {
        use io::ErrorKind::{
            AlreadyExists, CrossesDevices, DirectoryNotEmpty, IsADirectory, NotADirectory, QuotaExceeded,
            ReadOnlyFilesystem, StorageFull,
        };
        let why = match error.kind() {
            QuotaExceeded | ReadOnlyFilesystem | StorageFull => {
                return Error::io(format!("{} cannot be written", target.display()))(error).into();
            }
            AlreadyExists if self.replace => "a folder is there",
            IsADirectory | DirectoryNotEmpty => "a folder is there",
            AlreadyExists => "it exists",
            NotADirectory => "a file or a link is where it needs a folder",
            CrossesDevices => "another file system is mounted there",
            _ => return Unwritten::Skipped(error.to_string()),
        };
        Unwritten::Skipped(why.to_owned())
    }
}

/// Gives a new file its permissions.
fn permit(file: &File, mode: Option<u32>) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(mode) = mode {
        return file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    }
    let _ = (file, mode);
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};

    use rustix::fs::{
        AtFlags, Mode, OFlags, fchmod, linkat, mkdirat, open, openat, renameat, statat, symlinkat, unlinkat,
    };
    use rustix::io::Errno;

    use super::{CONTENT, TreeFolder};
    use crate::temporary::Temporary;

    const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

    /// The open folders of a tree.
    pub struct Places {
        root: OwnedFd,
        temporary: OwnedFd,
        /// The last folder that a file was written to: the next one is often in the same.
        last: Option<(PathBuf, OwnedFd)>,
    }

    impl Places {
        /// The folder itself may be reached through a link.
        pub fn root(path: &Path) -> io::Result<OwnedFd> {
            Ok(open(path, FOLDER, Mode::empty())?)
        }

        pub fn new(root: OwnedFd, temporary: &Temporary) -> io::Result<Self> {
            let name = temporary.name().unwrap_or_default();
            Ok(Self {
                temporary: openat(&root, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?,
                root,
                last: None,
            })
        }

        fn current(&self) -> &OwnedFd {
            self.last.as_ref().map_or(&self.root, |(_, folder)| folder)
        }
    }

    impl TreeFolder {
        /// Opens the folder of a file, and creates it if necessary.
        pub(super) fn enter(&mut self, path: &Path) -> io::Result<()> {
            let parent = path.parent().unwrap_or(Path::new(""));
            if self.places.last.as_ref().is_some_and(|(last, _)| last == parent) {
                return Ok(());
            }
            self.places.last = None;
            let mut folder = None;
            for part in parent {
                folder = Some(below(folder.as_ref().unwrap_or(&self.places.root), part)?);
            }
            self.places.last = folder.map(|folder| (parent.to_owned(), folder));
            Ok(())
        }

        /// Creates the temporary file in a private folder, so that it can have its final permissions.
        pub(super) fn create(&self) -> io::Result<File> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o666);
            Ok(openat(&self.places.temporary, CONTENT, flags, mode)?.into())
        }

        pub(super) fn create_link(&self, to: &Path) -> io::Result<()> {
            Ok(symlinkat(to, &self.places.temporary, CONTENT)?)
        }

        /// Changes the permissions of the folder that was entered.
        pub(super) fn permit_entered(&self, mode: u32) -> io::Result<()> {
            Ok(fchmod(self.places.current(), Mode::from_raw_mode(mode))?)
        }

        /// Gives the temporary file its name in the folder that was entered.
        pub(super) fn place(&self, path: &Path) -> io::Result<()> {
            let (from, to) = (&self.places.temporary, self.places.current());
            let name = path.file_name().unwrap_or_default();
            if self.replace {
                return Ok(renameat(from, CONTENT, to, name)?);
            }
            match linkat(from, CONTENT, to, name, AtFlags::empty()) {
                Ok(()) => Ok(unlinkat(from, CONTENT, AtFlags::empty())?),
                // Some file systems have no hard links. There, a file that another program makes at this
                // moment is replaced.
                Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                    match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(_) => Err(Errno::EXIST.into()),
                        Err(Errno::NOENT) => Ok(renameat(from, CONTENT, to, name)?),
                        Err(error) => Err(error.into()),
                    }
                }
                Err(error) => Err(error.into()),
            }
        }
    }

    /// Opens a folder in another one, and creates it if necessary.
    fn below(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        let open = || match openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            // What the system says about a link.
            Err(Errno::LOOP | Errno::MLINK) => Err(Errno::NOTDIR),
            opened => opened,
        };
        match open() {
            Err(Errno::NOENT) => {}
            opened => return Ok(opened?),
        }
        match mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
            // Somebody else was faster.
            Ok(()) | Err(Errno::EXIST) => Ok(open()?),
            Err(error) => Err(error.into()),
        }
    }
}

/// Where folders cannot be opened, links are looked for, but one that is created at the same moment is not
/// noticed.
#[cfg(not(unix))]
impl TreeFolder {
    fn enter(&mut self, path: &Path) -> io::Result<()> {
        let mut folder = self.path.clone();
        for part in path.parent().unwrap_or(Path::new("")) {
            folder.push(part);
            match folder.symlink_metadata() {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(_) => fs::create_dir(&folder)?,
            }
        }
        Ok(())
    }

    fn create(&self) -> io::Result<File> {
        File::create_new(self.temporary.path(CONTENT))
    }

    fn create_link(&self, _: &Path) -> io::Result<()> {
        Err(io::Error::other("links are not made on this system"))
    }

    /// Permissions mean nothing here.
    fn permit_entered(&self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn place(&self, path: &Path) -> io::Result<()> {
        let (from, to) = (self.temporary.path(CONTENT), self.path.join(path));
        match self.replace {
            true => fs::rename(from, to),
            false => crate::temporary::rename_new(&from, &to),
        }
    }
}
