//! SQL from other tools: reading is allowed, and writes that bypass the triggers are refused.

use std::path::Path;
use std::process::Command;

use crate::common::{Heap, Sql, assert_balanced, content, files_only, number, texts};
use heapledger::{CheckNote, Error, History, Hold};
use rusqlite::Connection;

/// As any other tool connects, with the guards.
fn other_tool(path: &Path) -> Sql {
    Sql::File(Connection::open(path).unwrap())
}

fn heap() -> Heap {
    let heap = Heap::new();
    heap.store_bytes(&content(1, 1500), Hold::Name("it")).unwrap();
    heap.allocate("text").unwrap();
    heap
}

#[test]
fn writes_by_another_tool_are_refused() {
    files_only!(Guards);
    let heap = heap();
    let other = other_tool(heap.address());
    for statement in [
        "UPDATE memram SET max_mem = max_mem * 2",
        "UPDATE ledger SET data = zeroblob(allocated_mem)",
        "UPDATE stored_objects SET held = 1",
        "UPDATE names SET name = 'other'",
        "UPDATE pools SET mem = 0",
        "UPDATE events SET at = 0",
        "DELETE FROM names",
        "INSERT INTO names (memram_id, name, stored_object_id, bound_at) VALUES (1, 'mine', 1, 0)",
        "DELETE FROM stored_objects WHERE held = 1",
        "DELETE FROM ledger",
        "DELETE FROM blocks",
        "DELETE FROM arenas",
        "DELETE FROM events",
        "INSERT INTO arenas (memram_id, max_mem) VALUES (1, 262144)",
        "INSERT INTO memram (name, max_mem, arena_size, per_block, created_at) VALUES ('x', 1, 1, 1, 0)",
        "REPLACE INTO sequences (memram_id, name, last_id) VALUES (1, 'blocks', 0)",
        "UPDATE blocks SET mem = mem - 1, is_free = 1 WHERE id = 1",
        "INSERT INTO blocks (memram_id, arena_id, pool_id, block_size, max_mem) VALUES (1, 1, 1, 512, 512)",
        "INSERT INTO ledger SELECT * FROM ledger",
        "INSERT INTO stored_objects (memram_id, object_id, kind, size, held, created_at) VALUES (1, 'a', 'bytes', 0, 1, 0)",
        "INSERT INTO events (memram_id, at, kind, bytes, mem) VALUES (1, 0, 'free', 5, 1499)",
    ] {
        let refused = other.try_execute(statement).unwrap_err();
        assert!(refused.contains("only_heapledger_may_write"), "{statement}: {refused}");
    }
    assert_balanced(&heap);
}

/// There is no foreign key for this, because it would need an additional index.
#[test]
fn an_object_with_entries_cannot_be_removed_even_past_the_guards() {
    files_only!(Guards);
    let heap = heap();
    let other = other_tool(heap.address());
    other
        .file()
        .create_collation("only_heapledger_may_write", str::cmp)
        .unwrap();
    let refused = other.try_execute("DELETE FROM stored_objects").unwrap_err();
    assert!(refused.contains("after its ledger entries"), "{refused}");
    assert_balanced(&heap);
}

/// A write that bypasses the guards leaves no event, and the history cannot be invented
/// afterwards.
#[test]
fn names_and_events_that_do_not_agree_are_found_and_explained() {
    files_only!(Schema);
    for statement in [
        "INSERT INTO names (memram_id, name, stored_object_id, bound_at) VALUES (1, 'mine', 1, (1 << 62))",
        "UPDATE names SET stored_object_id = 1 - stored_object_id + (SELECT max(id) FROM stored_objects)",
        "DELETE FROM names WHERE name = 'it'",
        "INSERT INTO events (memram_id, at, kind, object, name, bytes, mem) VALUES (1, 0, 'unbind', zeroblob(32), 'it', 0, 1504)",
        "INSERT INTO events (memram_id, at, kind, object, name, bytes, mem) VALUES (1, 0, 'bind', zeroblob(32), 'no', 0, 1504)",
        "INSERT INTO events (memram_id, at, kind, bytes, mem) VALUES (1, 0, 'free', 5, 1499)",
    ] {
        let heap = heap();
        let sql = heap.sql();
        sql.execute(statement);
        let found = "SELECT count(*) FROM violations WHERE invariant = 'I11'";
        assert!(number(&sql, found) > 0, "{statement}");
        let repaired = heap.repair().unwrap();
        assert!(repaired.left.is_empty(), "{statement}: {repaired:?}");
        assert_balanced(&heap);
        assert!(heap.repair().unwrap().corrections.is_empty(), "{statement}");
    }
}

#[test]
fn every_table_has_a_guard_for_each_kind_of_write() {
    files_only!(Guards);
    let heap = heap();
    let sql = heap.sql();
    let tables = texts(
        &sql,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 2) <> '__'",
    );
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables {
        for write in ["insert", "update", "delete"] {
            let name = format!("guard_{table}_{write}");
            let there = format!("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name = '{name}'");
            assert_eq!(number(&sql, &there), 1, "{name}");
        }
    }
}

/// Of somebody who has bypassed the guards.
#[test]
fn a_quick_check_finds_writes_by_others() {
    files_only!(Schema);
    for statement in [
        "UPDATE blocks SET mem = mem - 1, is_free = 1 WHERE id = 1",
        "INSERT INTO blocks (memram_id, arena_id, pool_id, block_size, max_mem) SELECT 1, arena_id, id, 512, 512 FROM pools LIMIT 1",
        "INSERT INTO ledger (id, stored_object_id, seq, arena_id, pool_id, block_id, allocated_mem, start, is_last, data)
         SELECT stored_object_id + 9, stored_object_id, 9, arena_id, pool_id, block_id, 1, 0, 1, x'00' FROM ledger WHERE id = 1",
        "INSERT INTO stored_objects (memram_id, object_id, kind, size, held, created_at)
         SELECT 1, replace(hex(zeroblob(32)), 'A', 'b'), 'bytes', 0, 1, 0",
    ] {
        let heap = heap();
        let sql = heap.sql();
        sql.execute(statement);
        assert!(number(&sql, "SELECT count(*) FROM violations") > 0, "{statement}");
    }
}

#[test]
fn reading_sqlites_own_checks_and_other_tables_are_allowed() {
    files_only!(Guards);
    let heap = heap();
    let other = other_tool(heap.address());
    for table in [
        "objects",
        "block_map",
        "usage",
        "trial_balance",
        "violations",
        "ledger",
        "names",
    ] {
        number(&other, &format!("SELECT count(*) FROM {table}"));
    }
    assert_eq!(texts(&other, "PRAGMA integrity_check"), ["ok"]);
    other.execute("CREATE TABLE mine (id INTEGER); INSERT INTO mine VALUES (1); VACUUM");
    assert_balanced(&heap);
}

#[test]
fn an_extra_plain_index_is_tolerated_and_a_dropped_one_is_recreated() {
    files_only!(Guards);
    let heap = heap();
    let path = heap.address().to_owned();
    let dir = heap.close();
    let other = other_tool(&path);
    other.execute("CREATE INDEX mine ON stored_objects (kind, size DESC); DROP INDEX ledger_by_block");
    let reader = crate::common::quick().read_only(true).open(&path).unwrap();
    assert_eq!(reader.objects().filter(Result::is_ok).count(), 2);
    drop(reader);
    assert_balanced(&crate::common::quick().open(&path).unwrap());
    let there = "SELECT count(*) FROM sqlite_schema WHERE name IN ('mine', 'ledger_by_block')";
    assert_eq!(number(&other, there), 2);
    for planted in [
        "CREATE INDEX planted ON stored_objects (lower(kind))",
        "CREATE INDEX planted ON stored_objects (kind) WHERE abs(size) > 0",
        "CREATE INDEX planted ON stored_objects (kind COLLATE nocase)",
        "CREATE UNIQUE INDEX planted ON stored_objects (created_at, id)",
        "CREATE TRIGGER planted AFTER INSERT ON ledger BEGIN SELECT 1; END",
    ] {
        other.execute(planted);
        assert!(crate::common::quick().open(&path).is_err(), "{planted}");
        let kind = if planted.contains("TRIGGER") {
            "TRIGGER"
        } else {
            "INDEX"
        };
        other.execute(&format!("DROP {kind} planted"));
    }
    drop(dir);
}

/// A view or trigger that somebody put into the file must not run, neither during a check
/// nor during a repair.
#[test]
fn dropped_or_altered_parts_of_the_schema_are_named_and_recreated() {
    files_only!(Schema);
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    for (statement, part) in [
        ("DROP VIEW violations".to_owned(), "the view \"violations\""),
        (
            format!("DROP VIEW violations; CREATE VIEW violations AS {endless} SELECT i AS invariant FROM n"),
            "the view \"violations\"",
        ),
        ("DROP VIEW objects; CREATE VIEW OBJECTS AS SELECT missing FROM nowhere".to_owned(), "the view \"objects\""),
        ("DROP TRIGGER guard_names_insert".to_owned(), "the trigger \"guard_names_insert\""),
        (
            "DROP TRIGGER guard_names_insert; CREATE TRIGGER guard_names_insert BEFORE INSERT ON names BEGIN DELETE FROM ledger; END"
                .to_owned(),
            "the trigger \"guard_names_insert\"",
        ),
        (
            "DROP INDEX ledger_by_block; CREATE INDEX ledger_by_block ON ledger (abs(block_id))".to_owned(),
            "the index \"ledger_by_block\"",
        ),
    ] {
        let heap = heap();
        let path = heap.address().to_owned();
        let dir = heap.close();
        let other = other_tool(&path);
        other.execute(&statement);
        for read_only in [true, false] {
            let refused = crate::common::quick().read_only(read_only).open(&path).unwrap_err();
            assert!(matches!(refused, Error::AlteredSchema { can_be_restored: true, .. }), "{statement}: {refused}");
            let text = refused.to_string();
            assert!(text.contains(part) && text.contains("Options::restore_schema"), "{text}");
        }
        let found = crate::common::quick().check_schema(&path).unwrap();
        assert_eq!(found.len(), 1, "{statement}: {found:?}");
        assert_eq!((found[0].invariant.name(), &*found[0].expected), ("schema", part));
        let (status, said) = heapledger(&path, &["check"]);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains(part) && said.contains("check --repair`"), "{said}");
        let (status, said) = heapledger(&path, &["ls"]);
        assert_eq!(status, 2, "{said}");
        assert!(said.contains(part) && said.contains("`heapledger check --repair` recreates what can be derived"), "{said}");
        let (status, said) = heapledger(&path, &["check", "--repair"]);
        assert_eq!(status, 0, "{said}");
        assert!(said.contains(part) && said.contains("1 correction"), "{said}");
        assert_balanced(&crate::common::quick().open(&path).unwrap());
        assert!(crate::common::quick().restore_schema(&path).unwrap().is_empty());
        drop(dir);
    }
}

#[test]
fn missing_and_extra_indexes_are_named_and_do_not_prevent_reading() {
    files_only!(Schema);
    let heap = heap();
    let path = heap.address().to_owned();
    let dir = heap.close();
    let other = other_tool(&path);
    other.execute("CREATE INDEX mine ON stored_objects (kind); DROP INDEX names_by_object; DROP INDEX ledger_by_block");
    let reader = crate::common::quick().read_only(true).open(&path).unwrap();
    assert_eq!(reader.objects().filter(Result::is_ok).count(), 2);
    let found: Vec<_> = reader.check().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["ledger_by_block", "names_by_object"]
            .map(|name| format!("schema sqlite_schema: expected the index {name:?}, found none"))
    );
    let extra = CheckNote::ExtraIndex {
        index: "mine".into(),
        table: "stored_objects".into(),
    };
    assert_eq!(reader.check_notes().unwrap(), [extra]);
    drop(reader);
    for command in [
        &["ls"][..],
        &["log"],
        &["tree"],
        &["sparse"],
        &["show", "it"],
        &["stats"],
    ] {
        assert_eq!(heapledger(&path, command).0, 0, "{command:?}");
    }
    let (status, said) = heapledger(&path, &["check"]);
    assert!(
        status == 1 && said.contains("\"names_by_object\"") && said.contains("\"mine\""),
        "{said}"
    );
    let (status, said) = heapledger(&path, &["check", "--repair"]);
    assert!(status == 0 && said.contains("2 corrections"), "{said}");
    let (status, said) = heapledger(&path, &["check"]);
    assert!(status == 0 && said.contains("note: the index \"mine\""), "{said}");
    assert_eq!(
        number(&other, "SELECT count(*) FROM sqlite_schema WHERE name = 'mine'"),
        1
    );
    drop(dir);
}

#[test]
fn a_schema_beyond_repair_is_refused_untouched_with_advice() {
    files_only!(Schema);
    for (statement, advice) in [
        (
            "CREATE TRIGGER planted AFTER INSERT ON ledger BEGIN DELETE FROM names; END; DROP VIEW log",
            "drop it with `DROP TRIGGER \"planted\"` in sqlite3",
        ),
        ("ALTER TABLE memram ADD COLUMN note TEXT", "go back to a backup"),
        ("DROP VIEW log; CREATE TABLE log (mine)", "rename or drop that"),
        (
            "CREATE INDEX odd ON names (lower(name))",
            "drop it with `DROP INDEX \"odd\"` in sqlite3",
        ),
    ] {
        let heap = heap();
        let path = heap.address().to_owned();
        let dir = heap.close();
        let other = other_tool(&path);
        other.execute(statement);
        let before = number(&other, "PRAGMA schema_version");
        let refused = crate::common::quick().open(&path).unwrap_err();
        assert!(refused.to_string().contains(advice), "{refused}");
        let refused = crate::common::quick().restore_schema(&path).unwrap_err();
        assert!(
            matches!(
                refused,
                Error::AlteredSchema {
                    can_be_restored: false,
                    ..
                }
            ),
            "{refused}"
        );
        assert_eq!(number(&other, "PRAGMA schema_version"), before);
        for command in [&["check"][..], &["check", "--repair"], &["ls"]] {
            let (status, said) = heapledger(&path, command);
            assert_eq!(status, 2, "{command:?}: {said}");
            assert!(said.contains(advice), "{command:?}: {said}");
        }
        drop(dir);
    }
}

#[test]
fn a_check_notes_that_rules_about_events_do_not_apply_without_a_history() {
    let heap = heap();
    heap.set_history(History::Off).unwrap();
    assert_eq!(
        heap.check_notes().unwrap(),
        [CheckNote::HistoryOff { space: "main".into() }]
    );
    let (status, said) = heapledger(heap.address(), &["check"]);
    assert!(
        status == 0 && said.contains("note: the history of space \"main\" is off"),
        "{said}"
    );
}

/// The exit status of a command, and all its output.
fn heapledger(path: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("heapledger"));
    let ran = command.arg("--db").arg(path).args(arguments).output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.code().unwrap(), String::from_utf8(said).unwrap())
}
