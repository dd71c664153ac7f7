//! Creation of the schema.

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::location::ServerLocation;
use super::{nodes, verify};
use crate::error::{Error, Result};
use crate::store::conn::Conn;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The advisory lock of processes that create heaps: "hLdg". They would only need to wait for others
/// that use the same schema, but creating a heap is rare.
const LOCK: i64 = 0x684c_6467;

/// Creates the heap of a location in one transaction. Returns `false` if another process has just done so.
///
/// On Citus the schema is distributed at the end, and then its tables are on one of the nodes. In a schema
/// that is already distributed, Citus would need the statements of the migration one by one.
pub(super) fn create(conn: &mut Conn, location: &ServerLocation, has_schema: bool) -> Result<bool> {
    location.is_for_definitions(conn)?;
    let is_cluster = location.is_cluster(conn)?;
    let schema = location.address.quoted_schema();
    conn.transaction(|conn| {
        if is_cluster {
            // Citus warns that it will not distribute views, and then does.
            conn.batch_execute("SET LOCAL client_min_messages TO error")?;
        }
        conn.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?;
        // `IF NOT EXISTS` would need the privilege to create a schema even if it exists.
        if !has_schema {
            conn.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))?;
        }
        let created = match conn {
            Conn::Postgres(conn) => conn.run_pending_migrations(MIGRATIONS).map(|new| !new.is_empty()),
            Conn::Sqlite(_) => Ok(false),
        };
        let created = created.map_err(|error| Error::database("the schema cannot be created", error))?;
        if created {
            verify::record_created(conn)?;
        }
        if is_cluster {
            nodes::distribute(conn, location)?;
        }
        Ok(created)
    })
}
