//! Opening: what is made, what is taken up again, and what is refused and left untouched.

#![cfg(test)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{KIB, MIB, assert_balanced, number, quick, sql, texts};
use heapledger::{Error, Geometry, MemManager, SizeClass};
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

fn directory() -> TempDir {
    tempdir().unwrap()
}

/// Every file under `dir` with its bytes.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: fs::DirEntry| {
        (
            entry.file_name().to_string_lossy().into_owned(),
            fs::read(entry.path()).unwrap_or_default(),
        )
    };
    fs::read_dir(dir).unwrap().map(|entry| read(entry.unwrap())).collect()
}

/// Opening `path` is refused, and no byte of its directory changes by it.
fn refused_untouched(path: &Path) -> Error {
    let dir = path.parent().unwrap();
    let before = contents(dir);
    let mut errors = Vec::new();
    for read_only in [false, true] {
        errors.push(quick().read_only(read_only).open(path).unwrap_err());
        let after = contents(dir);
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
fn a_new_heap_has_one_space_of_one_gibibyte_in_standard_geometry() {
    let dir = directory();
    let memory = MemManager::open(dir.path().join("heap.db")).unwrap();
    assert_eq!(memory.space(), "main");
    assert_eq!(memory.memram().unwrap().max_mem, 1 << 30);
    assert_eq!(memory.geometry(), &Geometry::standard());
    assert_eq!(memory.spaces().unwrap().len(), 1);
    assert_balanced(&memory);
}

#[test]
fn a_new_file_is_marked_logs_ahead_and_can_shrink() {
    let dir = directory();
    let memory = MemManager::open(dir.path().join("heap.db")).unwrap();
    let sql = sql(memory.path());
    assert_eq!(texts(&sql, "PRAGMA journal_mode"), ["wal"]);
    assert_eq!(number(&sql, "PRAGMA auto_vacuum"), 2, "incremental");
    assert_eq!(
        number(&sql, "PRAGMA application_id"),
        i64::from(u32::from_be_bytes(*b"hLdg"))
    );
    assert!(number(&sql, "PRAGMA user_version") >= 1);
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let dir = directory();
    let memory = MemManager::open(dir.path().join("heap.db")).unwrap();
    memory.allocate("secret").unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[cfg(unix)]
#[test]
fn the_permissions_of_a_file_that_is_there_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let dir = directory();
    let path = dir.path().join("heap.db");
    drop(MemManager::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    drop(MemManager::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn what_was_stored_is_there_after_reopening() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    let id = {
        let memory = quick()
            .max_mem(100_003)
            .geometry(Geometry::classic())
            .open(&path)
            .unwrap();
        let id = memory.allocate("it").unwrap();
        memory.bind("name", &id).unwrap();
        id
    };
    assert_eq!(contents(dir.path()).len(), 1, "a heap that is closed is one file");
    let memory = MemManager::open(&path).unwrap();
    assert_eq!(memory.resolve("name").unwrap(), Some(id));
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    assert_eq!(memory.geometry(), &Geometry::classic());
    assert_eq!(memory.memram().unwrap().max_mem, 100_003);
    assert_balanced(&memory);
}

#[test]
fn a_space_is_reopened_only_as_what_it_is() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    let options = quick().max_mem(MIB).geometry(Geometry::classic());
    drop(options.clone().open(&path).unwrap());
    drop(options.clone().open(&path).unwrap());
    drop(quick().max_mem(MIB).open(&path).unwrap());
    drop(quick().geometry(Geometry::classic()).open(&path).unwrap());
    let other_pieces = Geometry::new(256 * KIB, 5, Geometry::classic().classes().to_vec()).unwrap();
    for different in [
        quick().max_mem(MIB + 1),
        quick().geometry(Geometry::standard()),
        quick().geometry(Geometry::classic().with_arena_size(128 * KIB).unwrap()),
        quick().geometry(other_pieces),
        options.create_new_space(true),
    ] {
        let error = different.open(&path).unwrap_err();
        assert!(
            matches!(&error, Error::SpaceExists { space, .. } if space == "main"),
            "{error}"
        );
    }
    let memory = MemManager::open(&path).unwrap();
    assert_eq!(memory.memram().unwrap().max_mem, 1024 * 1024);
    assert_balanced(&memory);
}

#[test]
fn a_space_that_was_resized_is_reopened_with_its_new_size() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    let memory = quick().max_mem(MIB).open(&path).unwrap();
    memory.resize(2 * MIB).unwrap();
    drop(memory);
    assert!(matches!(
        quick().max_mem(MIB).open(&path),
        Err(Error::SpaceExists { .. })
    ));
    assert_eq!(
        quick().max_mem(2 * MIB).open(&path).unwrap().memram().unwrap().max_mem,
        2 * 1024 * 1024
    );
}

#[test]
fn a_file_holds_several_spaces_each_with_its_own_bound() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    let spaces = [
        ("main", 1000, Geometry::standard()),
        ("cache", 70_000, Geometry::classic()),
        ("żółć 🐢", 5, Geometry::standard()),
    ];
    let open = |(name, max_mem, geometry): &(&str, u64, Geometry)| {
        quick()
            .space(*name)
            .max_mem(*max_mem)
            .geometry(geometry.clone())
            .open(&path)
            .unwrap()
    };
    let opened: Vec<_> = spaces.iter().map(open).collect();
    for (memory, (name, max_mem, geometry)) in opened.iter().zip(&spaces) {
        assert_eq!((memory.space(), memory.geometry()), (*name, geometry));
        assert!(memory.allocate_bytes(&vec![1; *max_mem as usize + 1]).is_err());
        memory.allocate_bytes(&vec![1; *max_mem as usize]).unwrap();
    }
    let names: Vec<_> = opened[0]
        .spaces()
        .unwrap()
        .into_iter()
        .map(|space| space.name)
        .collect();
    assert_eq!(names, ["main", "cache", "żółć 🐢"]);
    for memory in &opened {
        assert_eq!(memory.objects().count(), 1);
        assert_balanced(memory);
    }
}

#[test]
fn an_impossible_size_is_refused_and_makes_no_file() {
    let dir = directory();
    for max_mem in [0, i64::MAX as u64 + 1, u64::MAX] {
        let error = quick().max_mem(max_mem).open(dir.path().join("heap.db")).unwrap_err();
        assert!(matches!(error, Error::BadMaxMem { .. }), "{error}");
    }
    assert_eq!(contents(dir.path()).len(), 0);
    quick()
        .max_mem(i64::MAX as u64)
        .open(dir.path().join("heap.db"))
        .unwrap();
}

#[test]
fn an_impossible_space_name_is_refused() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    assert!(quick().space("").open(&path).is_err());
    assert!(quick().space("s".repeat(256)).open(&path).is_err());
    quick().space("s".repeat(255)).open(&path).unwrap();
}

#[test]
fn reading_only_never_makes_a_file_or_a_space() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    let error = quick().read_only(true).open(&path).unwrap_err();
    assert!(
        matches!(&error, Error::NoFile { path: named } if *named == path),
        "{error}"
    );
    assert_eq!(contents(dir.path()).len(), 0);

    drop(MemManager::open(&path).unwrap());
    let before = contents(dir.path());
    let error = quick().read_only(true).space("other").open(&path).unwrap_err();
    assert!(
        matches!(&error, Error::UnknownSpace { known, .. } if *known == ["main"]),
        "{error}"
    );
    assert!(contents(dir.path()) == before);
}

#[test]
fn reading_only_reads_everything_and_writes_nothing() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    let writer = quick().max_mem(MIB).open(&path).unwrap();
    let id = writer.allocate("it").unwrap();
    writer.bind("name", &id).unwrap();
    let memory = quick().read_only(true).open(&path).unwrap();
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    assert_eq!(memory.resolve("name").unwrap(), Some(id));
    assert_eq!(memory.objects().count(), 1);
    memory.stats().unwrap();
    assert_balanced(&memory);

    let before = common::dump(&sql(&path));
    let refusals = [
        memory.allocate("more").err(),
        memory.allocate("it").err(),
        memory.allocate_bytes(b"more").err(),
        memory.allocate_from(&b"more"[..]).err(),
        memory.free(&id).err(),
        memory.force_free(&id).err(),
        memory.bind("other", &id).err(),
        memory.unbind("name").err(),
        memory.add_arena().err(),
        memory.collect_garbage().err(),
        memory.resize(2 * MIB).err(),
        memory.batch(|batch| batch.allocate("more")).err(),
    ];
    for (index, refusal) in refusals.into_iter().enumerate() {
        assert!(matches!(refusal, Some(Error::ReadOnly)), "call {index}: {refusal:?}");
    }
    assert_eq!(common::dump(&sql(&path)), before);
}

#[test]
fn a_heap_that_nobody_has_open_can_be_read_only() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    let id = MemManager::open(&path).unwrap().allocate("it").unwrap();
    let before = contents(dir.path());
    let memory = quick().read_only(true).open(&path).unwrap();
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    drop(memory);
    assert!(contents(dir.path())["heap.db"] == before["heap.db"]);
}

#[test]
fn a_database_of_another_application_is_refused() {
    let dir = directory();
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
    let dir = directory();
    let path = dir.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (7)")
        .unwrap();
    assert!(contents(dir.path()).contains_key("other.db-wal"));
    let before = contents(dir.path());
    assert!(matches!(quick().open(&path), Err(Error::NotAHeap { .. })));
    let after = contents(dir.path());
    assert!(after["other.db"] == before["other.db"] && after["other.db-wal"] == before["other.db-wal"]);
    assert_eq!(number(&other, "SELECT a FROM t"), 7);
}

#[test]
fn a_log_that_a_crash_of_another_application_left_is_not_touched() {
    let dir = directory();
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
    let dir = directory();
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
    let dir = directory();
    let path = dir.path().join("directory");
    fs::create_dir(&path).unwrap();
    refused_untouched(&path);
}

#[test]
fn a_file_in_a_directory_that_is_not_there_is_refused() {
    let dir = directory();
    let path = dir.path().join("missing").join("heap.db");
    let error = quick().open(&path).unwrap_err();
    assert!(error.to_string().contains("heap.db"), "{error}");
    assert_eq!(contents(dir.path()).len(), 0);
}

#[test]
fn an_empty_file_becomes_a_heap() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    fs::write(&path, b"").unwrap();
    let memory = MemManager::open(&path).unwrap();
    let id = memory.allocate("it").unwrap();
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    assert_eq!(number(&sql(&path), "PRAGMA auto_vacuum"), 2);
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let dir = directory();
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
    let dir = directory();
    let path = dir.path().join("heap.db");
    drop(MemManager::open(&path).unwrap());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    let result = MemManager::open(&path).and_then(|memory| memory.check().map(|found| found.len()));
    assert!(!matches!(result, Ok(0)), "damage goes unnoticed");
}

#[test]
fn a_path_is_a_path_whatever_it_is_spelled_like() {
    let dir = directory();
    let names = [
        "with space.db",
        "what?.db",
        "mode=memory?mode=memory",
        "a#b.db",
        "100%25.db",
        "żółć 🐢.db",
        "'quoted\".db",
        "-rf",
        "file:heap.db",
    ];
    for name in names {
        let path = dir.path().join(name);
        let id = MemManager::open(&path).unwrap().allocate(name).unwrap();
        assert!(path.is_file(), "{name}");
        let memory = quick().read_only(true).open(&path).unwrap();
        assert_eq!(memory.get::<String>(&id).unwrap(), name);
    }
    assert_eq!(contents(dir.path()).len(), names.len());
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_refused_or_used_as_it_is() {
    use std::os::unix::ffi::OsStrExt;
    let dir = directory();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"heap-\xff.db"));
    match MemManager::open(&path) {
        Ok(_) => assert!(path.is_file()),
        Err(error) => assert!(contents(dir.path()).is_empty() && !error.to_string().is_empty()),
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_a_heap_is_that_heap() {
    let dir = directory();
    let (path, link) = (dir.path().join("heap.db"), dir.path().join("link.db"));
    std::os::unix::fs::symlink("heap.db", &link).unwrap();
    let memory = MemManager::open(&path).unwrap();
    let linked = MemManager::open(&link).unwrap();
    let id = memory.allocate("it").unwrap();
    assert_eq!(linked.get::<String>(&id).unwrap(), "it");
    linked.free(&id).unwrap();
    assert!(!memory.contains(&id).unwrap());
}

#[test]
fn two_geometries_that_differ_in_a_class_are_different() {
    let dir = directory();
    let path = dir.path().join("heap.db");
    let ladder = |pool_size| {
        Geometry::new(
            64 * KIB,
            4,
            vec![SizeClass {
                block_size: 512,
                pool_size,
            }],
        )
        .unwrap()
    };
    drop(quick().geometry(ladder(4096)).open(&path).unwrap());
    assert!(matches!(
        quick().geometry(ladder(8192)).open(&path),
        Err(Error::SpaceExists { .. })
    ));
    assert_eq!(MemManager::open(&path).unwrap().geometry(), &ladder(4096));
}
