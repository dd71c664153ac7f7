//! Shared by the tests: a heap in a place of its own, SQL access to it, and the check that the books balance.

mod files_only;
mod place;
#[cfg(feature = "postgres")]
mod server;
#[path = "../harness/skip.rs"]
pub mod skip;
mod sql;

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use heapledger::{Durability, Geometry, Hasher, Kind, MemManager, ObjectId, Options};
use proptest::test_runner::Config;

pub(crate) use files_only::files_only;
pub use files_only::{FilesOnly, is_skipped, on_server};
pub use place::{Place, server};
pub use sql::{Row, Sql, quoted};

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;

/// A heap in a place of its own.
pub struct Heap {
    memory: MemManager,
    place: Place,
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
        let place = Place::emptied();
        let memory = options.open(place.address()).unwrap();
        place.has_opened();
        Self { memory, place }
    }

    /// What `Options::open` takes: a path, or the URL of a schema.
    pub fn address(&self) -> &Path {
        self.place.address()
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// An SQL connection to it.
    pub fn sql(&self) -> Sql {
        self.place.sql()
    }

    /// The same heap through a separate manager.
    pub fn open_again(&self) -> MemManager {
        quick().open(self.address()).unwrap()
    }

    /// Closes the heap; it stays until the place is dropped.
    pub fn close(self) -> Place {
        self.place
    }
}

impl Deref for Heap {
    type Target = MemManager;

    fn deref(&self) -> &MemManager {
        &self.memory
    }
}

/// Options as the tests open heaps, which are created on a server, too; with `HEAPLEDGER_PLAIN_IO=1`, without our
/// file system below SQLite.
pub fn options() -> Options {
    let plain = std::env::var_os("HEAPLEDGER_PLAIN_IO").is_some_and(|plain| plain == "1");
    MemManager::options().plain_io(plain).create(true)
}

/// Options for tests without a power loss.
pub fn quick() -> Options {
    options().durability(Durability::Normal)
}

/// An SQL connection without the guards that prevent other tools from writing.
pub fn sql(address: &Path) -> Sql {
    Sql::at(address)
}

/// Replaces the content of object `key` with `bytes` and gives it the matching id for `kind`,
/// so that only validating the content reveals that it is not of that kind.
pub fn disguise(sql: &Sql, key: i64, kind: Kind, bytes: &[u8]) -> ObjectId {
    let mut hasher = Hasher::new(kind);
    hasher.update(bytes);
    let id = hasher.finish();
    let data = sql.bytes(bytes);
    sql.change(&format!("UPDATE ledger SET data = {data} WHERE id = {key}"));
    let changed = sql.change(&format!(
        "UPDATE stored_objects SET object_id = '{id}', kind = '{kind}', type_name = NULL WHERE id = {key}"
    ));
    assert_eq!(changed, 1);
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

/// All files below a folder with their contents, and the targets of links.
pub fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            let content = match () {
                () if kind.is_dir() => {
                    folders.push(path);
                    continue;
                }
                () if kind.is_symlink() => path.read_link().unwrap().into_os_string().into_encoded_bytes(),
                () => fs::read(&path).unwrap(),
            };
            found.insert(path.strip_prefix(folder).unwrap().to_owned(), content);
        }
    }
    found
}

/// The single number that `query` returns; a flag counts as 0 or 1.
pub fn number(sql: &Sql, query: &str) -> i64 {
    match texts(sql, query).as_slice() {
        [one] if one == "true" => 1,
        [one] if one == "false" => 0,
        [one] => one.parse().unwrap(),
        found => panic!("{query}: {found:?}"),
    }
}

/// The first column of every row of `query`, as text.
pub fn texts(sql: &Sql, query: &str) -> Vec<String> {
    let values = sql.values(query).into_iter();
    values
        .map(|value| value.unwrap_or_else(|| panic!("{query}: NULL")))
        .collect()
}

/// Pages of the file; a server has none.
pub fn pages(sql: &Sql) -> i64 {
    if server().is_some() {
        0
    } else {
        number(sql, "PRAGMA page_count")
    }
}

/// SQLite's plan for `query`.
pub fn plan(sql: &Sql, query: &str) -> String {
    let mut statement = sql.file().prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    let nothing = vec![None::<i64>; statement.parameter_count()];
    let steps = statement
        .query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3))
        .unwrap();
    steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
}

/// Rows of the tables that describe what is stored and where.
pub fn row_counts(sql: &Sql) -> Vec<(&'static str, i64)> {
    ["arenas", "pools", "blocks", "stored_objects", "ledger", "names"]
        .map(|table| (table, number(sql, &format!("SELECT count(*) FROM {table}"))))
        .to_vec()
}

/// All rows of all tables as text; two heaps are equal if their dumps are. `events` and what follows from it
/// are left out, because refusals are recorded there too.
pub fn dump(sql: &Sql) -> String {
    let mut dump = String::new();
    for table in sql.tables().into_iter().filter(|table| table != "events") {
        let mut columns = sql.columns(&table);
        columns.retain(|column| !["history_bytes", "version", "commits", "stamp"].contains(&column.as_str()));
        let order = if columns.len() > 1 { "1, 2" } else { "1" };
        let columns = columns.join(", ");
        for row in sql.rows(&format!("SELECT {columns} FROM {table} ORDER BY {order}")) {
            if !(table == "sequences" && row[1].as_deref() == Some("events")) {
                dump.push_str(&format!("{table} {row:?}\n"));
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
    let sql = sql(memory.path());
    if server().is_some() {
        // `check()` has read the other view, which a server takes long to plan.
        return assert_sums(&sql);
    }
    assert_sql_balanced(&sql);
}

/// The same with plain SQL, for every space of the heap.
pub fn assert_sql_balanced(sql: &Sql) {
    let violations = texts(
        sql,
        "SELECT invariant || ' ' || \"table\" || ' ' || coalesce(CAST(id AS TEXT), '') || ': expected ' || expected || ', found ' || found
         FROM violations",
    );
    assert!(violations.is_empty(), "{violations:#?}");
    assert_sums(sql);
}

/// Checks that the buckets and the claims of every space add up to its capacity.
fn assert_sums(sql: &Sql) {
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
    let mut bytes = vec![0; size as usize];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// `default` cases, an eighth of them on a server, or the number in `PROPTEST_CASES`.
pub fn cases(default: u32) -> Config {
    let default = if server().is_some() {
        default.div_ceil(8)
    } else {
        default
    };
    let wanted = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    Config {
        cases: wanted.unwrap_or(default),
        failure_persistence: None,
        ..Config::default()
    }
}
