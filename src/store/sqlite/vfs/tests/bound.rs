//! A ceiling holds whatever SQLite writes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use rusqlite::{Connection, ErrorCode};

use super::{Rows, Step, found_in_copy, make_with, run, transactions};
use crate::error::Error;
use crate::store::sqlite::ceiling::{Ceiling, OnDisk, take_refusal};
use crate::store::sqlite::vfs::{GatheredLog, file_system, plain_file_system};

/// The lengths of the files at one moment: read until they are twice the same.
fn settled(ceiling: &Ceiling) -> OnDisk {
    let mut before = ceiling.on_disk();
    loop {
        let now = ceiling.on_disk();
        if now == before {
            return now;
        }
        before = now;
    }
}

/// Runs `work` while the sum of the files is watched, and returns the largest.
fn watched<R>(path: &Path, work: impl FnOnce() -> R) -> (R, u64) {
    let ceiling = Ceiling::of(path);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(settled(&ceiling).total());
            }
            most.max(settled(&ceiling).total())
        });
        let result = work();
        ended.store(true, Ordering::Relaxed);
        (result, watcher.join().unwrap())
    })
}

fn commit(conn: &Connection, log: &mut Option<GatheredLog>) -> Result<(), rusqlite::Error> {
    let Some(log) = log else {
        return conn.execute_batch("COMMIT");
    };
    let mut error = None;
    let done = log.commit(|| match conn.execute_batch("COMMIT") {
        Ok(()) => Ok(()),
        Err(refused) => {
            error = Some(refused);
            Err(diesel::result::Error::RollbackTransaction)
        }
    });
    error.map_or_else(
        || {
            done.unwrap();
            Ok(())
        },
        Err,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_grows_above_the_ceiling(
        page_size in prop::sample::select(vec![512, 4096, 65536]),
        gathered in any::<bool>(),
        // No lower ceiling is accepted: half of the reserve is for the log.
        room in 128 * 1024_u64..2_000_000,
        transactions in transactions(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        let system = if gathered { file_system() } else { plain_file_system() };
        let conn = make_with(&path, page_size, system.unwrap());
        let ceiling = Ceiling::of(&path);
        let max_file = ceiling.on_disk().total() + room;
        ceiling.set(Some(max_file));
        let mut log = gathered.then(|| GatheredLog::new(u64::MAX));
        let mut rows = Rows::new();
        let (result, most) = watched(&path, || {
            for (steps, commits) in &transactions {
                let refused = |error: &rusqlite::Error| {
                    let figures = take_refusal();
                    let said = matches!(figures, Some(Error::FileFull { needed, file, log, reserve, max_file: most })
                        if most == max_file && needed + file + log + reserve > most);
                    said && error.sqlite_error_code() == Some(ErrorCode::DiskFull)
                };
                conn.execute_batch("BEGIN IMMEDIATE").unwrap();
                let mut after = rows.clone();
                let done = steps.iter().try_for_each(|step| run(&conn, &mut after, step));
                let done = done.and_then(|()| if *commits { commit(&conn, &mut log) } else { conn.execute_batch("ROLLBACK") });
                match done {
                    Ok(()) if *commits => rows = after,
                    Ok(()) => {}
                    Err(error) => {
                        prop_assert!(refused(&error), "{error}");
                        if !conn.is_autocommit() {
                            conn.execute_batch("ROLLBACK").unwrap();
                        }
                    }
                }
                prop_assert_eq!(&found_in_copy(&path), &rows);
            }
            Ok(())
        });
        result?;
        prop_assert!(most <= max_file, "{most} of {max_file}");
    }
}

#[test]
fn a_log_that_begins_again_gives_its_length_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.db");
    let conn = make_with(&path, 4096, file_system().unwrap());
    let mut rows = Rows::new();
    run(&conn, &mut rows, &Step::Put(1, vec![7; 300_000])).unwrap();
    let ceiling = Ceiling::of(&path);
    conn.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
    let before = ceiling.on_disk();
    ceiling.set(Some(before.total() + 100_000));
    run(&conn, &mut rows, &Step::Put(2, vec![7; 190_000])).unwrap();
    conn.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
    let after = ceiling.on_disk();
    assert!(after.log < 200_000 && after.file > before.file + 180_000, "{after:?}");
    // Too large even with an empty log.
    assert!(run(&conn, &mut rows, &Step::Put(3, vec![7; 190_000])).is_err());
    assert!(matches!(take_refusal(), Some(Error::FileFull { .. })));
    assert!(take_refusal().is_none());
}
