//! Shared by the tests: a heap in a temporary directory, SQL access to its file, and the check
//! that the books balance.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::ops::Deref;
use std::path::Path;

use heapledger::{Durability, Geometry, Hasher, Kind, MemManager, ObjectId, Options};
use proptest::test_runner::Config;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;

/// A heap in a temporary directory.
pub struct Heap {
    memory: MemManager,
    dir: TempDir,
}

impl Heap {
    /// One mebibyte in standard geometry.
    pub fn new() -> Self {
        Self::of(MIB, Geometry::standard())
    }

    /// One mebibyte in classic geometry, where every block has 512 bytes.
    pub fn classic() -> Self {
        Self::of(MIB, Geometry::classic())
    }

    pub fn of(max_mem: u64, geometry: Geometry) -> Self {
        Self::made(quick().max_mem(max_mem).geometry(geometry))
    }

    /// A heap with these options.
    pub fn made(options: Options) -> Self {
        let dir = TempDir::new().unwrap();
        let memory = options.open(dir.path().join("heap.db")).unwrap();
        Self { memory, dir }
    }

    /// An SQL connection to the file.
    pub fn sql(&self) -> Connection {
        sql(self.memory.path())
    }

    /// The same file through a separate manager.
    pub fn open_again(&self) -> MemManager {
        quick().open(self.memory.path()).unwrap()
    }

    /// Closes the heap; its file stays until the directory is dropped.
    pub fn close(self) -> TempDir {
        self.dir
    }
}

impl Deref for Heap {
    type Target = MemManager;

    fn deref(&self) -> &MemManager {
        &self.memory
    }
}

/// Options as the tests open heaps; with `HEAPLEDGER_PLAIN_IO=1`, without our file system below SQLite.
pub fn options() -> Options {
    let plain = std::env::var_os("HEAPLEDGER_PLAIN_IO").is_some_and(|plain| plain == "1");
    MemManager::options().plain_io(plain)
}

/// Options for tests without a power loss.
pub fn quick() -> Options {
    options().durability(Durability::Normal)
}

/// An SQL connection without the guards that prevent other tools from writing.
pub fn sql(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags).unwrap();
    sql.pragma_update(None, "foreign_keys", true).unwrap();
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
        .unwrap();
    sql
}

/// Replaces the content of object `key` with `bytes` and gives it the matching id for `kind`,
/// so that only validating the content reveals that it is not of that kind.
pub fn disguise(sql: &Connection, key: i64, kind: Kind, bytes: &[u8]) -> ObjectId {
    let mut hasher = Hasher::new(kind);
    hasher.update(bytes);
    let id = hasher.finish();
    sql.execute(
        "UPDATE ledger SET data = ?2 WHERE id = ?1",
        rusqlite::params![key, bytes],
    )
    .unwrap();
    let changed = sql.execute(
        "UPDATE stored_objects SET object_id = ?2, kind = ?3, type_name = NULL WHERE id = ?1",
        rusqlite::params![key, id.to_hex(), kind.as_str()],
    );
    assert_eq!(changed.unwrap(), 1);
    id
}

/// The files in `dir` and their bytes.
pub fn files_in(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let named = |entry: DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, fs::read(entry.path()).unwrap_or_default())
    };
    entries.map(named).collect()
}

/// The single number that `query` returns.
pub fn number(sql: &Connection, query: &str) -> i64 {
    sql.query_row(query, [], |row| row.get(0)).unwrap()
}

/// The first column of every row of `query`.
pub fn texts(sql: &Connection, query: &str) -> Vec<String> {
    let mut statement = sql.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// SQLite's plan for `query`.
pub fn plan(sql: &Connection, query: &str) -> String {
    let mut statement = sql.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    let nothing = vec![None::<i64>; statement.parameter_count()];
    let steps = statement
        .query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3))
        .unwrap();
    steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
}

/// Rows of the tables that describe what is stored and where.
pub fn row_counts(sql: &Connection) -> Vec<(&'static str, i64)> {
    ["arenas", "pools", "blocks", "stored_objects", "ledger", "names"]
        .map(|table| (table, number(sql, &format!("SELECT count(*) FROM {table}"))))
        .to_vec()
}

/// All rows of all tables as text; two heaps are equal if their dumps are. `events` and its size are
/// left out, because refusals are recorded there too.
pub fn dump(sql: &Connection) -> String {
    let tables = texts(
        sql,
        "SELECT name FROM sqlite_schema
         WHERE type = 'table' AND name <> 'events' AND name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY name",
    );
    let mut dump = String::new();
    for table in tables {
        let mut statement = sql
            .prepare(&format!("SELECT * FROM \"{table}\" ORDER BY 1, 2"))
            .unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let of_events = |column: &usize| row.as_ref().column_name(*column) == Ok("history_bytes");
            let columns = (0..columns).filter(|column| !of_events(column));
            let values: Vec<_> = columns.map(|column| row.get_ref(column).unwrap()).collect();
            if (table.as_str(), values.get(1)) != ("sequences", Some(&ValueRef::Text(b"events"))) {
                dump.push_str(&format!("{table} {values:?}\n"));
            }
        }
    }
    dump
}

/// Checks that the books balance: by the library's check, by the view `violations`, and bucket
/// by bucket.
pub fn assert_balanced(memory: &MemManager) {
    let found: Vec<_> = memory.check().unwrap().iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "check() found {found:#?}");
    let total: u64 = memory.trial_balance().unwrap().iter().map(|bucket| bucket.bytes).sum();
    assert_eq!(total, memory.memram().unwrap().max_mem, "trial_balance()");
    assert_file_balanced(&sql(memory.path()));
}

/// The same with plain SQL, for every space of the file.
pub fn assert_file_balanced(sql: &Connection) {
    let violations = texts(
        sql,
        "SELECT invariant || ' ' || \"table\" || ' ' || coalesce(id, '') || ': expected ' || expected || ', found ' || found
         FROM violations",
    );
    assert!(violations.is_empty(), "{violations:#?}");
    let unbalanced = texts(
        sql,
        "SELECT m.name || ': buckets hold ' || sum(t.bytes) || ' of ' || m.max_mem
         FROM memram m JOIN trial_balance t ON t.space = m.name
         GROUP BY m.id HAVING sum(t.bytes) <> m.max_mem OR min(t.bytes) < 0",
    );
    assert!(unbalanced.is_empty(), "{unbalanced:#?}");
    let unclaimed = texts(
        sql,
        "SELECT m.name || ': claims of ' || sum(c.bytes) || ' of ' || m.max_mem
         FROM memram m JOIN claims c ON c.space = m.name
         GROUP BY m.id HAVING sum(c.bytes) <> m.max_mem OR min(c.bytes) < 0",
    );
    assert!(unclaimed.is_empty(), "{unclaimed:#?}");
}

/// Bytes that look random and, from eight bytes up, differ for every seed.
pub fn content(seed: u64, size: u64) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = vec![0; size as usize];
    // A plain loop: tests are not optimized, and an iterator of closures is six times slower.
    for byte in bytes.as_mut_slice() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 56) as u8;
    }
    bytes
}

/// `default` cases, or the number in `PROPTEST_CASES`.
pub fn cases(default: u32) -> Config {
    let wanted = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    Config {
        cases: wanted.unwrap_or(default),
        failure_persistence: None,
        ..Config::default()
    }
}
