//! Copies of the file and its write-ahead log, as a power loss may leave them.

use std::path::{Path, PathBuf};

use crate::common::{self, assert_balanced, sql};
use crate::harness::Random;
use crate::{found, operate, operations_in};
use heapledger::{Durability, Options};
use tempfile::tempdir;

const OPERATIONS: u64 = 32;
const SECTOR: usize = 512;
/// Bytes before the first frame of a log.
const HEADER: usize = 32;
/// A page and what describes it.
const FRAME: usize = 24 + 4096;

/// The two files as they are after an operation was acknowledged.
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

    /// Opens what is left, and returns how many operations it holds. It must be whole.
    fn operations(&self) -> u64 {
        let dir = tempdir().unwrap();
        let path = dir.path().join("heap.db");
        std::fs::write(&path, &self.file).unwrap();
        std::fs::write(log_of(&path), &self.log).unwrap();
        let memory = options(Durability::Normal).open(&path).unwrap();
        assert_balanced(&memory);
        operations_in(&found(&memory), OPERATIONS)
    }

    /// The log up to the last frame that belongs to it. Behind may be zeros, or an earlier log.
    fn used(&self) -> &[u8] {
        let Some((header, frames)) = self.log.split_at_checked(HEADER) else {
            return &self.log;
        };
        // Two numbers that each log and its frames have for themselves.
        let salt = &header[16..24];
        let own = frames.chunks_exact(FRAME).take_while(|frame| &frame[8..16] == salt);
        &self.log[..HEADER + own.count() * FRAME]
    }

    /// Whether `later` differs from this by what was appended to the log alone.
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

/// One image for each number of operations, from none.
fn images(durability: Durability) -> Vec<Image> {
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = options(durability).open(&path).unwrap();
    let mut images = vec![Image::of(&path)];
    for number in 0..OPERATIONS {
        operate(&memory, number);
        if number % 11 == 5 {
            // From here on the log is written anew from its start, over what it held.
            sql(&path)
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
                .unwrap();
        }
        images.push(Image::of(&path));
    }
    images
}

/// What may be behind the part of a log that arrived.
fn tails(lost: &[u8], older: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    let mut hole = lost.to_vec();
    if let Some(sector) = hole.chunks_mut(SECTOR).next() {
        sector.fill(0);
    }
    let garbage = (0..lost.len()).map(|_| random.below(256) as u8).collect();
    let remains = older
        .iter()
        .copied()
        .cycle()
        .take(if older.is_empty() { 0 } else { lost.len() })
        .collect();
    vec![Vec::new(), vec![0; lost.len()], garbage, hole, remains]
}

/// Cuts at the edges of what one operation wrote, and at random bytes between.
fn cuts(from: usize, to: usize, random: &mut Random) -> Vec<usize> {
    let within = (to - from) as u64;
    let mut cuts = vec![from, from + 1, from + 24, to - 1, to];
    cuts.extend((0..3).map(|_| from + random.below(within) as usize));
    cuts
}

#[test]
fn what_was_acknowledged_is_in_the_two_files_alone() {
    for durability in [Durability::Full, Durability::Normal] {
        for (operations, image) in images(durability).iter().enumerate() {
            assert_eq!(image.operations(), operations as u64);
        }
    }
}

/// `Full`: the log up to the last acknowledged operation was synced. Whatever of the
/// next operation arrived, and whatever is behind it, that operation is there whole or
/// not at all, and all before it are.
#[test]
fn a_log_torn_behind_the_last_sync_loses_nothing_acknowledged() {
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
            let tails = tails(lost, &image.log, &mut random);
            let tail = &tails[random.below(tails.len() as u64) as usize];
            let left = image.with_log([arrived, tail].concat());
            // Zeros where zeros were to come are no loss.
            let whole = u64::from(left.log.starts_with(later.used()));
            assert_eq!(left.operations(), operations as u64 + whole, "cut at {cut}");
            torn += 1;
        }
    }
    assert!(torn > 100, "only {torn} cuts");
    println!("{torn} torn logs, nothing acknowledged lost");
}

/// `Normal`: the log was synced before the last checkpoint and not since. Whatever of
/// it arrived, the heap is as after some operation, and none before the checkpoint is lost.
#[test]
fn a_log_that_was_never_synced_loses_the_newest_operations_alone() {
    let images = images(Durability::Normal);
    let mut random = Random(2);
    let (mut torn, mut lost_operations) = (0, 0);
    // Operations and bytes of the log that the last sync made safe.
    let (mut synced, mut from) = (0, 0);
    for (operations, pair) in (1..).zip(images.windows(2)) {
        let [before, image] = pair else { unreachable!() };
        if before.log.is_empty() || !image.log.starts_with(&before.log[..HEADER]) {
            // The log begins anew, when everything before is safe in the file.
            (synced, from) = (operations - 1, 0);
        } else if before.file != image.file {
            (synced, from) = (operations, image.log.len());
        }
        if from >= image.log.len() {
            continue;
        }
        for cut in cuts(from, image.log.len(), &mut random) {
            let (arrived, lost) = image.log.split_at(cut);
            let tails = tails(lost, &[], &mut random);
            let tail = &tails[random.below(tails.len() as u64) as usize];
            let found = image.with_log([arrived, tail].concat()).operations();
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
    println!("{torn} lost or torn logs, {lost_operations} newest operations lost in all, no damage");
}

/// A checkpoint writes to the file what the log holds, and the log stays until the file
/// is synced: any sectors of it may have arrived.
#[test]
fn a_checkpoint_cut_short_loses_nothing() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = options(Durability::Normal).open(&path).unwrap();
    let mut random = Random(3);
    for operations in 1..=OPERATIONS {
        operate(&memory, operations - 1);
        let before = Image::of(&path);
        sql(&path)
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .unwrap();
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
