//! Creation of the schema.

use diesel::Connection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connect::allow_guarded_writes;
use crate::error::{Error, Result};
use crate::store::conn::Conn;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// A heap in memory, for experiments.
pub(in crate::store) fn in_memory() -> Result<Conn> {
    let conn = diesel::SqliteConnection::establish(":memory:").map_err(|source| Error::Database {
        what: "SQLite cannot be used",
        source: Box::new(source),
    })?;
    let mut conn = Conn::Sqlite(conn);
    run_migrations(&mut conn)?;
    Ok(conn)
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
