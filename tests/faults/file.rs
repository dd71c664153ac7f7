//! A heap file that is removed, replaced or truncated while it is open.

use std::path::Path;
use std::time::Duration;

use crate::common::{Heap, assert_balanced, content, files_only, quick};
use heapledger::{Error, Hold, MemManager};

/// A heap with one object, and a way to break its file.
fn heap() -> Heap {
    let heap = Heap::new();
    heap.store_bytes(&content(1, 5000), Hold::Name("kept")).unwrap();
    heap
}

/// A write must not be acknowledged if nobody will ever see the file again. Without syncs, a writer looks
/// once a millisecond.
fn assert_refused(memory: &MemManager) {
    std::thread::sleep(Duration::from_millis(2));
    let error = memory.allocate("into the void").unwrap_err();
    assert!(matches!(error, Error::FileChanged { .. }), "{error:?}");
    assert!(error.to_string().contains("open it again"), "{error}");
    let error = memory
        .batch(|batch| batch.bind("kept", &heapledger::ObjectId::of_bytes(b"x")))
        .unwrap_err();
    assert!(matches!(error, Error::FileChanged { .. }), "{error:?}");
    let error = memory.collect_garbage().unwrap_err();
    assert!(matches!(error, Error::FileChanged { .. }), "{error:?}");
}

fn with_log(path: &Path, step: impl Fn(&Path)) {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        if Path::new(&file).exists() {
            step(Path::new(&file));
        }
    }
}

#[test]
fn a_removed_file_accepts_no_more_writes() {
    files_only!(File);
    for whole in [false, true] {
        let heap = heap();
        if whole {
            with_log(heap.path(), |file| std::fs::remove_file(file).unwrap());
        } else {
            std::fs::remove_file(heap.path()).unwrap();
        }
        assert_refused(&heap);
    }
}

#[test]
fn a_moved_file_accepts_no_more_writes_and_is_intact() {
    files_only!(File);
    let heap = heap();
    let away = heap.path().with_file_name("away.db");
    std::fs::rename(heap.path(), &away).unwrap();
    assert_refused(&heap);
    std::fs::rename(&away, heap.path()).unwrap();
    heap.allocate("it is back").unwrap();
    assert_balanced(&heap);
}

#[test]
fn a_reader_that_comes_after_a_file_was_moved_or_removed_is_told_so() {
    files_only!(File);
    let heap = heap();
    let away = heap.path().with_file_name("away.db");
    // Each of these reads has a connection of its own, and only the first ones may find one that is open.
    let read = || heap.read(|_| heap.read(|_| heap.read(|_| heap.memram())));
    std::fs::rename(heap.path(), &away).unwrap();
    let error = read().unwrap_err();
    assert!(
        matches!(&error, Error::FileChanged { path } if path == heap.path()),
        "{error:?}"
    );
    std::fs::rename(&away, heap.path()).unwrap();
    read().unwrap();
    std::fs::remove_file(heap.path()).unwrap();
    let error = heap.read(|_| heap.read(|_| heap.read(|_| read()))).unwrap_err();
    assert!(matches!(error, Error::FileChanged { .. }), "{error:?}");
}

#[test]
fn a_replaced_file_is_neither_written_nor_read_as_the_old_one() {
    files_only!(File);
    let heap = heap();
    let other = Heap::new();
    other.store_bytes(&content(2, 700), Hold::Name("other")).unwrap();
    let other_path = other.path().to_owned();
    let dir = other.close();
    std::fs::rename(&other_path, heap.path()).unwrap();
    assert_refused(&heap);
    // Readers see the old file or an error, never the new one in its place.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let memory = heap.clone();
            scope.spawn(move || match memory.resolve("other") {
                Ok(found) => assert_eq!(found, None),
                Err(error) => assert!(matches!(error, Error::FileChanged { .. }), "{error:?}"),
            });
        }
    });
    drop(dir);
}

#[test]
fn a_file_truncated_while_open_gives_an_error_and_no_false_data() {
    files_only!(File);
    for len in [0, 100, 4096, 40_000] {
        let heap = heap();
        crate::common::sql(heap.path()).execute("PRAGMA wal_checkpoint(TRUNCATE)");
        let path = heap.path().to_owned();
        let dir = heap.close();
        let memory = quick().open(&path).unwrap();
        std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(len)
            .unwrap();
        let id = heapledger::ObjectId::of_bytes(&content(1, 5000));
        match memory.get_bytes(&id) {
            Ok(bytes) => assert_eq!(bytes, content(1, 5000)),
            Err(error) => assert!(!matches!(error, Error::NotStored { .. }), "{error}"),
        }
        let whole = memory.check().is_ok_and(|found| found.is_empty());
        assert!(!whole, "a file of {len} bytes passes as intact");
        drop(dir);
    }
}
