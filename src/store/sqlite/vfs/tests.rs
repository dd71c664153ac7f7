mod bound;

use std::collections::BTreeMap;
use std::path::Path;

use diesel::result::QueryResult;
use proptest::prelude::*;
use rusqlite::Connection;

use super::held::{Held, ends_commit};
use super::log::with_held;
use super::{GatheredLog, file_system};
use crate::store::sqlite::connect::file_url;
use crate::store::sqlite::sidecar::sidecar;

/// A step of a transaction on a table of keys and contents.
#[derive(Debug, Clone)]
enum Step {
    Put(i64, Vec<u8>),
    Remove(i64),
    /// Written, then rolled back to a savepoint.
    Undone(i64, Vec<u8>),
}

type Rows = BTreeMap<i64, Vec<u8>>;

fn content() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), prop_oneof![0..300_usize, 0..200_000_usize]).prop_map(|(byte, size)| vec![byte; size])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..20_i64, content()).prop_map(|(key, content)| Step::Put(key, content)),
        1 => (0..20_i64).prop_map(Step::Remove),
        1 => (0..20_i64, content()).prop_map(|(key, content)| Step::Undone(key, content)),
    ]
}

/// Transactions and whether each is committed.
fn transactions() -> impl Strategy<Value = Vec<(Vec<Step>, bool)>> {
    prop::collection::vec((prop::collection::vec(step(), 1..6), prop::bool::weighted(0.8)), 1..8)
}

/// A database in our VFS, with a table of rows.
fn make(path: &Path, page_size: i32) -> Connection {
    make_with(path, page_size, file_system().unwrap())
}

fn make_with(path: &Path, page_size: i32, system: &str) -> Connection {
    let url = format!("{}?vfs={}", file_url(path).unwrap(), system.replace(' ', "%20"));
    let conn = Connection::open(url).unwrap();
    // With a cache of ten pages, most pages are written to the log before the commit.
    conn.execute_batch(&format!(
        "PRAGMA page_size = {page_size}; PRAGMA journal_mode = WAL; PRAGMA cache_size = 10;
         PRAGMA wal_autocheckpoint = 100; CREATE TABLE rows (key INTEGER PRIMARY KEY, content BLOB)"
    ))
    .unwrap();
    conn
}

fn put(conn: &Connection, key: i64, content: &[u8]) -> rusqlite::Result<()> {
    conn.execute("INSERT OR REPLACE INTO rows VALUES (?, ?)", (key, content))
        .map(drop)
}

fn run(conn: &Connection, rows: &mut Rows, step: &Step) -> rusqlite::Result<()> {
    match step {
        Step::Put(key, content) => {
            put(conn, *key, content)?;
            rows.insert(*key, content.clone());
        }
        Step::Remove(key) => {
            conn.execute("DELETE FROM rows WHERE key = ?", [key])?;
            rows.remove(key);
        }
        Step::Undone(key, content) => {
            conn.execute_batch("SAVEPOINT undone")?;
            put(conn, *key, content)?;
            conn.execute_batch("ROLLBACK TO undone; RELEASE undone")?;
        }
    }
    Ok(())
}

fn commit(conn: &Connection) -> QueryResult<()> {
    conn.execute_batch("COMMIT").unwrap();
    Ok(())
}

fn length_of_log(path: &Path) -> u64 {
    std::fs::metadata(sidecar(path, "-wal")).unwrap().len()
}

/// The rows found in a copy of the current files with SQLite's own VFS.
fn found_in_copy(path: &Path) -> Rows {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.db");
    std::fs::copy(path, &copy).unwrap();
    std::fs::copy(sidecar(path, "-wal"), sidecar(&copy, "-wal")).unwrap();
    let conn = Connection::open(copy).unwrap();
    let message: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(message, "ok");
    let mut select = conn.prepare("SELECT key, content FROM rows").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// When a commit returns, it is in the files, whatever the page size, and however much of the
    /// transaction was already in the log or was rolled back.
    #[test]
    fn committed_rows_are_in_the_files(
        page_size in prop::sample::select(vec![512, 4096, 65536]),
        transactions in transactions(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        let conn = make(&path, page_size);
        let mut log = GatheredLog::new(u64::MAX);
        let mut rows = Rows::new();
        for (steps, commits) in &transactions {
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut after = rows.clone();
            for step in steps {
                run(&conn, &mut after, step).unwrap();
            }
            if *commits {
                log.commit(|| commit(&conn)).unwrap();
                rows = after;
            } else {
                conn.execute_batch("ROLLBACK").unwrap();
            }
            prop_assert!(log.buffer.is_empty());
            prop_assert!(log.length <= length_of_log(&path));
            prop_assert_eq!(&found_in_copy(&path), &rows);
        }
    }
}

#[test]
fn the_pages_of_a_commit_are_gathered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.db");
    let conn = make(&path, 4096);
    conn.execute_batch("PRAGMA cache_size = 100; PRAGMA synchronous = NORMAL; BEGIN")
        .unwrap();
    put(&conn, 1, &[7; 40_000]).unwrap();
    let mut log = GatheredLog::new(u64::MAX);
    log.commit(|| commit(&conn)).unwrap();
    let gathered = log.buffer.capacity();
    assert!(gathered >= 40_000, "{gathered} bytes were gathered");
    ends_with(&path, &log);
}

/// Checks that the log has its last page where it should, followed only by zeros.
fn ends_with(path: &Path, log: &GatheredLog) {
    let bytes = std::fs::read(sidecar(path, "-wal")).unwrap();
    let (header, rest) = bytes[log.length as usize..].split_at(24);
    assert!(ends_commit(header));
    assert!(rest[4096..].iter().all(|byte| *byte == 0));
}

/// Bytes added to the log by each of some commits of a page or two.
fn growth(synchronous: &str) -> Vec<u64> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.db");
    let conn = make(&path, 4096);
    conn.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))
        .unwrap();
    let mut log = GatheredLog::new(u64::MAX);
    let mut before = length_of_log(&path);
    let mut added = Vec::new();
    for key in 0..60 {
        conn.execute_batch("BEGIN").unwrap();
        put(&conn, key, &[7; 100]).unwrap();
        log.commit(|| commit(&conn)).unwrap();
        let after = length_of_log(&path);
        added.push(after - before);
        before = after;
    }
    ends_with(&path, &log);
    added
}

#[test]
fn a_log_grows_in_steps() {
    for synchronous in ["FULL", "NORMAL"] {
        let added = growth(synchronous);
        let grown = added.iter().filter(|bytes| **bytes > 0).count();
        assert!((1..10).contains(&grown), "{added:?}");
    }
}

#[test]
fn a_large_commit_gets_no_extra_room() {
    // With a cache of ten pages, little of it is left for the COMMIT itself.
    for cache in [10, 1000] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        let conn = make(&path, 4096);
        conn.execute_batch(&format!("PRAGMA cache_size = {cache}; BEGIN"))
            .unwrap();
        for key in 0..20 {
            put(&conn, key, &[7; 50_000]).unwrap();
        }
        let mut log = GatheredLog::new(u64::MAX);
        log.commit(|| commit(&conn)).unwrap();
        assert_eq!(log.length, length_of_log(&path) - 24 - 4096, "cache of {cache} pages");
    }
}

#[test]
fn nothing_of_an_earlier_log_follows_a_commit_that_reaches_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.db");
    let conn = make(&path, 4096);
    let mut log = GatheredLog::new(500_000);
    for (size, is_cut) in [(900_000, true), (100_000, false), (600_000, true)] {
        conn.execute_batch("BEGIN").unwrap();
        put(&conn, 1, &vec![7; size]).unwrap();
        log.commit(|| commit(&conn)).unwrap();
        assert_eq!(log.length + 24 + 4096 == length_of_log(&path), is_cut, "{size} bytes");
        let busy: i64 = conn
            .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))
            .unwrap();
        assert_eq!(busy, 0);
    }
    assert_eq!(found_in_copy(&path), [(1, vec![7; 600_000])].into());
}

#[test]
fn a_database_does_not_grow_beyond_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.db");
    let conn = make(&path, 4096);
    for key in 0..20 {
        put(&conn, key, &vec![7; 60_000]).unwrap();
        conn.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
        let pages: u32 = conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), u64::from(pages) * 4096);
    }
    assert_eq!(
        found_in_copy(&path),
        (0..20).map(|key| (key, vec![7; 60_000])).collect()
    );
}

#[test]
fn nothing_is_held_back_after_a_panic() {
    let mut log = GatheredLog::new(u64::MAX);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        log.commit::<()>(|| panic!("in a commit"))
    }));
    assert!(panicked.is_err());
    assert_eq!(with_held(|held: &mut Held| held.bytes.len()), None);
}

#[test]
fn the_frame_header_of_the_last_page_ends_a_commit() {
    let mut header = [9; 24];
    assert!(ends_commit(&header));
    header[4..8].fill(0);
    assert!(!ends_commit(&header));
    assert!(!ends_commit(&[9; 4096]));
}
