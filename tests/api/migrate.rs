//! A file of an older schema is brought up to date when it is opened for writing, with
//! everything that is in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::quick;
use heapledger::{Error, MemManager, ObjectId};
use rusqlite::Connection;

const CONTENT: &[u8] = b"kept from the first version";

/// The migrations in order: folder name and SQL.
fn migrations() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(folder.join("up.sql")).unwrap())
    };
    folders.into_iter().map(read).collect()
}

/// A heap as the first `count` migrations make it, with one object in one block.
fn older(path: &Path, count: usize) -> ObjectId {
    let sql = Connection::open(path).unwrap();
    sql.execute_batch("PRAGMA auto_vacuum = INCREMENTAL").unwrap();
    sql.execute_batch(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL,
           run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    )
    .unwrap();
    let id = ObjectId::of_bytes(CONTENT);
    for (index, (name, up)) in migrations().into_iter().take(count).enumerate() {
        sql.execute_batch(&up).unwrap();
        let version = name.split('_').next().unwrap().replace('-', "");
        let insert = "INSERT INTO __diesel_schema_migrations (version) VALUES (?)";
        sql.execute(insert, [version]).unwrap();
        if index == 0 {
            store(&sql, &id);
        }
    }
    sql.pragma_update(None, "journal_mode", "wal").unwrap();
    id
}

/// What the first version wrote for a space of 4,096 bytes that holds `CONTENT`.
fn store(sql: &Connection, id: &ObjectId) {
    let size = CONTENT.len();
    sql.execute_batch(&format!(
        "INSERT INTO memram (id, name, max_mem, mem, reserved, arena_size, per_block, arenas, peak_mem, allocations, created_at)
           VALUES (1, 'main', 4096, {size}, 4096, 4096, 4, 1, {size}, 1, 0);
         INSERT INTO size_classes VALUES (1, 512, 4096, {size}, 512, 4096, 1, 1, 0, 0, 1);
         INSERT INTO other_kinds VALUES (1, 'str', 0, 0), (1, 'int', 0, 0), (1, 'float', 0, 0),
           (1, 'bool', 0, 0), (1, 'none', 0, 0), (1, 'json', 0, 0);
         INSERT INTO arenas VALUES (1, 1, 4096, {size}, 4096);
         INSERT INTO pools VALUES (1, 1, 1, 512, 4096, {size}, 512);
         INSERT INTO blocks VALUES (1, 1, 1, 1, 512, 512, {size}, 1);
         INSERT INTO stored_objects VALUES (1, 1, '{id}', 'bytes', NULL, {size}, 1, 0);
         INSERT INTO ledger VALUES (1, 1, 0, 1, 1, 1, {size}, 0, x'{}');",
        CONTENT.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    ))
    .unwrap();
}

#[test]
fn every_older_schema_is_migrated_with_all_that_is_in_it() {
    for count in 1..migrations().len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heap.db");
        let id = older(&path, count);
        let memory = quick().open(&path).unwrap();
        assert_eq!(memory.get_bytes(&id).unwrap(), CONTENT);
        assert_eq!(memory.check().unwrap(), []);
        // Its books go on from what was there.
        let next = memory.allocate_bytes(&[1; 600]).unwrap();
        memory.free(&id).unwrap();
        assert_eq!(memory.get_bytes(&next).unwrap(), [1; 600]);
        assert_eq!(memory.check().unwrap(), []);
    }
}

/// The schema as text, by kind and name.
fn schema(sql: &Connection) -> Vec<String> {
    let mut rows = sql
        .prepare("SELECT type || ' ' || name || ': ' || sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1")
        .unwrap();
    let rows = rows.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn each_migration_goes_back_to_the_schema_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let all = migrations();
    for (count, (name, _)) in all.iter().enumerate().skip(1) {
        let before = folder.path().join(format!("{count}.db"));
        let after = folder.path().join(format!("{count}-and-back.db"));
        older(&before, count);
        older(&after, count + 1);
        let (before, after) = (Connection::open(before).unwrap(), Connection::open(after).unwrap());
        after.create_collation("only_heapledger_may_write", str::cmp).unwrap();
        let down = format!("{}/migrations/sqlite/{name}/down.sql", env!("CARGO_MANIFEST_DIR"));
        after.execute_batch(&fs::read_to_string(down).unwrap()).unwrap();
        assert_eq!(schema(&after), schema(&before), "{name}");
    }
}

#[test]
fn an_older_schema_is_not_migrated_by_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heap.db");
    older(&path, 1);
    let before = fs::read(&path).unwrap();
    let refused = MemManager::options().read_only(true).open(&path).unwrap_err();
    assert!(matches!(refused, Error::NotAHeap { .. }), "{refused}");
    assert!(refused.to_string().contains("open it once for writing"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
}
