//! Which heap files this process has open.
//!
//! Only SQLite may close a descriptor of them (see [`super::vfs`]), so files that the crate is
//! asked to read are first compared with these.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::sidecar::sidecar;
use crate::error::{Error, Result};
use crate::store::frozen::Frozen;
use crate::temporary::folder_of;

/// What SQLite puts next to a heap.
pub(in crate::store) const SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

static OPEN: Mutex<Vec<Weak<OpenFile>>> = Mutex::new(Vec::new());

/// A heap file that is open until the last clone of its location is dropped.
#[derive(Debug)]
pub(crate) struct OpenFile {
    path: PathBuf,
    id: FileId,
    /// The write-ahead log that a writer has open. SQLite removes it only when nobody has the
    /// heap open any more.
    log: OnceLock<(PathBuf, FileId)>,
    /// When each running read began.
    reads: Mutex<Vec<Instant>>,
    /// The snapshots that may still be there.
    snapshots: Mutex<Vec<Weak<Frozen>>>,
}

/// A running read of a file, until it is dropped.
pub(in crate::store) struct Reading {
    file: Option<Arc<OpenFile>>,
    began: Instant,
}

impl Reading {
    /// Registers a read.
    pub fn begin(file: Option<&Arc<OpenFile>>, began: Instant) -> Self {
        if let Some(file) = file {
            file.reads().push(began);
        }
        Self {
            file: file.cloned(),
            began,
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        let mut reads = file.reads();
        // Any of those that began at the same moment.
        if let Some(at) = reads.iter().position(|&began| began == self.began) {
            reads.swap_remove(at);
        }
    }
}

/// How long the oldest running read of a file has been running, of any manager of this process.
pub(in crate::store) fn oldest_read(file: Option<&OpenFile>) -> Option<Duration> {
    let managers = of_all_managers(file?);
    let began = managers.iter().filter_map(|open| open.reads().iter().min().copied());
    began.min().map(|began| began.elapsed())
}

/// Ends the snapshots of a file that are too old, of any manager of this process, unless a call uses
/// them.
pub(in crate::store) fn end_old_snapshots(file: Option<&OpenFile>) {
    for open in file.map(of_all_managers).unwrap_or_default() {
        // The last handle of a snapshot must not be dropped while the lock is held.
        let snapshots: Vec<_> = open.snapshots().iter().filter_map(Weak::upgrade).collect();
        snapshots.iter().for_each(|snapshot| snapshot.end_if_too_old());
    }
}

fn of_all_managers(file: &OpenFile) -> Vec<Arc<OpenFile>> {
    let managers = open().iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
    managers.into_iter().filter(|open| open.id == file.id).collect()
}

impl OpenFile {
    /// Registers a file that is about to be opened; `None` if there is none.
    pub fn register(path: &Path) -> Option<Arc<Self>> {
        let entered = Arc::new(Self {
            path: path.to_owned(),
            id: FileId::of(path)?,
            log: OnceLock::new(),
            reads: Mutex::default(),
            snapshots: Mutex::default(),
        });
        let mut open = open();
        open.retain(|file| file.strong_count() > 0);
        open.push(Arc::downgrade(&entered));
        Some(entered)
    }

    pub(in crate::store) fn id(&self) -> FileId {
        self.id
    }

    /// From now on the log must stay where it is. Called once the writer has it open.
    pub fn watch_log(&self) {
        let path = sidecar(&self.path, "-wal");
        if let Some(id) = FileId::of(&path) {
            let _ = self.log.set((path, id));
        }
    }

    /// Fails unless the path still leads to this file and everything committed to it can be
    /// read there. `named` is its name for messages.
    pub fn may_be_read(&self, named: &Path) -> Result<()> {
        let file = check_in_place(&self.path, self.id, named)?;
        if self.log.get().is_some() {
            return Ok(());
        }
        log_is_next_to(&file, &self.path, named)
    }

    /// Fails unless the file is in place and every program can see what is written to it: it has no
    /// other name, under which there would be another log, and its log is the one that is open.
    pub fn may_be_written(&self, named: &Path) -> Result<()> {
        let file = check_in_place(&self.path, self.id, named)?;
        has_one_name(&file, named)?;
        match self.log.get() {
            Some((path, id)) => check_in_place(path, *id, path).map(drop),
            None => Ok(()),
        }
    }

    /// Registers a snapshot.
    pub fn watch_snapshot(&self, snapshot: &Arc<Frozen>) {
        let mut snapshots = self.snapshots();
        snapshots.retain(|snapshot| snapshot.strong_count() > 0);
        snapshots.push(Arc::downgrade(snapshot));
    }

    fn snapshots(&self) -> MutexGuard<'_, Vec<Weak<Frozen>>> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reads(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_sidecar(&self, id: FileId) -> bool {
        let has_it = |suffix| FileId::of(&sidecar(&self.path, suffix)) == Some(id);
        id.device == self.id.device && SUFFIXES.into_iter().any(has_it)
    }
}

fn check_in_place(path: &Path, id: FileId, named: &Path) -> Result<Metadata> {
    let found = std::fs::metadata(path).ok();
    let found = found.filter(|found| FileId::from(found) == Some(id));
    found.ok_or_else(|| Error::FileChanged { path: named.to_owned() })
}

/// Refuses a file that has several hard links. SQLite finds the log by the name of the file, so
/// commits under one name are missing under another, and a checkpoint there loses them.
pub(in crate::store) fn has_one_name(file: &Metadata, named: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let links = std::os::unix::fs::MetadataExt::nlink(file);
        if links > 1 {
            let path = named.to_owned();
            return Err(Error::HardLinked { path, links });
        }
    }
    #[cfg(not(unix))]
    let _ = (file, named);
    Ok(())
}

/// Refuses to read a file that has several hard links, unless it is certain that no other name
/// has the log: a reader would see an older state, or the middle of a checkpoint. O(1), or
/// O(entries of the folder) if there are several links.
pub(in crate::store) fn log_is_next_to(file: &Metadata, path: &Path, named: &Path) -> Result<()> {
    let Err(refused) = has_one_name(file, named) else {
        return Ok(());
    };
    let (Some(id), Error::HardLinked { links, .. }) = (FileId::from(file), &refused) else {
        return Err(refused);
    };
    let Ok(entries) = std::fs::read_dir(folder_of(path)) else {
        return Err(refused);
    };
    let mut seen = 0;
    for name in entries.flatten().map(|entry| entry.path()) {
        if name.symlink_metadata().ok().and_then(|found| FileId::from(&found)) != Some(id) {
            continue;
        }
        seen += 1;
        if name != path && sidecar(&name, "-wal").symlink_metadata().is_ok() {
            return Err(refused);
        }
    }
    // The other links may be in any folder.
    let has_log = || std::fs::metadata(sidecar(path, "-wal")).is_ok_and(|log| log.len() > 0);
    if seen == *links || has_log() {
        Ok(())
    } else {
        Err(refused)
    }
}

/// The path of the heap that a file is or, with `may_be_sidecar`, next to which SQLite keeps it;
/// `None` if this process does not have that heap open.
pub(in crate::store) fn find(file: &Metadata, may_be_sidecar: bool) -> Option<PathBuf> {
    let id = FileId::from(file)?;
    let open: Vec<_> = open().iter().filter_map(Weak::upgrade).collect();
    let found = open
        .iter()
        .find(|open| open.id == id || (may_be_sidecar && open.has_sidecar(id)));
    found.map(|open| open.path.clone())
}

fn open() -> MutexGuard<'static, Vec<Weak<OpenFile>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What distinguishes a file from another that takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file at `path`, which is not opened.
    pub fn of(path: &Path) -> Option<Self> {
        Self::from(&std::fs::metadata(path).ok()?)
    }

    pub fn inode(self) -> u64 {
        self.inode
    }

    /// The device as the system lists it: `fe:00`.
    pub fn device_name(self) -> String {
        #[cfg(unix)]
        {
            use rustix::fs::{major, minor};
            format!("{:02x}:{:02x}", major(self.device), minor(self.device))
        }
        #[cfg(not(unix))]
        String::new()
    }

    #[cfg(unix)]
    fn from(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
        })
    }

    /// The standard library can identify files on Unix only. Elsewhere an open file can be
    /// neither replaced nor removed, and closing a descriptor drops no locks.
    #[cfg(not(unix))]
    fn from(_: &Metadata) -> Option<Self> {
        None
    }
}
