//! Reads a heap that nobody has open, for a user who cannot make the files next to it.
//!
//! SQLite reads a database in WAL mode only with a log and its index, which it makes if they
//! are missing; otherwise it must be told that the file is immutable, and trusts that blindly.
//! Here the trust is earned:
//!
//! - The shared lock that every connection holds is taken, so nobody removes a log, once there
//!   is one, or changes the file without one.
//! - Only a checkpoint can change the file then, and before it there is a log with an index.
//!   After each page it is checked whether both have appeared.
//! - Once they have, it takes the lock of the index that SQLite's own readers take while they
//!   read only the file (`WAL_READ_LOCK(0)`), which prevents checkpoints. If the file is still
//!   unchanged, it stays so until the connection is closed. If not, the read fails.
//!
//! A connection therefore sees one state from its first page to its last. For a newer state
//! another must be opened, which now finds the log.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use libsqlite3_sys as ffi;

use super::bound::path_of;
use super::methods::{UNLOGGED, real, replace_methods};
use super::system::{OpenBy, file_system, register};
use crate::store::sqlite::sidecar::sidecar;

const NAME: &CStr = c"heapledger unlogged";
/// Bytes of the index that SQLite maps together (`WALINDEX_PGSZ`).
const INDEX_PART: c_int = 32 * 1024;
/// The lock of the index that readers of the file alone hold.
const READ_LOCK_0: c_int = 3;
/// How often to try that lock, and the pause between tries, because a process that opens the heap
/// holds it for a moment.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(2);
/// The granularity of modification times: a change after this time is visible in them.
const GRAIN: Duration = Duration::from_millis(50);

/// The files read this way, by address.
static FILES: Mutex<BTreeMap<usize, Arc<Unlogged>>> = Mutex::new(BTreeMap::new());

struct Unlogged {
    path: PathBuf,
    /// The original modification time and length of the file.
    as_it_was: (SystemTime, u64),
    /// Whether checkpoints are locked out.
    is_kept: AtomicBool,
}

/// The name of this VFS, if SQLite has accepted it.
pub(in crate::store) fn unlogged_file_system() -> Option<&'static str> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    file_system()?;
    let registered = *REGISTERED.get_or_init(|| register::<Unchanged>(NAME));
    registered.then(|| NAME.to_str().ok()).flatten()
}

/// Whether apparently only the file itself has to be read.
pub(in crate::store) fn has_no_log(path: &Path) -> bool {
    let is_empty = |suffix| std::fs::metadata(sidecar(path, suffix)).map_or(true, |file| file.len() == 0);
    is_empty("-wal") && is_empty("-journal") && !has_been_opened(path)
}

/// Whether somebody has the log and its index open, or had when the system went down.
pub(in crate::store) fn has_been_opened(path: &Path) -> bool {
    sidecar(path, "-wal").exists() && sidecar(path, "-shm").exists()
}

/// The VFS for heaps without a log, which must not change while they are read.
struct Unchanged;

impl OpenBy for Unchanged {
    unsafe fn opened(name: *const c_char, file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
        if flags & ffi::SQLITE_OPEN_MAIN_DB == 0 || flags & ffi::SQLITE_OPEN_READONLY == 0 {
            return ffi::SQLITE_OK;
        }
        // SAFETY: the file was just opened.
        if !unsafe { replace_methods(file, &UNLOGGED, methods) } {
            // Without them nothing would be checked. SQLite closes files that have methods.
            return ffi::SQLITE_CANTOPEN;
        }
        // SAFETY: the name of a database ends with NUL.
        let name = unsafe { CStr::from_ptr(name) };
        begin(file, name).err().unwrap_or(ffi::SQLITE_OK)
    }
}

/// Locks the file, and remembers its state.
fn begin(file: *mut ffi::sqlite3_file, name: &CStr) -> Result<(), c_int> {
    match real!(UNLOGGED, xLock(file, ffi::SQLITE_LOCK_SHARED)) {
        ffi::SQLITE_OK => {}
        code => return Err(code),
    }
    let path = path_of(name).ok_or(ffi::SQLITE_CANTOPEN)?;
    let as_it_was = settled(&path).ok_or(ffi::SQLITE_CANTOPEN)?;
    if !has_no_log(&path) {
        return Err(ffi::SQLITE_CANTOPEN);
    }
    let unlogged = Unlogged {
        path,
        as_it_was,
        is_kept: AtomicBool::new(false),
    };
    files().insert(file.addr(), Arc::new(unlogged));
    Ok(())
}

/// The modification time and length of the file, at a time when another change would be visible.
fn settled(path: &Path) -> Option<(SystemTime, u64)> {
    let (changed, _) = state(path)?;
    if let Ok(age) = changed.elapsed() {
        sleep(GRAIN.saturating_sub(age));
    }
    state(path)
}

fn state(path: &Path) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

/// The functions that differ for such a heap.
fn methods(real: ffi::sqlite3_io_methods) -> ffi::sqlite3_io_methods {
    ffi::sqlite3_io_methods {
        xRead: Some(read),
        xClose: Some(close),
        ..real
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, data: *mut c_void, count: c_int, at: i64) -> c_int {
    let code = real!(UNLOGGED, xRead(file, data, count, at));
    let unlogged = files().get(&file.addr()).cloned();
    match unlogged.map(|unlogged| unlogged.keep(file)) {
        // What was already read may belong to another state.
        Some(Err(())) => ffi::SQLITE_ABORT,
        _ => code,
    }
}

impl Unlogged {
    /// Ensures that everything read so far and later belongs to one state.
    fn keep(&self, file: *mut ffi::sqlite3_file) -> Result<(), ()> {
        if self.is_kept.load(Ordering::Acquire) || !has_been_opened(&self.path) {
            return Ok(());
        }
        if !lock_out_checkpoints(file) || state(&self.path) != Some(self.as_it_was) {
            return Err(());
        }
        self.is_kept.store(true, Ordering::Release);
        Ok(())
    }
}

fn lock_out_checkpoints(file: *mut ffi::sqlite3_file) -> bool {
    for _ in 0..TRIES {
        let mut part = ptr::null_mut();
        // Opens the index; its contents are not needed.
        let mapped = real!(UNLOGGED, xShmMap(file, 0, INDEX_PART, 0, &raw mut part));
        match mapped {
            ffi::SQLITE_OK | ffi::SQLITE_READONLY | ffi::SQLITE_READONLY_CANTINIT => {
                match real!(UNLOGGED, xShmLock(file, READ_LOCK_0, 1, LOCK)) {
                    ffi::SQLITE_OK => return true,
                    ffi::SQLITE_BUSY => {}
                    _ => return false,
                }
            }
            ffi::SQLITE_BUSY => {}
            _ => return false,
        }
        sleep(PAUSE);
    }
    false
}

const LOCK: c_int = ffi::SQLITE_SHM_LOCK | ffi::SQLITE_SHM_SHARED;
const UNLOCK: c_int = ffi::SQLITE_SHM_UNLOCK | ffi::SQLITE_SHM_SHARED;

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let unlogged = files().remove(&file.addr());
    if unlogged.is_some_and(|unlogged| has_been_opened(&unlogged.path) || unlogged.is_kept.load(Ordering::Acquire)) {
        // Without an index, or without that lock, these do nothing.
        real!(UNLOGGED, xShmLock(file, READ_LOCK_0, 1, UNLOCK));
        real!(UNLOGGED, xShmUnmap(file, 0));
    }
    real!(UNLOGGED, xClose(file))
}

fn files() -> MutexGuard<'static, BTreeMap<usize, Arc<Unlogged>>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}
