//! A simulated disk below SQLite that distinguishes synced from merely written data.
//!
//! A test VFS sits between SQLite, including the crate's own VFS, and the system. It sees all
//! writes and syncs of all connections in order. The power fails at each sync and after each
//! acknowledged operation; of the unsynced writes, none has arrived, or all of one file, or
//! some sectors.
#![allow(unsafe_code, reason = "a VFS is a C interface")]

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use heapledger::{Durability, Hold, MemManager};
use rusqlite::ffi;
use tempfile::tempdir;

use crate::common::{MIB, assert_balanced, content, files_only, options, quick, sql};
use crate::harness::{Random, again, given};

const SECTOR: usize = 512;
const OPERATIONS: u64 = 15;

/// SQLite's own VFS.
static REAL: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(std::ptr::null_mut());

static DISK: LazyLock<Mutex<Disk>> = LazyLock::new(Mutex::default);

fn disk() -> MutexGuard<'static, Disk> {
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Disk {
    /// Only files in this folder are tracked.
    folder: PathBuf,
    files: BTreeMap<PathBuf, Stored>,
    /// The files that SQLite has open, by address.
    open: HashMap<usize, Open>,
    /// Our method tables, by the address of the table they replace.
    methods: HashMap<usize, usize>,
    losses: Vec<Loss>,
    syncs: u64,
}

struct Open {
    path: PathBuf,
    real: ffi::sqlite3_io_methods,
}

/// A file as it is on the disk.
#[derive(Default)]
struct Stored {
    synced: Vec<u8>,
    /// In order.
    unsynced: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// What a power loss leaves: the bytes of each file.
type Loss = BTreeMap<PathBuf, Vec<u8>>;

/// Which unsynced writes have arrived.
#[derive(Clone, Copy, PartialEq)]
enum Arrived {
    Nothing,
    All,
    Some,
}

impl Stored {
    fn apply(bytes: &mut Vec<u8>, change: &Change, arrives: &mut dyn FnMut() -> bool) {
        match change {
            Change::Write(at, written) => {
                let mut at = *at;
                let mut written = &written[..];
                while !written.is_empty() {
                    let (sector, rest) = written.split_at(written.len().min(SECTOR - at % SECTOR));
                    if arrives() {
                        bytes.resize(bytes.len().max(at + sector.len()), 0);
                        bytes[at..at + sector.len()].copy_from_slice(sector);
                    }
                    at += sector.len();
                    written = rest;
                }
            }
            Change::Truncate(size) => {
                if arrives() {
                    bytes.resize(*size, 0);
                }
            }
        }
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            Self::apply(&mut self.synced, &change, &mut || true);
        }
    }

    fn after_loss(&self, arrived: Arrived, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let mut arrives = || match arrived {
            Arrived::Nothing => false,
            Arrived::All => true,
            Arrived::Some => random.below(2) == 0,
        };
        for change in &self.unsynced {
            Self::apply(&mut bytes, change, &mut arrives);
        }
        bytes
    }
}

impl Disk {
    /// Records a power loss now, in four variants.
    fn lose(&mut self) {
        use Arrived::{All, Nothing, Some};
        let mut random = Random(self.syncs);
        for (file, log) in [(Nothing, Nothing), (All, Nothing), (Nothing, All), (Some, Some)] {
            let left = self.files.iter().map(|(path, stored)| {
                let is_log = path.to_string_lossy().ends_with("-wal");
                let bytes = stored.after_loss(if is_log { log } else { file }, &mut random);
                (path.clone(), bytes)
            });
            let left = left.collect();
            if !self.losses.contains(&left) {
                self.losses.push(left);
            }
        }
    }

    fn change(&mut self, file: *mut ffi::sqlite3_file, change: Change) {
        let stored = self.open.get(&file.addr()).map(|open| &open.path);
        if let Some(stored) = stored.and_then(|path| self.files.get_mut(path)) {
            stored.unsynced.push(change);
        }
    }

    fn sync(&mut self, file: *mut ffi::sqlite3_file) {
        let Some(path) = self.open.get(&file.addr()).map(|open| open.path.clone()) else {
            return;
        };
        if self.files.contains_key(&path) {
            self.lose();
            self.syncs += 1;
            if let Some(stored) = self.files.get_mut(&path) {
                stored.sync();
            }
        }
    }
}

/// Makes this the default VFS of the process.
fn register() {
    // SAFETY: a null name returns SQLite's default VFS, which is never freed.
    let real = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
    REAL.store(real, Ordering::Release);
    // SAFETY: it was just found, and nobody changes it at the same time.
    let copied = unsafe { *real };
    let own = Box::leak(Box::new(ffi::sqlite3_vfs {
        pNext: std::ptr::null_mut(),
        zName: c"disk".as_ptr(),
        xOpen: Some(open),
        ..copied
    }));
    // SAFETY: it is leaked, and all its functions except `open` come from the copied VFS, with the
    // data that they expect.
    assert_eq!(unsafe { ffi::sqlite3_vfs_register(own, 1) }, ffi::SQLITE_OK);
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let real = REAL.load(Ordering::Acquire);
    // SAFETY: `register` stored it, and the arguments come from SQLite.
    let code = unsafe { (*real).xOpen.unwrap()(real, name, file, flags, out_flags) };
    if code != ffi::SQLITE_OK || flags & (ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL) == 0 {
        return code;
    }
    // SAFETY: these kinds of file have a name.
    let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap();
    let path = PathBuf::from(name);
    // SAFETY: an open file has a method table, which lives as long as the program.
    let real = unsafe { &*(*file).pMethods };
    let mut disk = disk();
    let own = *disk.methods.entry(std::ptr::from_ref(real).addr()).or_insert_with(|| {
        let own = ffi::sqlite3_io_methods {
            xClose: Some(close),
            xWrite: Some(write),
            xTruncate: Some(truncate),
            xSync: Some(sync),
            ..*real
        };
        std::ptr::from_ref(Box::leak(Box::new(own))).expose_provenance()
    });
    if path.parent() == Some(&disk.folder) && !disk.files.contains_key(&path) {
        let stored = Stored {
            synced: std::fs::read(&path).unwrap(),
            unsynced: Vec::new(),
        };
        disk.files.insert(path.clone(), stored);
    }
    disk.open.insert(file.addr(), Open { path, real: *real });
    // SAFETY: the table is leaked, and its functions are those of the file or wrap them.
    unsafe { (*file).pMethods = std::ptr::with_exposed_provenance(own) };
    code
}

/// SQLite's own methods of an open file.
fn real(file: *mut ffi::sqlite3_file) -> ffi::sqlite3_io_methods {
    disk().open[&file.addr()].real
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, data: *const c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: SQLite passes a buffer of `count` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), count as usize) };
    disk().change(file, Change::Write(at as usize, bytes.to_vec()));
    // SAFETY: the arguments that SQLite gave.
    unsafe { real(file).xWrite.unwrap()(file, data, count, at) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    disk().change(file, Change::Truncate(size as usize));
    // SAFETY: the arguments that SQLite gave.
    unsafe { real(file).xTruncate.unwrap()(file, size) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    disk().sync(file);
    // SAFETY: the arguments that SQLite gave.
    unsafe { real(file).xSync.unwrap()(file, flags) }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let real = real(file);
    disk().open.remove(&file.addr());
    // SAFETY: the arguments that SQLite gave.
    unsafe { real.xClose.unwrap()(file) }
}

fn losses_so_far() -> Vec<Loss> {
    std::mem::take(&mut disk().losses)
}

/// How many operations survived. They must be the first ones, and the heap must be intact.
fn operations_in(loss: &Loss) -> u64 {
    let dir = tempdir().unwrap();
    for (path, bytes) in loss {
        std::fs::write(dir.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    let memory = quick().open(dir.path().join("heap.db")).unwrap();
    // Each content matches its id, too.
    assert_balanced(&memory);
    let names = memory.objects().map(|object| object.unwrap().names.join(" "));
    let mut numbers: Vec<u64> = names.map(|name| name.parse().unwrap()).collect();
    numbers.sort_unstable();
    let operations = numbers.len() as u64;
    assert_eq!(numbers, (0..operations).collect::<Vec<_>>());
    operations
}

fn operate(memory: &MemManager, number: u64) {
    let size = [30, 5_000, 90_000][number as usize % 3];
    memory
        .store_bytes(&content(number, size), Hold::Name(&number.to_string()))
        .unwrap();
    match number % 5 {
        2 => sql(memory.path()).execute("PRAGMA wal_checkpoint(PASSIVE)"),
        4 => drop(memory.collect_garbage().unwrap()),
        _ => {}
    }
}

/// Runs all operations with `durability`, and checks what every power loss leaves.
fn lose_power(durability: Durability, path: &Path) {
    register();
    disk().folder = path.parent().unwrap().to_owned();
    let memory = options().durability(durability).open(path).unwrap();
    let (mut losses, mut lost, mut safe) = (0, 0, 0);
    for number in 0..OPERATIONS {
        losses_so_far();
        operate(&memory, number);
        for loss in losses_so_far() {
            let left = operations_in(&loss);
            assert!((safe..=number + 1).contains(&left), "{left} left in operation {number}");
            losses += 1;
        }
        if durability == Durability::Full || number % 5 == 4 {
            safe = number + 1;
        }
        disk().lose();
        for loss in losses_so_far() {
            let left = operations_in(&loss);
            assert!(
                (safe..=number + 1).contains(&left),
                "{left} left after operation {number}"
            );
            lost += number + 1 - left;
            losses += 1;
        }
    }
    assert!(losses > 3 * OPERATIONS, "only {losses} power losses");
    assert_eq!(lost > 0, durability == Durability::Normal, "{lost} operations lost");
}

#[test]
#[ignore = "the child process with the simulated disk"]
fn full() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    lose_power(Durability::Full, Path::new(&path));
}

#[test]
#[ignore = "the child process with the simulated disk"]
fn normal() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    lose_power(Durability::Normal, Path::new(&path));
}

/// The parts of a large object are not synced, its last transaction is, and so is everything after it.
#[test]
#[ignore = "the child process with the simulated disk"]
fn large() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let path = Path::new(&path);
    register();
    disk().folder = path.parent().unwrap().to_owned();
    let memory = options().durability(Durability::Full).open(path).unwrap();
    for (number, size) in [(0, 30), (1, 18 * MIB), (2, 30), (3, 9 * MIB), (4, 30)] {
        losses_so_far();
        let (bytes, name) = (content(number, size), number.to_string());
        memory.store_from(bytes.as_slice(), Hold::Name(&name)).unwrap();
        for loss in losses_so_far() {
            assert!((number..=number + 1).contains(&operations_in(&loss)));
        }
        disk().lose();
        for loss in losses_so_far() {
            assert_eq!(operations_in(&loss), number + 1, "an acknowledged operation is lost");
        }
    }
}

#[test]
fn a_large_object_is_synced_before_it_is_acknowledged() {
    files_only!(Medium);
    on_a_disk("power_loss::disk::large");
}

fn on_a_disk(test: &str) {
    let dir = tempdir().unwrap();
    let path = std::fs::canonicalize(dir.path()).unwrap().join("heap.db");
    let status = again(test).env("HEAPLEDGER_PATH", path).status().unwrap();
    assert!(status.success());
}

#[test]
fn full_durability_syncs_before_it_acknowledges() {
    files_only!(Medium);
    on_a_disk("power_loss::disk::full");
}

#[test]
fn normal_durability_syncs_the_log_before_the_file_and_the_file_before_restarting_the_log() {
    files_only!(Medium);
    on_a_disk("power_loss::disk::normal");
}
