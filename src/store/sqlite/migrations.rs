//! Creation of the schema.

use std::sync::OnceLock;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::guards::allow_guarded_writes;
use crate::error::{Error, Result};
use crate::store::conn::Conn;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// What must precede the first table.
pub(in crate::store) const FIRST_SETTINGS: &str = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;";

/// A heap in memory, for experiments.
pub(in crate::store) fn in_memory() -> Result<Conn> {
    let conn = diesel::SqliteConnection::establish(":memory:").map_err(|source| Error::Database {
        what: "SQLite cannot be used",
        source: Box::new(source),
    })?;
    let mut conn = Conn::Sqlite(conn);
    conn.batch_execute(FIRST_SETTINGS)?;
    run_migrations(&mut conn)?;
    Ok(conn)
}

/// The bytes of a heap file without a space, in WAL mode: a quarter of a mebibyte, kept because a process that
/// creates many heaps would spend most of the time on the schema.
pub(in crate::store) fn empty_heap() -> Result<&'static [u8]> {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(empty) = EMPTY.get() {
        return Ok(empty);
    }
    let serialized = in_memory()?.sqlite()?.serialize_database_to_buffer();
    let mut empty = serialized.try_as_slice()?.to_vec();
    // <https://www.sqlite.org/fileformat.html#file_format_version_numbers>
    if let Some(versions) = empty.get_mut(18..20) {
        versions.fill(2);
    }
    Ok(EMPTY.get_or_init(|| empty))
}

pub(in crate::store) fn run_migrations(conn: &mut Conn) -> Result<()> {
    let conn = conn.sqlite()?;
    allow_guarded_writes(conn)?;
    // One transaction, so that a process killed halfway leaves nothing of the schema.
    conn.exclusive_transaction(|conn| {
        conn.run_pending_migrations(MIGRATIONS)
            .map(drop)
            .map_err(diesel::result::Error::QueryBuilderError)
    })
    .map_err(|source| match Error::from(source) {
        Error::Database { source, .. } => Error::database("the schema cannot be created", source),
        known => known,
    })
}
