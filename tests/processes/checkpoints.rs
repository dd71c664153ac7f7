//! Guards against these failures: the write-ahead log grows without bound during writes, is
//! checkpointed while a reader still needs it, or is the only place that has some commits.

use std::path::{Path, PathBuf};

use crate::common::{assert_balanced, content, files_only, quick};
use heapledger::{Durability, MemManager, ObjectId};
use tempfile::tempdir;

const SIZE: u64 = 1 << 20;
/// The limit of the log, plus one transaction.
const LOG: u64 = (64 << 20) + 2 * SIZE;

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Puts contents of 1 MiB, one commit each. Returns their ids and the greatest length of the log.
fn put(memory: &MemManager, numbers: std::ops::Range<u64>) -> (Vec<ObjectId>, u64) {
    let mut longest = 0;
    let mut ids = Vec::new();
    for number in numbers {
        ids.push(memory.allocate_bytes(&content(number, SIZE)).unwrap());
        longest = longest.max(length(&log_of(memory.path())));
    }
    (ids, longest)
}

fn assert_stored(memory: &MemManager, ids: &[ObjectId]) {
    for (number, id) in (0..).zip(ids) {
        assert!(
            memory.get_bytes(id).unwrap() == content(number, SIZE),
            "content {number}"
        );
    }
    assert_balanced(memory);
}

#[test]
fn the_log_is_checkpointed_while_a_writer_continues() {
    files_only!(Log);
    for (durability, plain) in [
        (Durability::Normal, false),
        (Durability::Full, false),
        (Durability::Normal, true),
    ] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("heap.db");
        let options = quick().durability(durability).plain_io(plain);
        let memory = options.open(&path).unwrap();
        let (ids, longest) = put(&memory, 0..150);
        assert!(longest <= LOG, "{longest} bytes of log");
        let copied = length(&path);
        assert!(copied >= 80 << 20, "{copied} bytes are checkpointed");
        drop(memory);
        assert_eq!(length(&log_of(&path)), 0);
        assert_stored(&quick().read_only(true).open(&path).unwrap(), &ids);
    }
}

#[test]
fn a_reader_sees_one_state_and_delays_nobody() {
    files_only!(Log);
    let dir = tempdir().unwrap();
    let memory = quick().open(dir.path().join("heap.db")).unwrap();
    let (mut ids, _) = put(&memory, 0..20);
    let other = memory.clone();
    let later = memory.read(|snapshot| {
        assert!(snapshot.contains(&ids[0])?);
        for id in &ids[..10] {
            other.free(id)?;
        }
        let (later, _) = put(&other, 20..50);
        assert_eq!(snapshot.get_bytes(&ids[0])?, content(0, SIZE));
        assert!(!snapshot.contains(&later[0])?);
        Ok(later)
    });
    ids.extend(later.unwrap());
    // After the reader has ended, the log restarts.
    let log = log_of(memory.path());
    assert!(length(&log) > 30 * SIZE);
    for number in 0..10 {
        assert_eq!(
            memory.allocate_bytes(&content(number, SIZE)).unwrap(),
            ids[number as usize]
        );
    }
    put(&memory, 50..90);
    let left = length(&log);
    assert!(left <= LOG, "{left} bytes of log");
    assert_stored(&memory, &ids);
}

#[test]
fn garbage_is_collected_while_the_log_is_checkpointed() {
    files_only!(Log);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().open(&path).unwrap();
    for _ in 0..3 {
        let (ids, _) = put(&memory, 0..18);
        for id in &ids {
            memory.free(id).unwrap();
        }
        memory.collect_garbage().unwrap();
        assert_eq!(length(&log_of(&path)), 0, "gc leaves no log");
        assert!(length(&path) < 1 << 20, "nor the pages");
    }
    assert_balanced(&memory);
}
