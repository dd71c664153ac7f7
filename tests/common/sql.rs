//! Plain SQL on the heap of a test, on either engine.
//!
//! The text must be SQL that both understand: flags are `TRUE` and `FALSE`, and only `server::spelled` knows what
//! else of SQLite may be used.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

#[cfg(feature = "postgres")]
use super::server;

/// A connection that is not held back by what prevents other tools from writing.
pub enum Sql {
    File(Connection),
    #[cfg(feature = "postgres")]
    Server(server::Session),
}

/// A row: its values as text, in the order of the columns.
pub type Row = Vec<Option<String>>;

impl Sql {
    /// Connects to the heap at `address`: a path, or the URL that a `Place` has made.
    pub fn at(address: &Path) -> Self {
        #[cfg(feature = "postgres")]
        if let Some(session) = server::Session::at(address) {
            return Self::Server(session);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = Connection::open_with_flags(address, flags).unwrap();
        sql.pragma_update(None, "foreign_keys", true).unwrap();
        sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
            .unwrap();
        Self::File(sql)
    }

    /// The connection, for a test that concerns files alone.
    pub fn file(&self) -> &Connection {
        match self {
            Self::File(sql) => sql,
            #[cfg(feature = "postgres")]
            Self::Server(_) => panic!("a test of a file runs on a server"),
        }
    }

    /// Executes one or more statements.
    pub fn execute(&self, statements: &str) {
        match self {
            Self::File(sql) => sql.execute_batch(statements).unwrap(),
            #[cfg(feature = "postgres")]
            Self::Server(session) => session.execute(statements).unwrap(),
        }
    }

    /// Executes one statement, and returns how many rows it changed or why it was refused.
    pub fn try_execute(&self, statement: &str) -> Result<usize, String> {
        match self {
            Self::File(sql) => sql.execute(statement, []).map_err(|error| error.to_string()),
            #[cfg(feature = "postgres")]
            Self::Server(session) => session.change(statement),
        }
    }

    /// Executes one statement, which must change a row.
    #[track_caller]
    pub fn change(&self, statement: &str) -> usize {
        let changed = self
            .try_execute(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
        assert!(changed > 0, "{statement} changes nothing");
        changed
    }

    /// Executes one statement past foreign keys and CHECKs; it must change a row.
    #[track_caller]
    pub fn damage(&self, statement: &str) {
        match self {
            Self::File(sql) => {
                let rules = |on: bool| {
                    sql.pragma_update(None, "foreign_keys", on).unwrap();
                    sql.pragma_update(None, "ignore_check_constraints", !on).unwrap();
                };
                rules(false);
                self.change(statement);
                rules(true);
            }
            #[cfg(feature = "postgres")]
            Self::Server(session) => session
                .without_rules(|| {
                    self.change(statement);
                    Ok(())
                })
                .unwrap(),
        }
    }

    /// Executes statements past foreign keys and CHECKs, all or none of them.
    pub fn try_damage(&self, statements: &str) -> Result<(), String> {
        match self {
            Self::File(sql) => sql
                .execute_batch(&format!(
                    "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; BEGIN; {statements}; COMMIT"
                ))
                .map_err(|error| error.to_string()),
            #[cfg(feature = "postgres")]
            Self::Server(session) => {
                session.without_rules(|| session.execute_untold(statements).map_err(|error| error.to_string()))
            }
        }
    }

    /// Begins a transaction during which no other connection can write.
    pub fn keep_writers_out(&self) {
        match self {
            Self::File(_) => self.execute("BEGIN IMMEDIATE"),
            #[cfg(feature = "postgres")]
            Self::Server(_) => self.execute("BEGIN; SELECT id FROM memram FOR NO KEY UPDATE"),
        }
    }

    /// Begins a transaction during which no other connection can read or write.
    pub fn keep_everybody_out(&self) {
        match self {
            Self::File(_) => self.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE"),
            #[cfg(feature = "postgres")]
            Self::Server(_) => self.execute("BEGIN; LOCK TABLE memram"),
        }
    }

    /// The first column of every row of `query`.
    pub fn values(&self, query: &str) -> Vec<Option<String>> {
        match self {
            Self::File(_) => self.rows(query).into_iter().map(|mut row| row.swap_remove(0)).collect(),
            #[cfg(feature = "postgres")]
            Self::Server(session) => session.values(query),
        }
    }

    /// All rows of `query`. Bytes are in hexadecimal digits after `\x`.
    pub fn rows(&self, query: &str) -> Vec<Row> {
        match self {
            Self::File(sql) => rows(sql, query).unwrap_or_else(|error| panic!("{query}: {error}")),
            #[cfg(feature = "postgres")]
            Self::Server(session) => session.rows(query),
        }
    }

    /// The names of the columns of a table or view.
    pub fn columns(&self, table: &str) -> Vec<String> {
        super::texts(
            self,
            &match self {
                Self::File(_) => format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"),
                #[cfg(feature = "postgres")]
                Self::Server(_) => format!(
                    "SELECT attname FROM pg_attribute
                     WHERE attrelid = to_regclass('{table}') AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
                ),
            },
        )
    }

    /// The names of the heap's tables, in alphabetical order.
    pub fn tables(&self) -> Vec<String> {
        let query = match self {
            Self::File(_) => {
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY name"
            }
            #[cfg(feature = "postgres")]
            Self::Server(_) => {
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE '\\_\\_%'
                 ORDER BY tablename COLLATE \"C\""
            }
        };
        super::texts(self, query)
    }

    /// The names of its views, in alphabetical order.
    pub fn views(&self) -> Vec<String> {
        let query = match self {
            Self::File(_) => {
                "SELECT name FROM sqlite_schema WHERE type = 'view' AND name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY name"
            }
            #[cfg(feature = "postgres")]
            Self::Server(_) => {
                "SELECT viewname FROM pg_views WHERE schemaname = current_schema() AND viewname NOT LIKE '\\_\\_%'
                 ORDER BY viewname COLLATE \"C\""
            }
        };
        super::texts(self, query)
    }

    /// `bytes` as a literal.
    pub fn bytes(&self, bytes: &[u8]) -> String {
        let digits = const_hex::encode(bytes);
        match self {
            Self::File(_) => format!("x'{digits}'"),
            #[cfg(feature = "postgres")]
            Self::Server(_) => format!("'\\x{digits}'::bytea"),
        }
    }
}

/// `text` as a literal.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn rows(sql: &Connection, query: &str) -> rusqlite::Result<Vec<Row>> {
    let mut statement = sql.prepare_cached(query)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns).map(|column| row.get_ref(column).map(text)).collect()
    })?;
    rows.collect()
}

fn text(value: ValueRef<'_>) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => text.to_owned(),
            Err(_) => text.escape_ascii().to_string(),
        },
        ValueRef::Blob(bytes) => format!("\\x{}", const_hex::encode(bytes)),
    })
}
