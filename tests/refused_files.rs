//! What is no heap of this version is refused with a reason, and left untouched byte for byte.

#![cfg(test)]

mod common;

use std::fs;
use std::path::Path;

use common::{files_in, number, quick, sql};
use heapledger::{Error, MemManager};
use rusqlite::Connection;
use tempfile::tempdir;

/// Opening `path` is refused, and no byte of its directory changes by it.
fn refused_untouched(path: &Path) -> Error {
    let dir = path.parent().unwrap();
    let before = files_in(dir);
    let mut errors = Vec::new();
    for read_only in [false, true] {
        errors.push(quick().read_only(read_only).open(path).unwrap_err());
        let after = files_in(dir);
        assert_eq!(
            after.keys().collect::<Vec<_>>(),
            before.keys().collect::<Vec<_>>(),
            "files, read_only {read_only}"
        );
        assert!(after == before, "bytes were changed, read_only {read_only}");
    }
    assert!(
        errors
            .iter()
            .all(|error| error.to_string().contains(&path.display().to_string())),
        "{errors:?}"
    );
    errors.remove(0)
}

#[test]
fn a_database_of_another_application_is_refused() {
    let dir = tempdir().unwrap();
    for (name, pragma) in [
        ("plain.db", "application_id = 0"),
        ("marked.db", "application_id = 252006674"),
        ("log.db", "journal_mode = wal"),
    ] {
        let path = dir.path().join(name);
        let other = Connection::open(&path).unwrap();
        other
            .execute_batch(&format!(
                "PRAGMA {pragma}; CREATE TABLE memram (id INTEGER); INSERT INTO memram VALUES (7)"
            ))
            .unwrap();
        drop(other);
        let error = refused_untouched(&path);
        assert!(matches!(error, Error::NotAHeap { .. }), "{name}: {error}");
    }
}

#[test]
fn a_database_that_another_application_has_open_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (7)")
        .unwrap();
    assert!(files_in(dir.path()).contains_key("other.db-wal"));
    let before = files_in(dir.path());
    assert!(matches!(quick().open(&path), Err(Error::NotAHeap { .. })));
    let after = files_in(dir.path());
    assert!(after["other.db"] == before["other.db"] && after["other.db-wal"] == before["other.db-wal"]);
    assert_eq!(number(&other, "SELECT a FROM t"), 7);
}

#[test]
fn a_log_that_a_crash_of_another_application_left_is_not_touched() {
    let dir = tempdir().unwrap();
    let crashed = dir.path().join("crashed");
    fs::create_dir(&crashed).unwrap();
    let other = Connection::open(dir.path().join("other.db")).unwrap();
    other
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (7)")
        .unwrap();
    for file in ["other.db", "other.db-wal"] {
        fs::copy(dir.path().join(file), crashed.join(file)).unwrap();
    }
    let error = refused_untouched(&crashed.join("other.db"));
    assert!(matches!(error, Error::NotAHeap { .. }), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = tempdir().unwrap();
    for (name, bytes) in [
        ("note.txt", &b"just a note\n"[..]),
        ("byte", b"x"),
        ("cut.db", b"SQLite format 3\0"),
        ("zeros", &[0; 4096]),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = refused_untouched(&path);
        assert!(matches!(error, Error::NotAHeap { .. }), "{name}: {error}");
    }
}

#[test]
fn a_directory_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("directory");
    fs::create_dir(&path).unwrap();
    refused_untouched(&path);
}

#[test]
fn a_file_in_a_directory_that_is_not_there_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("missing").join("heap.db");
    let error = quick().open(&path).unwrap_err();
    assert!(error.to_string().contains("heap.db"), "{error}");
    assert_eq!(files_in(dir.path()).len(), 0);
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let known = {
        let memory = MemManager::open(&path).unwrap();
        number(&sql(memory.path()), "PRAGMA user_version")
    };
    sql(&path).pragma_update(None, "user_version", 99).unwrap();
    let error = refused_untouched(&path);
    assert!(
        matches!(error, Error::TooNew { found: 99, known: newest, .. } if newest == known),
        "{error}"
    );
}

#[test]
fn a_heap_that_was_cut_short_is_refused_with_an_error() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    drop(MemManager::open(&path).unwrap());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    let result = MemManager::open(&path).and_then(|memory| memory.check().map(|found| found.len()));
    assert!(!matches!(result, Ok(0)), "damage goes unnoticed");
}
