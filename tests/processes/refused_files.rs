//! A file that is not a heap of this version is refused with a reason, and not a byte changes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Sql, assert_balanced, content, files_in, files_only, number, options, quick, sql};
use heapledger::{CheckOptions, Error, Hold, MemManager};
use rusqlite::Connection;
use tempfile::tempdir;

/// Checks that opening `path` is refused and changes no byte of its directory.
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
    files_only!(File);
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
    files_only!(File);
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
    assert_eq!(number(&Sql::File(other), "SELECT a FROM t"), 7);
}

#[test]
fn a_log_left_by_a_crash_of_another_application_is_not_touched() {
    files_only!(File);
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
fn a_file_that_is_not_a_database_is_refused() {
    files_only!(File);
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
    files_only!(File);
    let dir = tempdir().unwrap();
    let path = dir.path().join("directory");
    fs::create_dir(&path).unwrap();
    refused_untouched(&path);
}

#[test]
fn a_file_in_a_missing_directory_is_refused() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let path = dir.path().join("missing").join("heap.db");
    let error = quick().open(&path).unwrap_err();
    assert!(error.to_string().contains("heap.db"), "{error}");
    assert_eq!(files_in(dir.path()).len(), 0);
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let known = {
        let memory = options().open(&path).unwrap();
        number(&sql(memory.path()), "PRAGMA user_version")
    };
    sql(&path).file().pragma_update(None, "user_version", 199).unwrap();
    let error = refused_untouched(&path);
    assert!(
        matches!(error, Error::TooNew { found: 199, known: newest, .. } if newest == known),
        "{error}"
    );
}

#[test]
fn a_file_of_a_development_version_is_refused_with_the_way_to_migrate_it() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    drop(MemManager::open(&path).unwrap());
    for format in [0, 1, 5, 100] {
        sql(&path).file().pragma_update(None, "user_version", format).unwrap();
        let error = refused_untouched(&path);
        assert!(
            matches!(error, Error::TooOld { found, .. } if found == format),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains("export") && text.contains("import"), "{text}");
        for refused in [
            MemManager::options().check_schema(&path).map(drop),
            MemManager::options().restore_schema(&path).map(drop),
        ] {
            assert!(matches!(refused, Err(Error::TooOld { .. })), "{refused:?}");
        }
    }
}

#[test]
fn a_truncated_heap_is_refused_with_an_error() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    drop(options().open(&path).unwrap());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    let result = options()
        .open(&path)
        .and_then(|memory| memory.check().map(|found| found.len()));
    assert!(!matches!(result, Ok(0)), "damage goes unnoticed");
}

/// Copies the heap file and its log as a killed writer would leave them.
fn killed(memory: &MemManager, to: &Path) -> PathBuf {
    let heap = to.join("heap.db");
    for suffix in ["", "-wal"] {
        let side_file = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(side_file(memory.path()), side_file(&heap)).unwrap();
    }
    heap
}

#[test]
fn a_copy_next_to_the_log_of_another_file_is_refused_untouched() {
    files_only!(File);
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("killed")).unwrap();
    let memory = quick().open(at("heap.db")).unwrap();
    let old = memory.store_bytes(&content(1, 20_000), Hold::Name("state")).unwrap().id;
    memory.backup(at("backup.db")).unwrap();
    drop(memory);
    fs::copy(at("heap.db"), at("copied.db")).unwrap();
    options().open(at("heap.db")).unwrap().allocate("in between").unwrap();
    let memory = quick().open(at("heap.db")).unwrap();
    memory.store_bytes(&content(2, 60_000), Hold::Name("state")).unwrap();
    let heap = killed(&memory, &at("killed"));
    let other = quick().open(at("other.db")).unwrap();
    other.allocate("of another heap").unwrap();
    drop(other);
    for copy in ["backup.db", "copied.db", "other.db"] {
        fs::copy(at(copy), &heap).unwrap();
        let before = files_in(&at("killed"));
        for read_only in [true, false] {
            let refused = quick().read_only(read_only).open(&heap).unwrap_err();
            assert!(matches!(refused, Error::ForeignLog { .. }), "{copy}: {refused}");
            let text = refused.to_string();
            assert!(text.contains("delete") && text.contains("put the file back"), "{text}");
            assert_eq!(files_in(&at("killed")), before, "{copy}");
        }
    }
    fs::remove_file(&heap).unwrap();
    let refused = quick().open(&heap).unwrap_err();
    assert!(matches!(refused, Error::ForeignLog { .. }), "{refused}");
    assert!(!heap.exists());
    // Both remedies: put back the file that the log belongs to, or delete the log.
    let heap = killed(&memory, &at("killed"));
    assert_balanced(&quick().open(&heap).unwrap());
    let heap = killed(&memory, &at("killed"));
    fs::copy(at("backup.db"), &heap).unwrap();
    fs::remove_file(at("killed").join("heap.db-wal")).unwrap();
    let restored = quick().open(&heap).unwrap();
    assert_balanced(&restored);
    assert_eq!(restored.resolve("state").unwrap(), Some(old));
}

#[test]
fn a_backup_can_replace_a_heap_that_nobody_uses() {
    files_only!(File);
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let memory = quick().open(at("heap.db")).unwrap();
    let old = memory.store_bytes(&content(1, 20_000), Hold::Name("state")).unwrap().id;
    memory.backup(at("backup.db")).unwrap();
    memory.store_bytes(&content(2, 60_000), Hold::Name("state")).unwrap();
    let in_use = MemManager::restore(at("heap.db"), at("backup.db")).unwrap_err();
    assert!(matches!(in_use, Error::InUse { .. }), "{in_use}");
    assert_balanced(&memory);
    fs::create_dir(at("killed")).unwrap();
    let heap = killed(&memory, &at("killed"));
    drop(memory);
    let reader = quick().read_only(true).open(at("heap.db")).unwrap();
    let in_use = MemManager::restore(at("heap.db"), at("backup.db")).unwrap_err();
    assert!(matches!(in_use, Error::InUse { .. }), "{in_use}");
    drop(reader);
    for path in [heap, at("heap.db"), at("new.db")] {
        MemManager::restore(&path, at("backup.db")).unwrap();
        let restored = quick().open(&path).unwrap();
        assert_balanced(&restored);
        assert_eq!(restored.resolve("state").unwrap(), Some(old));
    }
    assert!(MemManager::restore(at("heap.db"), at("heap.db")).is_err());
    let missing = MemManager::restore(at("heap.db"), at("nothing.db")).unwrap_err();
    assert!(matches!(missing, Error::NoFile { .. }), "{missing}");
    fs::write(at("text.db"), "some text").unwrap();
    assert!(MemManager::restore(at("text.db"), at("backup.db")).is_err());
    assert_eq!(fs::read(at("text.db")).unwrap(), b"some text");
}

/// Whenever a writer is killed, its own log is never mistaken for that of another file.
#[test]
fn the_files_of_a_killed_writer_open_whenever_it_was_killed() {
    files_only!(File);
    for seed in 0..crate::common::cases(3).cases.into() {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempdir().unwrap();
        let path = folder.path().join("heap.db");
        let mut managers = vec![quick().max_mem(256 << 20).open(&path).unwrap()];
        for step in 0..30 {
            let memory = &managers[random.usize(..managers.len())];
            match random.u32(..12) {
                0..4 => drop(
                    memory
                        .allocate_bytes(&content(random.u64(..), random.u64(..200_000)))
                        .unwrap(),
                ),
                4 => drop(memory.allocate(&step).unwrap()),
                5 => drop(memory.allocate_bytes(&content(step, 9 << 20)).unwrap()),
                6 => {
                    let last = memory.objects().last().map(Result::unwrap);
                    if let Some(object) = last {
                        memory.free(&object.id).unwrap();
                    }
                }
                7 => drop(memory.collect_garbage().unwrap()),
                8 => managers.push(quick().open(&path).unwrap()),
                9 if managers.len() > 1 => drop(managers.swap_remove(0)),
                10 => sql(&path)
                    .execute(["PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(RESTART)"][step as usize % 2]),
                11 => sql(&path).execute("CREATE TABLE IF NOT EXISTS mine (x); INSERT INTO mine VALUES (1)"),
                _ => {}
            }
            let left = tempdir().unwrap();
            let heap = killed(&managers[0], left.path());
            let opened = quick()
                .open(&heap)
                .unwrap_or_else(|error| panic!("{seed} {step}: {error}"));
            let check = CheckOptions::default().quick(true);
            assert_eq!(
                opened.check_with(check, &mut |_, _, _| {}).unwrap(),
                [],
                "{seed} {step}"
            );
        }
    }
}

/// A collection empties the log. The next log must still identify its file, however short it is.
#[test]
fn the_log_after_a_collection_is_recognised_too() {
    files_only!(File);
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("killed")).unwrap();
    let memory = quick().open(at("heap.db")).unwrap();
    let id = memory.allocate("it").unwrap();
    memory.collect_garbage().unwrap();
    memory.bind("name", &id).unwrap();
    let heap = killed(&memory, &at("killed"));
    let other = quick().open(at("other.db")).unwrap();
    other.allocate("of another heap").unwrap();
    drop(other);
    fs::copy(at("other.db"), &heap).unwrap();
    let refused = quick().open(&heap).unwrap_err();
    assert!(matches!(refused, Error::ForeignLog { .. }), "{refused}");
}
