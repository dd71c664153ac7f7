//! The failure guarded against: POSIX drops every lock that a process has on a file as
//! soon as it closes any descriptor of that file. If the crate opened and closed the
//! heap file beside SQLite, another process that closes the heap would believe itself
//! alone, remove the write-ahead log under this process, and all that is acknowledged
//! here from then on would be lost. <https://www.sqlite.org/howtocorrupt.html> §2.2

#![cfg(test)]

mod common;
mod harness;

use common::{assert_balanced, content, quick};
use harness::{again, given};
use tempfile::tempdir;

#[test]
#[ignore = "the process that opens, writes, and closes"]
fn visitor() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    quick().open(path).unwrap().allocate("from another process").unwrap();
}

#[test]
fn opening_a_heap_twice_keeps_the_locks_of_the_first() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().open(&path).unwrap();
    memory.allocate("before").unwrap();
    drop(quick().open(&path).unwrap());
    drop(quick().read_only(true).open(&path).unwrap());
    assert!(
        again("visitor")
            .env("HEAPLEDGER_PATH", &path)
            .status()
            .unwrap()
            .success()
    );
    assert!(
        dir.path().join("heap.db-wal").exists(),
        "the log was removed under a process that has it open"
    );
    for number in 0..10 {
        memory.allocate_bytes(&content(number, 500)).unwrap();
    }
    // A third process must see what was acknowledged here.
    let copy = tempdir().unwrap();
    for file in ["heap.db", "heap.db-wal"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let copy = quick().open(copy.path().join("heap.db")).unwrap();
    assert_eq!(copy.objects().count(), 12);
    assert_balanced(&copy);
}
