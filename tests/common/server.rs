//! Schemas and sessions on the server that `HEAPLEDGER_TEST_URL` names.

#![allow(clippy::disallowed_methods, reason = "tests write what nothing else may")]

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};
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

/// Closes connections to a schema that nobody uses.
fn hang_up(schema: &str) {
    let of_schema = format!("schema={schema}");
    idle().retain(|(address, ..)| !address.to_string_lossy().ends_with(&of_schema));
}

pub fn drop_schema(url: &str, schema: &str) {
    hang_up(schema);
    // A test that failed may have left a transaction open.
    let statements = format!("SET LOCAL lock_timeout = '10s'; DROP SCHEMA IF EXISTS {schema} CASCADE");
    if let Err(error) = Session::between_tests(url).connection().batch_execute(&statements) {
        eprintln!("the schema {schema} is left: {error}");
    }
}

/// Schemas of heaps that are closed, without a row. A heap is opened ten times as fast in one of these as in a new
/// schema, and a run opens thousands.
static EMPTIED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What the library has created, as text.
static CREATED: OnceLock<String> = OnceLock::new();

/// The same of each emptied schema, where a view has no text, but when it was defined: the server takes long to say
/// the texts.
static STAMPS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

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
    hang_up(schema);
    if !std::thread::panicking() && Session::between_tests(url).empty(schema) {
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
pub struct Session {
    connection: Option<RefCell<PgConnection>>,
    /// The address, if another test of the same heap may use the connection.
    address: Option<PathBuf>,
    has_functions: Cell<bool>,
    /// Whether it may have a transaction, settings or tables of its own, so that nobody else can use it.
    was_changed: Cell<bool>,
    plans: RefCell<Plans>,
}

/// The queries that a connection was asked, each with the name of its prepared statement from the second time on:
/// the server takes longer to plan the large views than to read them.
type Plans = BTreeMap<String, Option<String>>;

/// Connections to heaps that nobody uses now. A new one is slow: it reads the catalogue, and the large views, again.
static IDLE: Mutex<Vec<(PathBuf, PgConnection, Plans)>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<(PathBuf, PgConnection, Plans)>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

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
        let url = url.trim_end_matches(['?', '&']);
        Some(Self::reused(address, url, Some(schema)))
    }

    /// One that tidies up after a test, and then after the next one.
    fn between_tests(url: &str) -> Self {
        Self::reused(url, url, None)
    }

    /// One that is left from before or, if there is none, a new one; both can be used again.
    fn reused(address: &str, url: &str, schema: Option<&str>) -> Self {
        let mut session = Self::idle(address).unwrap_or_else(|| Self::new(url, schema));
        session.address = Some(address.into());
        session
    }

    /// One that is left from before, unless the server has ended it meanwhile.
    fn idle(address: &str) -> Option<Self> {
        let mut idle = idle();
        let at = idle.iter().position(|(of, ..)| of == Path::new(address))?;
        let (_, mut connection, plans) = idle.swap_remove(at);
        let is_open = connection.batch_execute("SELECT 1").is_ok();
        is_open.then(|| Self::with(connection, plans))
    }

    fn with(connection: PgConnection, plans: Plans) -> Self {
        Self {
            connection: Some(RefCell::new(connection)),
            address: None,
            has_functions: Cell::new(false),
            was_changed: Cell::new(false),
            plans: RefCell::new(plans),
        }
    }

    fn new(url: &str, schema: Option<&str>) -> Self {
        let connection = PgConnection::establish(url).unwrap_or_else(|error| panic!("HEAPLEDGER_TEST_URL: {error}"));
        let session = Self::with(connection, Plans::new());
        let path = schema.map_or(String::new(), |schema| format!("; SET search_path = {schema}"));
        // Only programs that use the heap have its name.
        let settings = format!("SET client_min_messages = warning; SET application_name = 'test'{path}");
        session.connection().batch_execute(&settings).unwrap();
        session
    }

    fn connection(&self) -> RefMut<'_, PgConnection> {
        self.connection.as_ref().expect("it is taken on drop").borrow_mut()
    }

    /// Prepares for a statement, and spells it as PostgreSQL does.
    fn spelled(&self, statements: &str) -> String {
        let spelled = spelled(statements);
        if spelled.contains("pg_temp.") && !self.has_functions.replace(true) {
            self.connection().batch_execute(FUNCTIONS).unwrap();
        }
        spelled
    }

    /// Tables and views, their rules and their rights.
    fn created(&self) -> String {
        self.described("pg_get_viewdef(w.ev_class)")
    }

    fn described(&self, view: &str) -> String {
        let query = format!(
            "SELECT string_agg(concat_ws(' ', c.relname, c.relkind, c.relchecks, c.relacl, {view}), '; ' ORDER BY c.relname)
             FROM pg_class c LEFT JOIN pg_rewrite w ON w.ev_class = c.oid AND w.rulename = '_RETURN'
             WHERE c.relnamespace = current_schema()::regnamespace"
        );
        self.values(&query).swap_remove(0).unwrap_or_default()
    }

    /// Whether the schema is as the library has created it.
    fn is_as_created(&self, schema: &str) -> bool {
        let stamp = self.described("w.xmin");
        let mut stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
        match stamps.get(schema) {
            Some(known) => *known == stamp,
            None if CREATED.get() == Some(&self.created()) => {
                stamps.insert(schema.to_owned(), stamp);
                true
            }
            None => false,
        }
    }

    /// Removes all rows, if nobody is connected, the schema is as it was created, and its tables are small.
    fn empty(&self, schema: &str) -> bool {
        let path = format!("SET search_path = {schema}");
        self.connection().batch_execute(&path).unwrap();
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
        if !alone || !self.is_as_created(schema) || self.values(small).is_empty() {
            return false;
        }
        let delete = |table| format!("DELETE FROM {table};");
        let deletes: String = [
            "events",
            "sequences",
            "quotas",
            "tags",
            "recency",
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
            "dropped_spaces",
        ]
        .map(delete)
        .concat();
        let emptied = format!("SET LOCAL session_replication_role = replica; {deletes}");
        self.connection().batch_execute(&emptied).is_ok()
    }

    pub fn execute(&self, statements: &str) -> QueryResult<()> {
        self.execute_untold(statements)?;
        self.tell(statements);
        Ok(())
    }

    /// The same, for who opens the heap only after that.
    pub fn execute_untold(&self, statements: &str) -> QueryResult<()> {
        let statements = self.spelled(statements);
        if ["BEGIN", "SET ", "CREATE TEMP"]
            .iter()
            .any(|own| statements.starts_with(own))
        {
            self.was_changed.set(true);
        }
        self.connection().batch_execute(&statements)
    }

    /// Raises the versions of the spaces after a change, so that writers do not rely on what they remember. A file
    /// tells that by itself.
    fn tell(&self, statements: &str) {
        let changes = ["UPDATE", "INSERT", "DELETE"];
        if changes.iter().any(|change| statements.trim_start().starts_with(change)) {
            // It fails if the row of a space is damaged.
            let raise = "UPDATE memram SET version = version + 1";
            let _ = sql_query(raise).execute(&mut *self.connection());
        }
    }

    pub fn change(&self, statement: &str) -> Result<usize, String> {
        let changed = sql_query(self.spelled(statement)).execute(&mut *self.connection());
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
        let loaded = sql_query(self.planned(self.spelled(query))).load::<One>(&mut *self.connection());
        let loaded = loaded.unwrap_or_else(|error| panic!("{query}: {error}"));
        loaded.into_iter().map(|one| one.value).collect()
    }

    /// What executes a query with the plan from before, if it is not the first time.
    fn planned(&self, query: String) -> String {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let mut plans = self.plans.borrow_mut();
        let Some(plan) = plans.get_mut(&query) else {
            plans.insert(query.clone(), None);
            return query;
        };
        if plan.is_none() {
            let name = format!("test_{}", LAST.fetch_add(1, Ordering::Relaxed));
            let prepare = format!("PREPARE {name} AS {query}");
            *plan = self.connection().batch_execute(&prepare).is_ok().then_some(name);
        }
        plan.as_ref().map_or(query, |name| format!("EXECUTE {name}"))
    }

    /// Executes `work` without foreign keys and CHECKs; only a superuser may. Nobody else sees that the
    /// catalogue has no CHECKs meanwhile.
    pub fn without_rules(&self, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let set_checks = |count: &str| {
            let statement = format!(
                "UPDATE pg_class c SET relchecks = {count}
                 FROM (SELECT conrelid, count(*) AS checks FROM pg_constraint
                       WHERE contype = 'c' AND connamespace = current_schema()::regnamespace GROUP BY conrelid) r
                 WHERE r.conrelid = c.oid"
            );
            self.connection().batch_execute(&statement).unwrap();
        };
        self.execute("BEGIN; SET LOCAL session_replication_role = replica")
            .unwrap();
        set_checks("0");
        let done = work();
        if done.is_ok() {
            set_checks("r.checks");
        }
        self.execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).unwrap();
        done
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let connection = self.connection.take().map(RefCell::into_inner);
        let was_changed = self.has_functions.get() || self.was_changed.get();
        if let (Some(address), Some(connection), false) =
            (self.address.take(), connection, was_changed || std::thread::panicking())
        {
            idle().push((address, connection, self.plans.take()));
        }
    }
}

/// What is SQLite's own in the SQL of tests, in PostgreSQL's spelling.
fn spelled(sql: &str) -> String {
    const SPELLINGS: [(&str, &str); 7] = [
        ("UPDATE OR IGNORE ", "UPDATE "),
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
