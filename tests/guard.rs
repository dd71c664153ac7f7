//! Other people's SQL: reading is free, and what would go past the triggers is refused.

#![cfg(test)]
// Helpers of tests fail as tests do; clippy.toml knows only what is marked #[test].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Heap, assert_balanced, content, number};
use heapledger::Hold;
use rusqlite::Connection;

fn heap() -> Heap {
    let heap = Heap::new();
    heap.store_bytes(&content(1, 1500), Hold::Name("it")).unwrap();
    heap.allocate("text").unwrap();
    heap
}

#[test]
fn a_statement_of_another_tool_that_changes_the_heap_is_refused() {
    let heap = heap();
    let other = Connection::open(heap.path()).unwrap();
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
        "REPLACE INTO sequences (name, last_id) VALUES ('blocks', 0)",
    ] {
        let refused = other.execute_batch(statement).unwrap_err().to_string();
        assert!(refused.contains("only_heapledger_may_write"), "{statement}: {refused}");
    }
    assert_balanced(&heap);
}

/// No foreign key says so: it would want an index, which says nothing else.
#[test]
fn an_object_is_removed_after_its_entries_even_by_who_passes_the_guards() {
    let heap = heap();
    let other = Connection::open(heap.path()).unwrap();
    other.create_collation("only_heapledger_may_write", str::cmp).unwrap();
    let refused = other.execute("DELETE FROM stored_objects", []).unwrap_err().to_string();
    assert!(refused.contains("after its ledger entries"), "{refused}");
    assert_balanced(&heap);
}

/// Whoever passes the guard has made no event; nobody can make up what the history says.
#[test]
fn names_and_events_that_do_not_agree_are_found_and_explained() {
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
        sql.execute_batch(statement).unwrap();
        let found = "SELECT count(*) FROM violations WHERE invariant = 'I11'";
        assert!(number(&sql, found) > 0, "{statement}");
        let repaired = heap.repair().unwrap();
        assert!(repaired.left.is_empty(), "{statement}: {repaired:?}");
        assert_balanced(&heap);
        assert!(heap.repair().unwrap().corrections.is_empty(), "{statement}");
    }
}

/// These are not guarded, because a guard would cost every allocation.
#[test]
fn what_others_can_write_shows_in_a_quick_check() {
    for statement in [
        "UPDATE blocks SET mem = mem - 1, is_free = 1 WHERE id = 1",
        "INSERT INTO blocks (memram_id, arena_id, pool_id, block_size, max_mem) SELECT 1, arena_id, id, 512, 512 FROM pools LIMIT 1",
        "INSERT INTO ledger (id, stored_object_id, seq, arena_id, pool_id, block_id, allocated_mem, rest, data)
         SELECT stored_object_id + 9, stored_object_id, 9, arena_id, pool_id, block_id, 1, 0, x'00' FROM ledger WHERE id = 1",
        "INSERT INTO stored_objects (memram_id, object_id, kind, size, held, created_at)
         SELECT 1, replace(hex(zeroblob(32)), 'A', 'b'), 'bytes', 0, 1, 0",
    ] {
        let heap = heap();
        Connection::open(heap.path()).unwrap().execute_batch(statement).unwrap();
        let sql = heap.sql();
        assert!(number(&sql, "SELECT count(*) FROM violations") > 0, "{statement}");
    }
}

#[test]
fn reading_and_sqlites_own_checks_and_other_tables_are_free() {
    let heap = heap();
    let other = Connection::open(heap.path()).unwrap();
    for table in [
        "objects",
        "block_map",
        "usage",
        "trial_balance",
        "violations",
        "ledger",
        "names",
    ] {
        other
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |_| Ok(()))
            .unwrap();
    }
    let ok: String = other.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(ok, "ok");
    other
        .execute_batch("CREATE TABLE mine (id INTEGER); INSERT INTO mine VALUES (1); VACUUM")
        .unwrap();
    assert_balanced(&heap);
}

#[test]
fn a_plain_index_is_tolerated_and_a_dropped_one_is_made_again() {
    let heap = heap();
    let path = heap.path().to_owned();
    let dir = heap.close();
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE INDEX mine ON stored_objects (kind, size DESC); DROP INDEX ledger_by_block")
        .unwrap();
    let reader = common::quick().read_only(true).open(&path).unwrap();
    assert_eq!(reader.objects().filter(Result::is_ok).count(), 2);
    drop(reader);
    assert_balanced(&common::quick().open(&path).unwrap());
    let there = "SELECT count(*) FROM sqlite_schema WHERE name IN ('mine', 'ledger_by_block')";
    assert_eq!(number(&other, there), 2);
    for planted in [
        "CREATE INDEX planted ON stored_objects (lower(kind))",
        "CREATE INDEX planted ON stored_objects (kind) WHERE abs(size) > 0",
        "CREATE INDEX planted ON stored_objects (kind COLLATE nocase)",
        "CREATE UNIQUE INDEX planted ON stored_objects (created_at, id)",
        "CREATE TRIGGER planted AFTER INSERT ON ledger BEGIN SELECT 1; END",
    ] {
        other.execute_batch(planted).unwrap();
        assert!(common::quick().open(&path).is_err(), "{planted}");
        let kind = if planted.contains("TRIGGER") {
            "TRIGGER"
        } else {
            "INDEX"
        };
        other.execute_batch(&format!("DROP {kind} planted")).unwrap();
    }
    drop(dir);
}
