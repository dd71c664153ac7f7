//! Rows with false values: every column of every table, one after the other.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use crate::common::{Sql, number, server, sql, texts};
use crate::harness::say;
use crate::survey::survey;
use crate::{bounded, is_bounded, specimen};

const LIES: [i64; 7] = [i64::MIN, -1, 0, 1, 1_000_000_007, i64::MAX - 1, i64::MAX];

fn columns(sql: &Sql, table: &str, of: &str) -> Vec<String> {
    let query = match (server(), of) {
        (None, of) => format!("SELECT name FROM pragma_table_info('{table}') WHERE type = '{of}'"),
        (Some(_), of) => {
            let of = if of == "INTEGER" { "bigint" } else { "text" };
            format!(
                "SELECT column_name FROM information_schema.columns
                 WHERE table_schema = current_schema() AND table_name = '{table}' AND data_type = '{of}'"
            )
        }
    };
    texts(sql, &query)
}

/// A specimen that can be restored.
struct Original {
    path: PathBuf,
    /// The whole file.
    file: Vec<u8>,
    /// On a server, a session with a copy of each table, and the statements that restore them.
    copies: Option<(Sql, String)>,
}

impl Original {
    fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: std::fs::read(path).unwrap_or_default(),
            copies: server().map(|_| copies(path)),
        }
    }

    fn restore(&self) {
        if let Some((sql, restore)) = &self.copies {
            sql.try_damage(restore).unwrap();
            return;
        }
        for suffix in ["-wal", "-shm"] {
            let mut side_file = self.path.as_os_str().to_owned();
            side_file.push(suffix);
            let _ = std::fs::remove_file(side_file);
        }
        std::fs::write(&self.path, &self.file).unwrap();
    }

    /// Inspects the specimen after `statements`, if those can be executed. Returns whether that went without a
    /// panic.
    fn look(&self, statements: &str) -> bool {
        self.restore();
        let sql = sql(&self.path);
        if sql.try_damage(statements).is_err() {
            return true;
        }
        if server().is_none() {
            sql.execute("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        drop(sql);
        say(&format!("look {statements}"));
        let path = &self.path;
        catch_unwind(|| survey(path)).is_ok()
    }
}

fn copies(path: &Path) -> (Sql, String) {
    let sql = sql(path);
    let mut restore = String::new();
    for table in sql.tables() {
        let columns = texts(
            &sql,
            &format!(
                "SELECT quote_ident(column_name) FROM information_schema.columns
                 WHERE table_schema = current_schema() AND table_name = '{table}' AND is_generated = 'NEVER'"
            ),
        );
        let columns = columns.join(", ");
        sql.execute(&format!(
            "CREATE TEMP TABLE copy_of_{table} AS SELECT {columns} FROM {table}"
        ));
        restore.push_str(&format!(
            "DELETE FROM {table}; INSERT INTO {table} ({columns}) SELECT {columns} FROM copy_of_{table};"
        ));
    }
    (sql, restore)
}

/// Looks at all statements, on a server at one of `on_server`: each takes a hundred times as long there, and most of
/// what reads them is the same.
fn looks(on_server: usize, statements: impl FnOnce(&Sql) -> Vec<String>) {
    let (_place, path) = specimen();
    let mut all = statements(&sql(&path));
    if server().is_some() {
        all = all.into_iter().step_by(on_server).collect();
    }
    // In two threads, each with a specimen; all of them, so that one run shows all failures.
    let (some, others) = all.split_at(all.len() / 2);
    let bad = std::thread::scope(|scope| {
        let others = scope.spawn(|| looks_at(others));
        [looks_at(some), others.join().unwrap()].concat()
    });
    assert!(bad.is_empty(), "{bad:#?}");
}

/// Looks at each, and returns those with a panic.
fn looks_at(all: &[String]) -> Vec<&String> {
    let (_place, path) = specimen();
    let original = Original::of(&path);
    all.iter().filter(|statements| !original.look(statements)).collect()
}

#[test]
fn false_numbers_are_inspected_safely() {
    bounded("lies::numbers");
}

#[test]
#[ignore = "the child process"]
fn numbers() {
    if !is_bounded() {
        return;
    }
    looks(17, |sql| {
        let mut all = Vec::new();
        for table in sql.tables() {
            for column in columns(sql, &table, "INTEGER") {
                for value in LIES {
                    let one = format!("WHERE \"{column}\" = (SELECT max(\"{column}\") FROM \"{table}\")");
                    // All rows if their values may be equal, otherwise one.
                    let of = if number(sql, &format!("SELECT count(*) FROM \"{table}\"")) > 1 && value % 2 == 0 {
                        one
                    } else {
                        String::new()
                    };
                    all.push(format!("UPDATE OR IGNORE \"{table}\" SET \"{column}\" = {value} {of}"));
                }
            }
        }
        all
    });
}

#[test]
fn false_texts_and_bytes_are_inspected_safely() {
    bounded("lies::texts_and_bytes");
}

#[test]
#[ignore = "the child process"]
fn texts_and_bytes() {
    if !is_bounded() {
        return;
    }
    let long = format!("'{}'", "x".repeat(1_000_000));
    looks(9, |sql| {
        let mut all = Vec::new();
        for table in sql.tables() {
            for column in columns(sql, &table, "TEXT") {
                for value in [
                    "''",
                    "'x'",
                    "'\u{1b}[2J'",
                    &long,
                    // No server takes this.
                    "CAST(x'ff00fe' AS TEXT)",
                ] {
                    all.push(format!("UPDATE OR IGNORE \"{table}\" SET \"{column}\" = {value}"));
                }
            }
        }
        for value in ["x''", "x'00'", "zeroblob(50000000)"] {
            all.push(format!("UPDATE ledger SET data = {value} WHERE id % 3 = 0"));
        }
        all.extend(
            ["bytes", "str", "int", "float", "bool", "none", "json"]
                .map(|kind| format!("UPDATE stored_objects SET kind = '{kind}'")),
        );
        all
    });
}

#[test]
fn cyclic_parents_and_huge_tables_are_inspected_safely() {
    bounded("lies::structures");
}

#[test]
#[ignore = "the child process"]
fn structures() {
    if !is_bounded() {
        return;
    }
    looks(3, |_| {
        [
            // Parents that do not exist, and children that share a parent.
            "UPDATE blocks SET pool_id = id; UPDATE pools SET arena_id = id; UPDATE arenas SET memram_id = id",
            "UPDATE blocks SET pool_id = 999999; UPDATE pools SET arena_id = 888888",
            "UPDATE ledger SET block_id = (SELECT max(id) FROM blocks)",
            "UPDATE ledger SET arena_id = pool_id, pool_id = block_id, block_id = arena_id",
            "UPDATE OR IGNORE ledger SET stored_object_id = 1, seq = id",
            "UPDATE OR IGNORE ledger SET seq = 9223372036854775807 - seq",
            "UPDATE stored_objects SET size = 9223372036854775807; \
             UPDATE OR IGNORE ledger SET seq = 9223372036854775807, allocated_mem = 1 WHERE seq = 0",
            "UPDATE stored_objects SET size = 9223372036854775807; UPDATE ledger SET allocated_mem = 9223372036854775807",
            "UPDATE stored_objects SET size = -5; UPDATE ledger SET allocated_mem = -5",
            "DELETE FROM memram", "DELETE FROM size_classes", "DELETE FROM other_kinds", "DELETE FROM sequences",
            "DELETE FROM arenas", "DELETE FROM pools", "DELETE FROM blocks", "DELETE FROM stored_objects", "DELETE FROM ledger",
            // A huge space with nothing in it.
            "UPDATE memram SET max_mem = 9223372036854775807, mem = 0, reserved = 9223372036854775807",
            "UPDATE memram SET max_mem = 9223372036854775807, reserved = 0, arena_size = 9223372036854775807",
            "UPDATE memram SET mem = -9223372036854775808, reserved = -9223372036854775808",
            "UPDATE blocks SET mem = 0, is_free = TRUE, max_mem = 9223372036854775807",
            "UPDATE blocks SET mem = 9223372036854775807, max_mem = 5, is_free = TRUE",
            "UPDATE pools SET reserved = -1000000000000",
            "UPDATE arenas SET reserved = 0; UPDATE pools SET reserved = 0",
            "UPDATE size_classes SET block_size = 268435456, pool_size = 268435456 WHERE block_size = 32768; \
             UPDATE memram SET arena_size = 268435456, per_block = 1, max_mem = 1099511627776",
            // Hundreds of thousands of rows.
            "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
             INSERT INTO names (memram_id, name, stored_object_id, bound_at) SELECT 1, 'n' || i, 1, 0 FROM n",
            "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
             INSERT INTO arenas (id, memram_id, max_mem) SELECT i, 1, 262144 FROM n",
            "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) \
             INSERT INTO memram (id, name, max_mem, arena_size, per_block, created_at) SELECT i, 's' || i, 1, 1, 1, 0 FROM n",
        ]
        .map(str::to_owned)
        .to_vec()
    });
}
