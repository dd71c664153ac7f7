//! Who reads from the write-ahead log, as far as the system tells.
//!
//! A reader locks one byte of the `-shm`, and Linux lists the locks in `/proc/locks`. Nothing of the
//! heap is opened for this, because closing it would drop the [locks](super::open_files) of this
//! process.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::open_files::{FileId, oldest_read};
use super::sidecar::sidecar;
use crate::error::LogHolder;
use crate::store::sqlite::location::FileLocation;

/// The bytes of the `-shm` that readers lock (<https://sqlite.org/walformat.html#wal_locks>).
const READERS: RangeInclusive<u64> = 123..=127;

/// How often the list of locks is read. The system gives it out in pages, and leaves some out if other programs lock
/// and unlock meanwhile: with four of them that did nothing else, one reading in seven lacked a lock that was held.
const READINGS: usize = 4;

/// The lock of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct ReadLock {
    pid: u32,
    /// The first and the last byte.
    bytes: (u64, u64),
}

impl FileLocation {
    /// The processes that read from the log now, with the caller if it does.
    pub fn log_holders(&self) -> Vec<LogHolder> {
        holders(self, Duration::ZERO, None)
    }
}

/// The processes that read from the log now. Those that have begun since `at_first`, during the
/// last `waited`, are left out unless there are no others.
pub(super) fn holders(location: &FileLocation, waited: Duration, at_first: Option<&[ReadLock]>) -> Vec<LogHolder> {
    let now = read_locks(location);
    let mut pids: Vec<_> = now.iter().map(|lock| lock.pid).collect();
    let own = std::process::id();
    let reading_for = oldest_read(location.file.as_deref());
    if reading_for.is_some() {
        // Other systems do not list locks.
        pids.push(own);
    }
    pids.sort_unstable();
    pids.dedup();
    let is_old = |&pid: &u32| match reading_for {
        Some(time) if pid == own => time >= waited,
        _ => at_first.is_none_or(|then| now.iter().any(|lock| lock.pid == pid && then.contains(lock))),
    };
    if pids.iter().any(is_old) {
        pids.retain(is_old);
    }
    let holder = |pid| LogHolder {
        pid,
        command: command(pid),
        reading_for: reading_for.filter(|_| pid == own),
    };
    pids.into_iter().map(holder).collect()
}

/// The locks of readers of the log; none where the system does not tell.
pub(super) fn read_locks(location: &FileLocation) -> Vec<ReadLock> {
    let Some(index) = FileId::of(&sidecar(&location.path, "-shm")) else {
        return Vec::new();
    };
    let readings: Vec<_> = (0..READINGS)
        .map(|_| std::fs::read_to_string("/proc/locks").unwrap_or_default())
        .collect();
    let (device, inode) = (index.device_name(), index.inode());
    let of_file = parse(&readings, |file| file == format!("{device}:{inode}"));
    if !of_file.is_empty() {
        return of_file;
    }
    // Some file systems (overlayfs, btrfs) list their files under another device than `stat` does.
    parse(&readings, |file| {
        file.rsplit(':').next() == Some(inode.to_string().as_str())
    })
}

/// The locks of a file in any of several readings of `/proc/locks`:
/// `7: POSIX  ADVISORY  READ 4242 fe:00:1048613 123 123`.
fn parse(readings: &[String], is_file: impl Fn(&str) -> bool) -> Vec<ReadLock> {
    let lock = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        // A second word `->` marks a process that waits for the lock before it. A process that
        // copies the log has write locks on these bytes for a moment.
        let [_, "POSIX", _, "READ", pid, file, first, last] = words.as_slice() else {
            return None;
        };
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        let of_readers = first <= *READERS.end() && last >= *READERS.start();
        (of_readers && is_file(file)).then_some(ReadLock {
            // The id of a process in another namespace is 0 or negative.
            pid: pid.parse().ok().filter(|&pid| pid > 0)?,
            bytes: (first, last),
        })
    };
    let mut locks = Vec::new();
    for lock in readings.iter().flat_map(|locks| locks.lines()).filter_map(lock) {
        if !locks.contains(&lock) {
            locks.push(lock);
        }
    }
    locks
}

fn command(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_locks_of_readers_of_the_file_count() {
        let locks = "\
            1: FLOCK  ADVISORY  WRITE 565 fe:00:747 0 EOF\n\
            2: POSIX  ADVISORY  READ  17 fe:00:42 123 123\n\
            3: POSIX  ADVISORY  READ  18 fe:00:42 127 128\n\
            3: -> POSIX  ADVISORY  WRITE 19 fe:00:42 123 123\n\
            4: POSIX  ADVISORY  READ  20 fe:00:42 128 128\n\
            5: POSIX  ADVISORY  WRITE 21 fe:00:42 120 123\n\
            6: POSIX  ADVISORY  READ  22 fe:00:43 124 124\n\
            7: POSIX  ADVISORY  READ  -1 fe:00:42 124 124\n\
            8: OFDLCK ADVISORY  READ  -1 fe:00:42 124 124\n\
            9: POSIX\n";
        let pids = |file: &str| pids(&[locks], file);
        assert_eq!(pids("fe:00:42"), [17, 18]);
        assert_eq!(pids("fe:00:43"), [22]);
        assert!(pids("fe:00:44").is_empty());
    }

    #[test]
    fn a_lock_may_be_missing_in_one_reading_of_the_list() {
        let first = "1: POSIX  ADVISORY  READ  17 fe:00:42 123 123\n";
        let both = "1: POSIX  ADVISORY  READ  17 fe:00:42 123 123\n2: POSIX  ADVISORY  READ  18 fe:00:42 124 124\n";
        for readings in [["", both], [both, ""], [first, both], [both, first]] {
            assert_eq!(pids(&readings, "fe:00:42"), [17, 18]);
        }
    }

    fn pids(readings: &[&str], file: &str) -> Vec<u32> {
        let readings: Vec<_> = readings.iter().map(ToString::to_string).collect();
        parse(&readings, |found| found == file)
            .iter()
            .map(|lock| lock.pid)
            .collect()
    }
}
