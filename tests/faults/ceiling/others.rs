//! Others that use the same file: readers, other spaces, other programs, repair, backups.

use std::time::Duration;

use heapledger::{Error, History, Hold, MemManager};
use tempfile::tempdir;

use super::watch::{Watch, total};
use crate::common::{KIB, MIB, assert_balanced, content, files_only, quick, sql};

/// Fills the file with objects of these sizes, and returns how many names it has given.
fn fill(memory: &MemManager, sizes: &[u64]) -> u64 {
    let mut count = 0;
    for &size in sizes {
        while memory
            .store_bytes(&content(count, size), Hold::Name(&count.to_string()))
            .is_ok()
        {
            count += 1;
        }
    }
    count
}

#[test]
fn a_reader_of_an_old_state_takes_no_more_than_the_ceiling_and_is_named() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let patience = Duration::from_millis(30);
    let memory = quick().max_file(2 * MIB).busy_timeout(patience).open(&path).unwrap();
    memory.set("first", &1).unwrap();
    let watch = Watch::new(&path);
    let snapshot = memory.snapshot().unwrap();
    let mut errors = Vec::new();
    for number in 0..200 {
        let stored = memory.store_bytes(&content(number, 9 * KIB), Hold::Name(&number.to_string()));
        errors.extend(stored.err());
    }
    assert!(!errors.is_empty());
    for error in errors {
        let is_full = matches!(error, Error::FileFull { .. });
        let is_held = matches!(&error, Error::LogHeld(held) if !held.holders.is_empty());
        assert!(is_full || is_held, "{error}");
    }
    assert_eq!(snapshot.stats().unwrap().objects, 1);
    drop(snapshot);
    memory.unbind("0").unwrap();
    memory.store_bytes(&content(1000, 9 * KIB), Hold::Name("last")).unwrap();
    assert_balanced(&memory);
    let most = watch.most();
    assert!(most <= 2 * MIB, "{most}");
}

#[test]
fn a_full_file_refuses_another_space_and_contents_from_elsewhere() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().max_file(MIB).open(&path).unwrap();
    memory.store_bytes(&content(1, 40 * KIB), Hold::Name("large")).unwrap();
    let folder = dir.path().join("exported");
    memory.export(&folder).unwrap();
    memory.unbind("large").unwrap();
    memory.collect_garbage().unwrap();
    fill(&memory, &[9000, 300, 1]);
    let before = memory.stats().unwrap();
    let watch = Watch::new(&path);
    let mut spaces = 1;
    // Some fit on pages that are there.
    let refused = loop {
        match quick().space(spaces.to_string()).open(&path) {
            Ok(_) => spaces += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::FileFull { .. }), "{refused}");
    let refused = memory.import(&folder).unwrap_err();
    assert!(matches!(refused, Error::FileFull { .. }), "{refused}");
    let after = memory.stats().unwrap();
    assert_eq!((after.mem, after.objects), (before.mem, before.objects));
    assert_eq!(memory.spaces().unwrap().len(), spaces);
    assert_balanced(&memory);
    assert!(watch.most() <= MIB);
}

#[test]
fn a_backup_of_a_full_file_is_restored_with_its_ceiling() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let [path, backup, other] = ["heap.db", "backup.db", "other.db"].map(|name| dir.path().join(name));
    let memory = quick().max_file(MIB).open(&path).unwrap();
    fill(&memory, &[9000, 300]);
    memory.backup(&backup).unwrap();
    assert!(total(&path) <= MIB);
    drop(memory);
    MemManager::restore(&path, &backup).unwrap();
    MemManager::restore(&other, &backup).unwrap();
    for path in [path, other] {
        let memory = quick().open(&path).unwrap();
        assert_eq!(memory.disk_use().unwrap().max_file, Some(MIB));
        assert!(matches!(
            memory.allocate_bytes(&content(7, 300 * KIB)),
            Err(Error::FileFull { .. })
        ));
        memory.unbind("0").unwrap();
        assert!(total(&path) <= MIB);
    }
}

#[test]
fn a_full_file_is_repaired_and_its_schema_restored() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().max_file(MIB).open(&path).unwrap();
    fill(&memory, &[9000, 300, 1]);
    drop(memory);
    let tool = sql(&path);
    tool.execute("UPDATE pools SET mem = mem - 1 WHERE id = 1; UPDATE memram SET mem = 7; DROP INDEX ledger_by_block; DROP VIEW kinds;");
    drop(tool);
    let watch = Watch::new(&path);
    assert!(!quick().restore_schema(&path).unwrap().is_empty());
    let memory = quick().open(&path).unwrap();
    let repaired = memory.repair().unwrap();
    assert!(
        !repaired.corrections.is_empty() && repaired.left.is_empty(),
        "{repaired:?}"
    );
    assert_eq!(memory.check().unwrap(), []);
    assert!(watch.most() <= MIB);
}

#[test]
fn what_would_be_freed_and_collected_in_a_full_file_can_be_planned() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().max_file(MIB).open(&path).unwrap();
    fill(&memory, &[9000, 300, 1]);
    let watch = Watch::new(&path);
    let id = memory.resolve("3").unwrap().unwrap();
    let plan = memory.plan_free(&[id]).unwrap();
    memory.force_free(&id).unwrap();
    let collected = memory.collect_garbage().unwrap();
    assert_eq!(collected.file_size, plan.collected.file_size);
    memory.set_history(History::Off).unwrap();
    assert!(watch.most() <= MIB);
}

/// Another program is not bound. If it has filled the file, freeing and collecting help.
#[test]
fn a_file_that_another_program_has_made_too_large_can_be_emptied() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().max_file(MIB).open(&path).unwrap();
    let count = fill(&memory, &[9000]);
    let tool = sql(&path);
    tool.execute("CREATE TABLE other AS SELECT zeroblob(600000) AS data");
    assert!(total(&path) > MIB);
    let refused = memory.allocate(&1).unwrap_err();
    assert!(matches!(refused, Error::FileFull { .. }), "{refused}");
    for number in 0..count {
        memory.unbind(&number.to_string()).unwrap();
    }
    memory.collect_garbage().unwrap();
    tool.execute("DROP TABLE other");
    drop(tool);
    memory.collect_garbage().unwrap();
    memory.allocate(&1).unwrap();
    assert!(total(&path) < MIB);
}

#[test]
fn what_is_promised_has_its_room_in_the_file() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().max_file(8 * MIB).open(&path).unwrap();
    let refused = memory.reserve(8 * MIB).make().map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::FileFull { .. }), "{refused}");
    assert!(memory.reservations().unwrap().is_empty());
    let small = memory.reserve(3000).key("small").make().unwrap();
    let large = memory.reserve(2 * MIB).key("large").make().unwrap();
    let watch = Watch::new(&path);
    fill(&memory, &[200 * KIB, 9000, 100]);
    let used = memory.stats().unwrap().mem;
    assert!(used > 3 * MIB, "{used}");
    large
        .post_bytes(&content(1 << 40, 2 * MIB), Hold::Name("large"))
        .unwrap();
    small.post_bytes(&content(1 << 41, 3000), Hold::Name("small")).unwrap();
    assert_balanced(&memory);
    assert!(watch.most() <= 8 * MIB);
}
