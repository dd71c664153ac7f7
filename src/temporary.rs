//! Temporary folders for files under construction, next to their destination.
//!
//! The name tells which system made the folder (`.heapledger-SYSTEM-…`), and its maker holds
//! a lock on it (`flock`), which the system releases however the process ends. Whoever can
//! take the lock knows that the maker is dead, and removes the folder with its contents. The
//! folder is locked, not a file in it: opening and closing an SQLite file would drop the
//! locks that SQLite has on it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};

const PREFIX: &str = ".heapledger-";

/// Not every network file system shows another system's locks. Another system's folder
/// counts as abandoned once it has not changed for this long.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Entries that [`sweep`] examines. A folder may have millions.
const GLANCE: usize = 1000;

/// A temporary folder, removed with its contents on drop.
pub(crate) struct Temporary {
    shared: Arc<Shared>,
    /// Holds the lock; `None` where the file system has no locks.
    lock: Option<File>,
}

struct Shared {
    folder: PathBuf,
    /// False once the folder was removed or renamed to its destination.
    is_there: Mutex<bool>,
}

/// The folders that this process is filling.
static UNDER_WAY: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Units of work that read from a source while they write.
static STORING: AtomicU64 = AtomicU64::new(0);

/// For a program that a signal is about to end: removes the temporary files that this process
/// is writing ([`MemManager::backup`], [`MemManager::export`], [`MemManager::save`], a new
/// heap), and makes calls that store from a file or reader fail with [`Error::Interrupted`],
/// now and later. Committed data stays, and nothing else is touched.
///
/// Returns whether a call was storing from a source. That call rolls back and returns soon,
/// unless its source blocks. The program need not wait: the next one to open the heap rolls
/// back as well. Waiting avoids leaving a long write-ahead log behind.
///
/// The crate installs no signal handlers and does not ignore `SIGXFSZ`; a program that wants
/// an error when it reaches a file-size limit must ignore that signal itself. Call this from
/// a thread that waits for signals, not in a handler: it takes locks. O(temporary files).
///
/// [`MemManager::backup`]: crate::MemManager::backup
/// [`MemManager::export`]: crate::MemManager::export
/// [`MemManager::save`]: crate::MemManager::save
pub fn interrupt() -> bool {
    INTERRUPTED.store(true, Ordering::SeqCst);
    let under_way = std::mem::take(&mut *locked(&UNDER_WAY));
    for shared in under_way {
        shared.remove();
    }
    STORING.load(Ordering::SeqCst) > 0
}

/// # Errors
/// [`Error::Interrupted`] once [`interrupt`] was called.
pub(crate) fn go_on() -> Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        return Err(Error::Interrupted);
    }
    Ok(())
}

/// Tells [`interrupt`] about a unit of work that reads from a source, until it is dropped.
pub(crate) struct Storing;

impl Storing {
    pub fn new() -> Self {
        STORING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        STORING.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Temporary {
    /// Makes a folder with mode 0700 in `parent`, after removing what dead processes left
    /// there. `what` begins the message of an error.
    pub fn within(parent: &Path, what: impl Fn() -> String) -> Result<Self> {
        sweep_all(parent);
        loop {
            // The list stays locked until the folder is on it, or `interrupt` could miss it.
            let mut under_way = locked(&UNDER_WAY);
            go_on()?;
            let made = Self::make(parent).map_err(|error| Error::io(what())(cause(error)))?;
            if let Some(made) = made {
                under_way.push(Arc::clone(&made.shared));
                return Ok(made);
            }
        }
    }

    /// `None` if another process swept the folder before it was locked.
    fn make(parent: &Path) -> io::Result<Option<Self>> {
        let mut builder = tempfile::Builder::new();
        let prefix = format!("{PREFIX}{}-", system());
        builder.prefix(&prefix);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir_in(parent)?;
        let lock = match File::open(folder.path()) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                // Unlike remove_dir_all, this works when the process is out of descriptors.
                let _ = fs::remove_dir(folder.path());
                return Err(error);
            }
        };
        let lock = match lock.try_lock() {
            Ok(()) if same(&lock, folder.path()) => Some(lock),
            Ok(()) | Err(fs::TryLockError::WouldBlock) => return Ok(None),
            // Without locks nobody can tell whether the maker lives, so nobody sweeps.
            Err(fs::TryLockError::Error(_)) => None,
        };
        let shared = Arc::new(Shared {
            folder: folder.keep(),
            is_there: Mutex::new(true),
        });
        Ok(Some(Self { shared, lock }))
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.shared.folder.join(name)
    }

    /// The name of the folder.
    pub fn name(&self) -> Option<&OsStr> {
        self.shared.folder.file_name()
    }

    /// A new and empty file with mode 0600 in the folder.
    pub fn file(&self, name: &str) -> Result<io::Result<File>> {
        self.step(|| private_file(&self.path(name)))
    }

    /// Runs a step that makes a file in the folder or moves one out of it, unless the folder
    /// has been removed.
    pub fn step<R>(&self, work: impl FnOnce() -> io::Result<R>) -> Result<io::Result<R>> {
        let is_there = locked(&self.shared.is_there);
        if *is_there { Ok(work()) } else { Err(Error::Interrupted) }
    }

    /// Moves a complete file to its destination, and replaces what is there.
    pub fn persist(self, name: &str, to: &Path) -> Result<io::Result<()>> {
        self.step(|| fs::rename(self.path(name), to))
    }

    /// The same, but fails with `AlreadyExists` instead of replacing.
    pub fn persist_new(self, name: &str, to: &Path) -> Result<io::Result<()>> {
        let path = self.path(name);
        self.step(|| rename_new(&path, to))
    }

    /// Moves the folder itself to `to`, where nothing or an empty folder may be.
    pub fn persist_folder(self, to: &Path) -> Result<io::Result<()>> {
        let mut is_there = locked(&self.shared.is_there);
        if !*is_there {
            return Err(Error::Interrupted);
        }
        let renamed = fs::rename(&self.shared.folder, to);
        *is_there = renamed.is_err();
        Ok(renamed)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Frees its descriptor: removing a folder needs one, and there may be no other left.
        drop(self.lock.take());
        self.shared.remove();
        locked(&UNDER_WAY).retain(|shared| !Arc::ptr_eq(shared, &self.shared));
    }
}

impl Shared {
    fn remove(&self) {
        let mut is_there = locked(&self.is_there);
        // SQLite may create a file at the same time, so try again.
        for _ in 0..3 {
            if !*is_there {
                return;
            }
            *is_there = !matches!(fs::remove_dir_all(&self.folder), Ok(()));
        }
        *is_there = false;
    }
}

/// Renames a file, or fails with `AlreadyExists` instead of replacing one.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let path = tempfile::TempPath::try_from_path(from)?;
    let Err(error) = path.persist_noclobber(to) else {
        return Ok(());
    };
    // Some file systems (on USB sticks, in user space) support neither such a rename nor hard
    // links. There, another program that makes the same file at this moment is overwritten.
    let cannot = matches!(
        error.error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
    );
    if cannot && to.symlink_metadata().is_err() {
        return fs::rename(from, to);
    }
    Err(error.error)
}

/// A new file with mode 0600.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The folder that contains a path.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Removes what dead processes left in a folder, among its first [`GLANCE`] entries.
pub(crate) fn sweep(parent: &Path) {
    sweep_first(parent, GLANCE);
}

fn sweep_all(parent: &Path) {
    sweep_first(parent, usize::MAX);
}

/// Best effort: what cannot be read or removed stays.
fn sweep_first(parent: &Path, most: usize) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.take(most).flatten() {
        if let Some(maker) = entry.file_name().to_str().and_then(maker) {
            let _ = remove_if_dead(&entry.path(), maker);
        }
    }
}

/// Whether a temporary folder could have this name.
pub(crate) fn is_ours(name: &str) -> bool {
    maker(name).is_some()
}

/// The system that made the folder with this name, if it is one of ours.
fn maker(name: &str) -> Option<&str> {
    let (system, random) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let is_ours = system.len() == 8 && random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_ours.then_some(system)
}

fn remove_if_dead(path: &Path, maker: &str) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    if !found.is_dir() || !is_own(&found) {
        return Ok(());
    }
    if maker != system() && !is_abandoned(path, &found) {
        return Ok(());
    }
    let lock = File::open(path)?;
    if lock.try_lock().is_ok() && same(&lock, path) {
        // Does not follow links.
        fs::remove_dir_all(path)?;
    }
    Ok(())
}

/// Whether neither the folder nor a file in it has changed for [`ABANDONED`]. Times in the
/// future count as recent.
fn is_abandoned(path: &Path, folder: &fs::Metadata) -> bool {
    let is_old = |found: &fs::Metadata| {
        let age = found.modified().ok().and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age > ABANDONED)
    };
    let all_old = |mut entries: fs::ReadDir| {
        entries.all(|entry| {
            entry
                .and_then(|entry| entry.metadata())
                .is_ok_and(|found| is_old(&found))
        })
    };
    is_old(folder) && fs::read_dir(path).is_ok_and(all_old)
}

/// Whether the path still leads to the opened file.
fn same(opened: &File, path: &Path) -> bool {
    let (Ok(opened), Ok(found)) = (opened.metadata(), path.symlink_metadata()) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (opened.dev(), opened.ino()) == (found.dev(), found.ino())
    }
    #[cfg(not(unix))]
    (opened.is_dir() && found.is_dir())
}

fn is_own(found: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::uid(found) == rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    found.is_dir()
}

/// Identifies this system since its last boot: its processes see each other's locks.
fn system() -> &'static str {
    static SYSTEM: LazyLock<String> = LazyLock::new(|| {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits = id
            .get(..8)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        digits.unwrap_or("unknown0").to_owned()
    });
    &SYSTEM
}

/// The system's error without the temporary path, which would mean nothing to the user.
fn cause(error: io::Error) -> io::Error {
    let said = error.raw_os_error().or_else(|| {
        let inner = error.get_ref()?.source()?;
        inner.downcast_ref::<io::Error>()?.raw_os_error()
    });
    said.map_or(error, io::Error::from_raw_os_error)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
