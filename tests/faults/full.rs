//! A full disk: a small file system in memory, with ballast.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::common::{KIB, MIB, assert_balanced, content, files_only, number, quick, row_counts, sql};
use crate::harness::{again_with_mounts, given, possible_mounts};
use crate::rows;
use heapledger::{Error, Hold, MemManager, ObjectId};
use tempfile::tempdir;

const PAGE: u64 = 4 * KIB;
const DISK: u64 = 32 * MIB;

fn on_a_small_disk(test: &str) {
    on_a_disk(DISK, test);
}

fn on_a_disk(bytes: u64, test: &str) {
    let dir = tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={bytes} none '{}'", dir.path().display());
    if !possible_mounts("a small file system", &mount) {
        return;
    }
    let status = again_with_mounts(&mount, test)
        .env("HEAPLEDGER_DISK", dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Grows the ballast file until only `left` bytes of the disk are free.
fn fill(disk: &Path, left: u64) {
    let ballast = File::options()
        .create(true)
        .append(true)
        .open(disk.join("ballast"))
        .unwrap();
    let full = std::io::copy(&mut std::io::repeat(1).take(8 * DISK), &mut &ballast);
    assert!(full.is_err(), "the disk has no end");
    let len = ballast.metadata().unwrap().len();
    ballast.set_len((len - left.min(len)) / PAGE * PAGE).unwrap();
}

fn empty(disk: &Path) {
    std::fs::remove_file(disk.join("ballast")).unwrap();
}

fn assert_full(error: &Error) {
    let said = error.to_string();
    assert!(matches!(error, Error::DiskFull), "{error:?}");
    assert!(said.contains("full") && said.contains("room"), "{said}");
}

#[test]
fn each_write_of_an_allocation_finds_the_disk_full() {
    files_only!(Medium);
    on_a_small_disk("full::allocations");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn allocations() {
    let Some(disk) = given("HEAPLEDGER_DISK") else { return };
    let disk = Path::new(&disk);
    let mut faults = 0;
    let ways: [fn(&MemManager) -> heapledger::Result<ObjectId>; 3] = [
        |memory| Ok(memory.store_bytes(&content(1, 300 * KIB), Hold::Name("big"))?.id),
        |memory| {
            memory.batch(|batch| {
                (0..60)
                    .try_fold(None, |_, i| batch.allocate_bytes(&content(i, 900)).map(Some))?
                    .ok_or(Error::ReadOnly)
            })
        },
        // Within a batch it is spooled.
        |memory| memory.batch(|batch| batch.allocate_from(content(2, 1500 * KIB).as_slice())),
    ];
    for way in ways {
        // A new heap each time, so that its log starts empty.
        let path = disk.join("heap.db");
        let memory = quick().open(&path).unwrap();
        memory.store_bytes(&content(77, 20 * KIB), Hold::Name("kept")).unwrap();
        let before = rows(&memory);
        let mut left = 0;
        loop {
            fill(disk, left);
            match way(&memory) {
                Ok(_) => break,
                Err(Error::Io { what, source }) => {
                    assert!(
                        what.contains("spooled") && source.kind() == std::io::ErrorKind::StorageFull,
                        "{what}"
                    );
                }
                Err(error) => assert_full(&error),
            }
            assert_eq!(rows(&memory), before, "with {left} bytes left");
            faults += 1;
            // The rows can be read and the books balance while the disk is full.
            if faults % 10 == 0 {
                assert_eq!(memory.doctor().unwrap()[0].code, "full_disk");
                assert_balanced(&memory);
            }
            left += PAGE;
        }
        empty(disk);
        assert_balanced(&memory);
        drop(memory);
        for file in ["heap.db", "heap.db-wal", "heap.db-shm"] {
            let _ = std::fs::remove_file(disk.join(file));
        }
    }
    assert!(faults > 50, "{faults}");
    println!("{faults} writes found the disk full, nothing changed");
}

/// Whatever a part of a large object found full, nothing is stored, and everything is given back: at
/// once, or if there is no room for that either, after the lease.
#[test]
fn each_part_of_a_large_object_may_find_the_disk_full() {
    files_only!(Medium);
    on_a_disk(48 * MIB, "full::large_objects");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn large_objects() {
    let Some(disk) = given("HEAPLEDGER_DISK") else { return };
    let disk = Path::new(&disk);
    let bytes = content(1, 18 * MIB);
    let path = disk.join("heap.db");
    let memory = quick().open(&path).unwrap();
    memory.store_bytes(&content(77, 20 * KIB), Hold::Name("kept")).unwrap();
    let before = row_counts(&sql(&path));
    let (mut faults, mut left) = (0, 0);
    loop {
        fill(disk, left);
        let stored = memory.store_from(bytes.as_slice(), Hold::Anonymous);
        assert_balanced(&memory);
        empty(disk);
        match stored {
            Ok(_) => break,
            Err(error) => assert_full(&error),
        }
        assert_eq!(memory.objects().count(), 1);
        sql(&path).execute("UPDATE reservations SET expires_at = 1");
        memory.collect_garbage().unwrap();
        assert_eq!(row_counts(&sql(&path)), before, "with {left} bytes left");
        assert_eq!(number(&sql(&path), "SELECT count(*) FROM reservations"), 0);
        assert_eq!(memory.memram().unwrap().mem, 20 * KIB);
        faults += 1;
        left += 1_777 * KIB;
    }
    assert!(faults > 4, "{faults}");
    println!("{faults} large objects found the disk full, nothing is left of them");
}

#[test]
fn a_batch_that_ignores_a_full_disk_commits_in_full_or_not_at_all() {
    files_only!(Medium);
    on_a_small_disk("full::ignoring");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn ignoring() {
    let Some(disk) = given("HEAPLEDGER_DISK") else { return };
    let disk = Path::new(&disk);
    let memory = quick().open(disk.join("heap.db")).unwrap();
    for round in 0..60 {
        let before = rows(&memory);
        fill(disk, round * 8 * PAGE);
        let done = memory.batch(|batch| {
            let puts = (0..80).map(|i| content(100 * round + i, if i % 4 == 3 { 600 } else { 9 * KIB }));
            let stored: Vec<_> = puts.filter_map(|bytes| batch.allocate_bytes(&bytes).ok()).collect();
            // Room again, but too late for what was refused.
            std::fs::remove_file(disk.join("ballast")).unwrap();
            Ok(stored)
        });
        match done {
            Ok(stored) => assert!(stored.iter().all(|id| memory.contains(id).unwrap())),
            Err(_) => assert_eq!(rows(&memory), before, "round {round}"),
        }
        assert_balanced(&memory);
        for object in memory.objects().collect::<Vec<_>>() {
            memory.free(&object.unwrap().id).unwrap();
        }
        memory.collect_garbage().unwrap();
    }
}

#[test]
fn writers_that_share_a_commit_on_a_full_disk_each_learn_their_outcome() {
    files_only!(Medium);
    on_a_small_disk("full::writers");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn writers() {
    let Some(disk) = given("HEAPLEDGER_DISK") else { return };
    let disk = Path::new(&disk);
    let memory = quick().open(disk.join("heap.db")).unwrap();
    let (mut stored, mut refused) = (Vec::new(), Vec::new());
    for round in 0..40 {
        fill(disk, (round % 10) * 8 * PAGE);
        std::thread::scope(|scope| {
            let put = |thread: u64| {
                let memory = &memory;
                move || {
                    let bytes = content(round * 100 + thread, 30 * KIB);
                    (memory.allocate_bytes(&bytes), bytes)
                }
            };
            let threads: Vec<_> = (0..8).map(|thread| scope.spawn(put(thread))).collect();
            for thread in threads {
                let (result, bytes) = thread.join().unwrap();
                match result {
                    Ok(_) => stored.push(bytes),
                    Err(error) => {
                        assert!(error.to_string().contains("full"), "{error}");
                        refused.push(bytes);
                    }
                }
            }
        });
        empty(disk);
        assert_balanced(&memory);
    }
    for bytes in &stored {
        assert_eq!(memory.get_bytes(&ObjectId::of_bytes(bytes)).unwrap(), *bytes);
    }
    for bytes in &refused {
        assert!(!memory.contains(&ObjectId::of_bytes(bytes)).unwrap());
    }
    assert_eq!(memory.objects().count(), stored.len());
    assert!(!stored.is_empty() && !refused.is_empty());
    println!("{} stored, {} refused, none in doubt", stored.len(), refused.len());
}

#[test]
fn a_heap_that_does_not_fit_is_not_created() {
    files_only!(Medium);
    on_a_small_disk("full::making");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn making() {
    let Some(disk) = given("HEAPLEDGER_DISK") else { return };
    let disk = Path::new(&disk);
    let path = disk.join("heap.db");
    for left in (0..100).map(|pages| pages * PAGE) {
        fill(disk, left);
        let made = quick().open(&path);
        empty(disk);
        match made {
            Ok(memory) => {
                println!("a heap is made in {left} bytes");
                assert_balanced(&memory);
                return;
            }
            Err(error) => assert_full(&error),
        }
        let mut files: Vec<_> = std::fs::read_dir(disk)
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        // The file may exist if only its space did not fit.
        files.retain(|name| !name.to_str().unwrap().starts_with("heap.db"));
        assert!(files.is_empty(), "{files:?} left with {left} bytes");
    }
    panic!("a heap of more than 400 KiB");
}

/// Logging all removed pages would need as much room as they give back.
#[test]
fn collecting_gives_back_more_than_the_disk_has_left() {
    files_only!(Medium);
    on_a_disk(4 * DISK, "full::giving_back");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn giving_back() {
    let Some(disk) = given("HEAPLEDGER_DISK") else { return };
    let disk = Path::new(&disk);
    let path = disk.join("heap.db");
    let id = quick()
        .open(&path)
        .unwrap()
        .allocate_bytes(&content(1, 60 * MIB))
        .unwrap();
    let memory = quick().open(&path).unwrap();
    fill(disk, 4 * MIB);
    let plan = memory.plan_free(&[id]).unwrap();
    memory.free(&id).unwrap();
    memory.collect_garbage().unwrap();
    let left = path.metadata().unwrap().len();
    assert!(left < MIB);
    assert_eq!(plan.collected.file_size, left);
    assert_balanced(&memory);
}

#[test]
fn collecting_on_a_full_disk_leaves_the_books_in_balance() {
    files_only!(Medium);
    on_a_small_disk("full::collecting");
}

#[test]
#[ignore = "the child process, on a separate disk"]
fn collecting() {
    let Some(disk) = given("HEAPLEDGER_DISK") else { return };
    let disk = Path::new(&disk);
    for left in (0..40).map(|pages| pages * PAGE) {
        // Opened each time, so that its log starts empty.
        let memory = quick().open(disk.join("heap.db")).unwrap();
        let ids: Vec<_> = (0..30)
            .map(|i| memory.allocate_bytes(&content(i, 9 * KIB)).unwrap())
            .collect();
        for id in ids {
            memory.free(&id).unwrap();
        }
        fill(disk, left);
        if let Err(error) = memory.collect_garbage() {
            assert_full(&error);
        }
        empty(disk);
        assert_balanced(&memory);
    }
}
