//! Copies of the file and its write-ahead log in states that a power loss may leave.

use std::path::{Path, PathBuf};

use super::{found, operate, operations_in};
use crate::common::{self, assert_balanced, content, files_only, sql};
use crate::harness::Random;
use heapledger::{Durability, Options};
use tempfile::tempdir;

const OPERATIONS: u64 = 32;
const SECTOR: usize = 512;
/// Bytes before the first frame of a log.
const HEADER: usize = 32;
/// A page with its frame header.
const FRAME: usize = 24 + 4096;

/// The two files after an operation was acknowledged.
#[derive(Clone)]
struct Image {
    file: Vec<u8>,
    log: Vec<u8>,
}

impl Image {
    fn of(path: &Path) -> Self {
        Self {
            file: std::fs::read(path).unwrap(),
            log: std::fs::read(log_of(path)).unwrap_or_default(),
        }
    }

    /// Opens the copies and returns how many operations they hold. The heap must be intact.
    fn operations(&self) -> u64 {
        let dir = tempdir().unwrap();
        let path = dir.path().join("heap.db");
        std::fs::write(&path, &self.file).unwrap();
        std::fs::write(log_of(&path), &self.log).unwrap();
        let memory = options(Durability::Normal).open(&path).unwrap();
        assert_balanced(&memory);
        operations_in(&found(&memory), OPERATIONS)
    }

    /// The valid part of the log. After it there may be zeros or remains of an earlier log.
    fn used(&self) -> &[u8] {
        let Some((header, frames)) = self.log.split_at_checked(HEADER) else {
            return &self.log;
        };
        // The salts: two numbers that a log shares with its frames only.
        let salt = &header[16..24];
        let own = frames.chunks_exact(FRAME).take_while(|frame| &frame[8..16] == salt);
        &self.log[..HEADER + own.count() * FRAME]
    }

    /// Whether `later` differs from this only by what was appended to the log.
    fn is_continued_by(&self, later: &Self) -> bool {
        self.file == later.file && later.used().len() > self.used().len() && later.log.starts_with(self.used())
    }

    fn with_log(&self, log: Vec<u8>) -> Self {
        Self {
            file: self.file.clone(),
            log,
        }
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn options(durability: Durability) -> Options {
    common::options().durability(durability)
}

/// One image for each number of operations, starting with none.
fn images(durability: Durability) -> Vec<Image> {
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = options(durability).open(&path).unwrap();
    let mut images = vec![Image::of(&path)];
    for number in 0..OPERATIONS {
        operate(&memory, number);
        if number % 11 == 5 {
            // Now the log restarts and overwrites its earlier frames.
            sql(&path).execute("PRAGMA wal_checkpoint(PASSIVE)");
        }
        images.push(Image::of(&path));
    }
    images
}

/// What may follow the part of a log that arrived: nothing, zeros, garbage, the rest with a hole, or remains of an
/// older log.
fn tail(lost: &[u8], older: &[u8], random: &mut Random) -> Vec<u8> {
    match random.below(5) {
        0 => Vec::new(),
        1 => vec![0; lost.len()],
        2 => content(random.below(u64::MAX), lost.len() as u64),
        3 => {
            let mut hole = lost.to_vec();
            if let Some(sector) = hole.chunks_mut(SECTOR).next() {
                sector.fill(0);
            }
            hole
        }
        _ if older.is_empty() => Vec::new(),
        _ => {
            let mut remains = older.repeat(lost.len().div_ceil(older.len()));
            remains.truncate(lost.len());
            remains
        }
    }
}

/// Positions at the edges of what one operation wrote, and random ones in between.
fn cuts(from: usize, to: usize, random: &mut Random) -> Vec<usize> {
    let within = (to - from) as u64;
    let mut cuts = vec![from, from + 1, from + 24, to - 1, to];
    cuts.extend((0..3).map(|_| from + random.below(within) as usize));
    cuts
}

#[test]
fn acknowledged_operations_need_only_the_two_files() {
    files_only!(Medium);
    for durability in [Durability::Full, Durability::Normal] {
        for (operations, image) in images(durability).iter().enumerate() {
            assert_eq!(image.operations(), operations as u64);
        }
    }
}

/// `Full`: the log was synced up to the last acknowledged operation. However much of the next
/// operation arrived, and whatever follows it, that operation is there in full or not at all,
/// and all earlier ones are there.
#[test]
fn a_log_torn_after_the_last_sync_loses_nothing_acknowledged() {
    files_only!(Medium);
    let images = images(Durability::Full);
    let mut random = Random(1);
    let mut torn = 0;
    for (operations, pair) in images.windows(2).enumerate() {
        let [image, later] = pair else { unreachable!() };
        if !image.is_continued_by(later) {
            continue;
        }
        for cut in cuts(image.used().len(), later.used().len(), &mut random) {
            let (arrived, lost) = later.log.split_at(cut);
            let left = image.with_log([arrived, &tail(lost, &image.log, &mut random)].concat());
            // If the lost bytes were zeros anyway, the operation is complete.
            let whole = u64::from(left.log.starts_with(later.used()));
            assert_eq!(left.operations(), operations as u64 + whole, "cut at {cut}");
            torn += 1;
        }
    }
    assert!(torn > 100, "only {torn} cuts");
    println!("{torn} torn logs, nothing acknowledged lost");
}

/// `Normal`: the log was not synced since the last checkpoint. Whatever arrived, the heap
/// matches the state after some operation, and none before the checkpoint is lost.
#[test]
fn a_log_that_was_never_synced_loses_only_the_newest_operations() {
    files_only!(Medium);
    let images = images(Durability::Normal);
    let mut random = Random(2);
    let (mut torn, mut lost_operations) = (0, 0);
    // Operations and bytes of the log covered by the last sync.
    let (mut synced, mut from) = (0, 0);
    for (operations, pair) in (1..).zip(images.windows(2)) {
        let [before, image] = pair else { unreachable!() };
        if before.log.is_empty() || !image.log.starts_with(&before.log[..HEADER]) {
            // The log restarts only once everything before is safe in the file.
            (synced, from) = (operations - 1, 0);
        } else if before.file != image.file {
            (synced, from) = (operations, image.log.len());
        }
        if from >= image.log.len() {
            continue;
        }
        for cut in cuts(from, image.log.len(), &mut random) {
            let (arrived, lost) = image.log.split_at(cut);
            let left = image.with_log([arrived, &tail(lost, &[], &mut random)].concat());
            let found = left.operations();
            assert!(
                (synced..=operations).contains(&found),
                "{found} of {operations}, {synced} synced"
            );
            lost_operations += operations - found;
            torn += 1;
        }
    }
    assert!(
        torn > 100 && lost_operations > 0,
        "only {torn} cuts, {lost_operations} lost operations"
    );
    println!("{torn} lost or torn logs, {lost_operations} newest operations lost in total, no damage");
}

/// A checkpoint copies the log into the file, and the log stays until the file is synced. Any
/// sectors of the file may have arrived.
#[test]
fn an_interrupted_checkpoint_loses_nothing() {
    files_only!(Medium);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = options(Durability::Normal).open(&path).unwrap();
    let mut random = Random(3);
    for operations in 1..=OPERATIONS {
        operate(&memory, operations - 1);
        let before = Image::of(&path);
        sql(&path).execute("PRAGMA wal_checkpoint(PASSIVE)");
        let after = Image::of(&path);
        for _ in 0..4 {
            let mut file = before.file.clone();
            file.resize(after.file.len(), 0);
            for (to, from) in file.chunks_mut(SECTOR).zip(after.file.chunks(SECTOR)) {
                if random.below(2) == 0 {
                    to.copy_from_slice(from);
                }
            }
            let torn = Image {
                file,
                log: before.log.clone(),
            };
            assert_eq!(torn.operations(), operations);
        }
    }
}
