//! One migration creates the schema, and its `down.sql` removes it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Heap, files_only};
use rusqlite::Connection;

/// The migrations in order.
fn migrations() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    let folders = fs::read_dir(folder).unwrap();
    let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn run(sql: &Connection, migration: &Path, half: &str) {
    sql.execute_batch(&fs::read_to_string(migration.join(half)).unwrap())
        .unwrap();
}

/// The schema as text, sorted by kind and name, and the numbers in the header.
fn schema(sql: &Connection) -> Vec<String> {
    let mut rows = sql
        .prepare(
            "SELECT type || ' ' || name || ': ' || sql FROM sqlite_schema
             WHERE sql IS NOT NULL AND name <> '__diesel_schema_migrations'
             UNION ALL SELECT 'user_version ' || user_version FROM pragma_user_version
             UNION ALL SELECT 'application_id ' || application_id FROM pragma_application_id ORDER BY 1",
        )
        .unwrap();
    let rows = rows.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn the_migrations_create_the_schema_of_a_new_heap() {
    files_only!(Schema);
    let sql = Connection::open_in_memory().unwrap();
    for migration in migrations() {
        run(&sql, &migration, "up.sql");
    }
    assert_eq!(schema(&sql), schema(Heap::new().sql().file()));
}

#[test]
fn each_migration_reverts_to_the_schema_before_it() {
    let sql = Connection::open_in_memory().unwrap();
    for migration in migrations() {
        let before = schema(&sql);
        run(&sql, &migration, "up.sql");
        let after = schema(&sql);
        run(&sql, &migration, "down.sql");
        assert_eq!(schema(&sql), before, "{}", migration.display());
        run(&sql, &migration, "up.sql");
        assert_eq!(schema(&sql), after, "{}", migration.display());
    }
}

/// `down.sql` works in spite of the guards, and removes the rows as well.
#[test]
fn a_heap_in_use_can_be_taken_apart() {
    files_only!(Schema);
    let heap = Heap::new();
    heap.allocate("it").unwrap();
    let sql = Connection::open(heap.address()).unwrap();
    for migration in migrations().iter().rev() {
        run(&sql, migration, "down.sql");
    }
    assert_eq!(schema(&sql), ["application_id 0", "user_version 0"]);
}
