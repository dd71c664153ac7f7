//! Schemas and sessions on the server that `HEAPLEDGER_TEST_URL` names.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

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

    pub fn execute(&self, statements: &str) -> QueryResult<()> {
        self.0.borrow_mut().batch_execute(&spelled(statements))
    }

    pub fn change(&self, statement: &str) -> Result<usize, String> {
        let changed = sql_query(spelled(statement)).execute(&mut *self.0.borrow_mut());
        changed.map_err(|error| error.to_string())
    }

    /// The first column of every row, as text.
    pub fn values(&self, query: &str) -> Vec<Option<String>> {
        self.load(&format!("SELECT t.value::text AS value FROM ({query}) AS t (value)"))
    }

    pub fn rows(&self, query: &str) -> Vec<Row> {
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
            self.execute(&statement).unwrap();
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
