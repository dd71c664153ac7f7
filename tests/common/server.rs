//! Schemas and sessions on the server that `HEAPLEDGER_TEST_URL` names.

#![allow(clippy::disallowed_methods, reason = "tests write what nothing else may")]

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::sql_types::{Nullable, Text};
use diesel::{Connection, QueryResult, QueryableByName, RunQueryDsl, sql_query};

use super::Row;

/// Older schemas are left from tests that were killed.
const STALE_SECONDS: u64 = 3600;

/// A name for a schema that no other test has, in this process or another.
pub fn new_schema(url: &str) -> String {
    static ONCE: Once = Once::new();
    static LAST: AtomicU64 = AtomicU64::new(0);
    ONCE.call_once(|| drop_stale(url));
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    format!("t_{}_{}_{number}", now(), std::process::id())
}

pub fn drop_schema(url: &str, schema: &str) {
    let session = Session::new(url, None);
    // A test that failed may have left a transaction open.
    let statement = format!("SET lock_timeout = '10s'; DROP SCHEMA IF EXISTS {schema} CASCADE");
    if let Err(error) = session.execute(&statement) {
        eprintln!("the schema {schema} is left: {error}");
    }
}

/// Schemas of heaps that are closed, without a row. A heap is opened ten times as fast in one of these as in a new
/// schema, and a run opens thousands.
static EMPTIED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What the library has created, as text.
static CREATED: OnceLock<String> = OnceLock::new();

/// A schema that another test has used, or a new one.
pub fn emptied_or_new_schema(url: &str) -> String {
    let emptied = EMPTIED.lock().unwrap_or_else(PoisonError::into_inner).pop();
    emptied.unwrap_or_else(|| new_schema(url))
}

/// Learns from the first heap what the library creates.
pub fn learn(url: &str, schema: &str) {
    if CREATED.get().is_none() {
        let created = Session::new(url, Some(schema)).created();
        CREATED.get_or_init(|| created);
    }
}

/// Empties a schema for the next test; if that is not possible, drops it.
pub fn give_back(url: &str, schema: &str) {
    if !std::thread::panicking() && Session::new(url, Some(schema)).empty(schema) {
        EMPTIED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(schema.to_owned());
    } else {
        drop_schema(url, schema);
    }
}

fn drop_stale(url: &str) {
    let session = Session::new(url, None);
    for row in session.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 't\\_%'") {
        let schema = row[0].clone().unwrap_or_default();
        let made = schema.split('_').nth(1).and_then(|seconds| seconds.parse().ok());
        if made.is_some_and(|made: u64| made + STALE_SECONDS < now()) {
            drop_schema(url, &schema);
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A connection to one schema.
pub struct Session(RefCell<PgConnection>);

#[derive(QueryableByName)]
struct One {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

impl Session {
    /// Connects to the schema in `address`, unless that is a path.
    pub fn at(address: &Path) -> Option<Self> {
        let address = address.to_str()?;
        let is_server = address.starts_with("postgres://") || address.starts_with("postgresql://");
        let (url, schema) = is_server.then(|| address.rsplit_once("schema=").expect("a schema of its own"))?;
        Some(Self::new(url.trim_end_matches(['?', '&']), Some(schema)))
    }

    fn new(url: &str, schema: Option<&str>) -> Self {
        let connection = PgConnection::establish(url).unwrap_or_else(|error| panic!("HEAPLEDGER_TEST_URL: {error}"));
        let session = Self(RefCell::new(connection));
        session.execute("SET client_min_messages = warning").unwrap();
        if let Some(schema) = schema {
            session.execute(&format!("SET search_path = {schema}")).unwrap();
            session.0.borrow_mut().batch_execute(FUNCTIONS).unwrap();
        }
        session
    }

    /// Tables and views, their rules and their rights.
    fn created(&self) -> String {
        self.values(
            "SELECT string_agg(concat_ws(' ', relname, relkind, relchecks, relacl, \
                 CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END), '; ' ORDER BY relname)
             FROM pg_class WHERE relnamespace = current_schema()::regnamespace",
        )
        .swap_remove(0)
        .unwrap_or_default()
    }

    /// Removes all rows, if nobody is connected, the schema is as it was created, and its tables are small.
    fn empty(&self, schema: &str) -> bool {
        let busy = format!("SELECT 1 FROM pg_stat_activity WHERE application_name = '{schema}'");
        // The server notices a moment later that a client has gone.
        let alone = (0..50).any(|_| {
            let alone = self.values(&busy).is_empty();
            if !alone {
                std::thread::sleep(Duration::from_millis(2));
            }
            alone
        });
        let small = "SELECT 1 WHERE pg_total_relation_size('ledger') < 4000000";
        if !alone || CREATED.get() != Some(&self.created()) || self.values(small).is_empty() {
            return false;
        }
        let delete = |table| format!("DELETE FROM {table};");
        let deletes: String = [
            "events",
            "sequences",
            "names",
            "reservations",
            "ledger",
            "stored_objects",
            "blocks",
            "pools",
            "arenas",
            "other_kinds",
            "size_classes",
            "memram",
        ]
        .map(delete)
        .concat();
        let emptied = format!("BEGIN; SET LOCAL session_replication_role = replica; {deletes} COMMIT");
        self.execute(&emptied).is_ok()
    }

    pub fn execute(&self, statements: &str) -> QueryResult<()> {
        self.0.borrow_mut().batch_execute(&spelled(statements))?;
        self.tell(statements);
        Ok(())
    }

    /// Raises the versions of the spaces after a change, so that writers do not rely on what they remember. A file
    /// tells that by itself.
    fn tell(&self, statements: &str) {
        let changes = ["UPDATE", "INSERT", "DELETE"];
        if changes.iter().any(|change| statements.trim_start().starts_with(change)) {
            // It fails if the row of a space is damaged.
            let raise = "UPDATE memram SET version = version + 1";
            let _ = sql_query(raise).execute(&mut *self.0.borrow_mut());
        }
    }

    pub fn change(&self, statement: &str) -> Result<usize, String> {
        let changed = sql_query(spelled(statement)).execute(&mut *self.0.borrow_mut());
        let changed = changed.map_err(|error| error.to_string())?;
        self.tell(statement);
        Ok(changed)
    }

    /// The first column of every row, as text.
    pub fn values(&self, query: &str) -> Vec<Option<String>> {
        let query = query.trim_end().trim_end_matches(';');
        self.load(&format!("SELECT t.value::text AS value FROM ({query}) AS t (value)"))
    }

    pub fn rows(&self, query: &str) -> Vec<Row> {
        let query = query.trim_end().trim_end_matches(';');
        let rows = self.load(&format!(
            "SELECT to_json(ARRAY(SELECT e.value FROM json_each_text(row_to_json(t)) e))::text AS value FROM ({query}) AS t"
        ));
        let row = |row: Option<String>| serde_json::from_str(&row.unwrap()).unwrap();
        rows.into_iter().map(row).collect()
    }

    fn load(&self, query: &str) -> Vec<Option<String>> {
        let loaded = sql_query(spelled(query)).load::<One>(&mut *self.0.borrow_mut());
        let loaded = loaded.unwrap_or_else(|error| panic!("{query}: {error}"));
        loaded.into_iter().map(|one| one.value).collect()
    }

    /// Executes `work` without foreign keys and CHECKs; only a superuser may. Nobody else sees that the
    /// catalogue has no CHECKs meanwhile.
    pub fn without_rules<T>(&self, work: impl FnOnce() -> T) -> T {
        let set_checks = |count: &str| {
            let statement = format!(
                "UPDATE pg_class c SET relchecks = {count}
                 FROM (SELECT conrelid, count(*) AS checks FROM pg_constraint
                       WHERE contype = 'c' AND connamespace = current_schema()::regnamespace GROUP BY conrelid) r
                 WHERE r.conrelid = c.oid"
            );
            self.0.borrow_mut().batch_execute(&statement).unwrap();
        };
        self.execute("BEGIN; SET LOCAL session_replication_role = replica")
            .unwrap();
        set_checks("0");
        let done = work();
        set_checks("r.checks");
        self.execute("COMMIT").unwrap();
        done
    }
}

/// What is SQLite's own in the SQL of tests, in PostgreSQL's spelling.
fn spelled(sql: &str) -> String {
    const SPELLINGS: [(&str, &str); 6] = [
        (" x'", " bytea '\\x"),
        ("(x'", "(bytea '\\x"),
        ("AS BLOB", "AS bytea"),
        ("zeroblob(", "pg_temp.zeroblob("),
        ("hex(", "pg_temp.hex("),
        ("1 << ", "1::bigint << "),
    ];
    let spell = |sql: String, (ours, theirs)| sql.replace(ours, theirs);
    SPELLINGS.into_iter().fold(sql.to_owned(), spell)
}

/// Functions of SQLite that `spelled` refers to.
const FUNCTIONS: &str = "
    CREATE FUNCTION pg_temp.zeroblob(bigint) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(repeat('00', $1::int), 'hex') $$;
    CREATE FUNCTION pg_temp.hex(bytea) RETURNS text LANGUAGE sql AS $$ SELECT upper(encode($1, 'hex')) $$;";
