//! Code planted in the schema must not run.

use std::path::Path;

use crate::common::{files_only, number, quick, sql};
use crate::harness::say;
use crate::survey::survey;
use crate::{bounded, is_bounded, specimen};
use heapledger::{Error, Hold};

const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";

/// The planted statements by name.
fn plants() -> Vec<(&'static str, String)> {
    let bomb = |view: &str, columns: &str| {
        format!("DROP VIEW {view}; CREATE VIEW {view} AS {ENDLESS} SELECT {columns} FROM n")
    };
    vec![
        ("endless violations", bomb("violations", "'I1' AS invariant, 'blocks' AS \"table\", i AS id, 'x' AS expected, 'y' AS found")),
        ("endless trial_balance", bomb("trial_balance", "'main' AS space, i AS line, 'payload' AS bucket, i AS bytes")),
        ("endless objects", bomb(
            "objects",
            "i AS id, 'a' AS object_id, 'main' AS space, 'b' AS names, 'str' AS kind, NULL AS type_name, 1 AS size, \
             1 AS pieces, 1 AS held, '' AS created, '' AS value",
        )),
        ("violations that are always empty", "DROP VIEW violations; CREATE VIEW violations AS SELECT 'I1' AS invariant, \
             'blocks' AS \"table\", 1 AS id, 'x' AS expected, 'y' AS found WHERE 0".into()),
        ("a trigger that forgets names", "CREATE TRIGGER forget AFTER INSERT ON ledger BEGIN DELETE FROM names; END".into()),
        ("a trigger named as Diesel's table", "CREATE TRIGGER __diesel_schema_migrations AFTER INSERT ON ledger BEGIN DELETE FROM names; END".into()),
        ("a trigger named as a table that comes after it", "CREATE TRIGGER names AFTER INSERT ON ledger BEGIN DELETE FROM names; END; \
             PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rowid = rowid + 1000 WHERE tbl_name = 'names'".into()),
        ("a trigger that says it is on another table", "CREATE TABLE notes (note TEXT); \
             CREATE TRIGGER forget AFTER INSERT ON ledger BEGIN DELETE FROM names; END; \
             PRAGMA writable_schema = ON; UPDATE sqlite_schema SET tbl_name = 'notes' WHERE name = 'forget'".into()),
        ("a trigger that never ends", format!(
            "CREATE TRIGGER endless AFTER INSERT ON stored_objects BEGIN \
             UPDATE memram SET created_at = (SELECT max(i) FROM (SELECT n.i FROM ({ENDLESS} SELECT i FROM n) n)); END"
        )),
        ("a trigger that fills memory", "CREATE TRIGGER fat AFTER UPDATE ON memram BEGIN \
             UPDATE memram SET name = hex(zeroblob(400000000)) WHERE id = new.id AND 0 < length(hex(zeroblob(400000000))); END".into()),
        ("an index that computes", "CREATE INDEX heavy ON stored_objects (hex(zeroblob(300000000))) WHERE size > 1000000000".into()),
        ("a table without its rules", "PRAGMA writable_schema = ON; \
             UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (allocated_mem > 0)', '') WHERE name = 'ledger'".into()),
        ("a table that is a view", "PRAGMA foreign_keys = OFF; DROP TABLE names; \
             CREATE VIEW names AS SELECT 1 AS memram_id, 'a' AS name, 1 AS stored_object_id, 0 AS bound_at".into()),
        ("a schema that is no SQL", "PRAGMA writable_schema = ON; \
             UPDATE sqlite_schema SET sql = 'CREATE TABLE ledger (what is this' WHERE name = 'ledger'".into()),
    ]
}

fn plant(path: &Path, statements: &str) {
    sql(path).execute(statements);
}

#[test]
fn code_planted_in_the_schema_does_not_run() {
    files_only!(Hostile);
    bounded("planted::files");
}

#[test]
#[ignore = "the child process"]
fn files() {
    if !is_bounded() {
        return;
    }
    for (what, statements) in plants() {
        let (_dir, path) = specimen();
        plant(&path, &statements);
        say(&format!("look {what}"));
        for read_only in [true, false] {
            let error = quick().read_only(read_only).open(&path).map(drop).expect_err(what);
            assert!(
                matches!(error, Error::AlteredSchema { .. } | Error::Damaged { .. }),
                "{what}: {error:?}"
            );
            assert!(!error.to_string().contains(char::is_control), "{what}: {error}");
        }
        assert!(!survey(&path));
    }
}

/// People may have their own tables and views in the file.
#[test]
fn other_tables_and_views_in_the_file_are_allowed() {
    files_only!(Hostile);
    let (_dir, path) = specimen();
    plant(
        &path,
        "CREATE TABLE notes (about TEXT, note TEXT); INSERT INTO notes VALUES ('name 1', 'mine'); \
         CREATE INDEX notes_about ON notes (about); CREATE VIEW large AS SELECT * FROM objects WHERE size > 1000; \
         CREATE TRIGGER noted AFTER INSERT ON notes BEGIN UPDATE notes SET note = note || '!'; END",
    );
    let memory = quick().open(&path).unwrap();
    memory.store("and on", Hold::Name("on")).unwrap();
    crate::common::assert_balanced(&memory);
    assert_eq!(number(&sql(&path), "SELECT count(*) FROM large"), 3);
}
