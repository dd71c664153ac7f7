//! What a schema holds, and what this role may do with it.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::location::ServerLocation;
use crate::error::{Result, ServerError};
use crate::store::conn::{Conn, on_engine};
use crate::store::read::ReadTx;
use crate::store::schema_fault::{Fault, SchemaRow};
use crate::store::settings::Access;
use crate::store::statement::{Statement, sql};

/// What was found at the address of a heap.
#[derive(Queryable)]
pub(super) struct Found {
    role: String,
    /// The encoding of the database.
    encoding: String,
    /// Whether the server is a standby.
    only_reads: bool,
    /// Whether there is a schema of this name.
    pub has_schema: bool,
    may_create: bool,
    may_enter: bool,
    /// How many of the tables that identify a heap exist.
    marks: i64,
    /// A table or view in the schema, whoever owns it.
    other: Option<String>,
    /// A table or view of the heap that the role may not read.
    unreadable: Option<String>,
    /// A table of the heap that the role may not write.
    unwritable: Option<String>,
    /// A function, an operator and a table with row security, of which a heap has none.
    function: Option<String>,
    operator: Option<String>,
    secured: Option<String>,
}

// The types are exact, so that no function or operator of the schema, which is in the search path,
// fits better than PostgreSQL's own. Without the collation of the type `name`, no index would be used.
// The tables of the catalog have no index by schema, and contain the rows of all heaps, so the
// contents of a schema are found by their dependency on it.
sql! {
    Look: (Text, Text, Bool, Bool, Bool, Bool, BigInt, Nullable<Text>, Nullable<Text>, Nullable<Text>,
        Nullable<Text>, Nullable<Text>, Nullable<Text>) =
        r#"WITH schema AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = (?::text)::name COLLATE pg_catalog."C"),
        members AS (
            SELECT classid, objid FROM pg_catalog.pg_depend
            WHERE refclassid = 'pg_catalog.pg_namespace'::regclass::oid AND refobjid = (SELECT oid FROM schema)),
        marks AS (
            SELECT c.relowner FROM pg_catalog.pg_class c, pg_catalog.pg_attribute a
            WHERE c.relnamespace = (SELECT oid FROM schema) AND c.relkind = 'r'::"char"
            AND (c.relname = 'memram'::name OR c.relname = 'format'::name)
            AND a.attrelid = c.oid AND a.attname = 'version'::name AND a.atttypid = 'pg_catalog.int8'::regtype::oid),
        parts AS (
            SELECT oid, relname::text AS name, relkind = 'r'::"char" AS is_table, relowner, relrowsecurity
            FROM members m JOIN pg_catalog.pg_class c ON c.oid = m.objid
            WHERE m.classid = 'pg_catalog.pg_class'::regclass::oid AND c.relnamespace = (SELECT oid FROM schema)
            AND (relkind = 'r'::"char" OR relkind = 'v'::"char" OR relkind = 'm'::"char" OR relkind = 'p'::"char")
            AND c.relname <> '__diesel_schema_migrations'::name
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = m.classid AND d.objid = c.oid AND d.deptype = 'e'::"char")),
        heap AS (SELECT * FROM parts WHERE relowner IN (SELECT relowner FROM marks))
        SELECT current_user::text, pg_catalog.getdatabaseencoding()::text, pg_catalog.pg_is_in_recovery(), EXISTS (SELECT FROM schema),
            CASE WHEN EXISTS (SELECT FROM schema)
                THEN pg_catalog.has_schema_privilege((SELECT oid FROM schema), 'CREATE'::text)
                ELSE pg_catalog.has_database_privilege(pg_catalog.current_database()::text, 'CREATE'::text) END,
            coalesce(pg_catalog.has_schema_privilege((SELECT oid FROM schema), 'USAGE'::text), FALSE),
            (SELECT count(*) FROM marks), (SELECT min(name) FROM parts),
            (SELECT min(name) FROM heap WHERE NOT pg_catalog.has_table_privilege(oid, 'SELECT'::text)),
            (SELECT min(name) FROM heap WHERE is_table
                AND NOT (pg_catalog.has_table_privilege(oid, 'INSERT'::text)
                    AND pg_catalog.has_table_privilege(oid, 'UPDATE'::text)
                    AND pg_catalog.has_table_privilege(oid, 'DELETE'::text))),
            (SELECT min(f.proname::text) FROM members m JOIN pg_catalog.pg_proc f ON f.oid = m.objid
                WHERE m.classid = 'pg_catalog.pg_proc'::regclass::oid),
            (SELECT min(o.oprname::text) FROM members m JOIN pg_catalog.pg_operator o ON o.oid = m.objid
                WHERE m.classid = 'pg_catalog.pg_operator'::regclass::oid),
            (SELECT min(name) FROM heap WHERE relrowsecurity)"#;
}

impl Found {
    /// Looks at the address of a heap. Runs nothing of the schema.
    pub(super) fn look(conn: &mut Conn, location: &ServerLocation) -> Result<Self> {
        let tx = &mut ReadTx::new(conn);
        let statement = Statement::<Look, 1>::new([location.address.schema().into()]);
        Ok(on_engine!(tx, |conn| statement.get_result(conn))?)
    }

    /// What may run as soon as the schema is used: a function or operator may fit an expression of a
    /// query better than PostgreSQL's own, and row security adds conditions to every query.
    pub(super) fn planted(&self) -> Vec<Fault> {
        let parts = [
            ("function", &self.function, &None),
            ("operator", &self.operator, &None),
            ("row security", &self.secured, &self.secured),
        ];
        let part = |(kind, name, table): (&str, &Option<String>, &Option<String>)| {
            let row = SchemaRow {
                kind: kind.to_owned(),
                name: name.clone()?,
                table: table.clone().unwrap_or_default(),
                sql: String::new(),
            };
            Some(Fault::on_server(None, Some(row)))
        };
        parts.into_iter().filter_map(part).collect()
    }

    /// Whether there is a heap.
    ///
    /// # Errors
    /// [`ServerError::Foreign`] if there are only somebody else's tables.
    pub(super) fn has_heap(&self, location: &ServerLocation) -> Result<bool> {
        match &self.other {
            _ if self.marks == 2 => Ok(true),
            None => Ok(false),
            Some(other) => Err(ServerError::Foreign {
                server: location.name(),
                why: format!("the table or view {other:?}"),
            }
            .into()),
        }
    }

    /// Fails if the heap cannot be created, or the role may not do so.
    pub(super) fn may_create(&self, location: &ServerLocation) -> Result<()> {
        self.may_write_at_all(location)?;
        if self.encoding != "UTF8" {
            return Err(ServerError::Encoding {
                server: location.name(),
                encoding: self.encoding.clone(),
            }
            .into());
        }
        let schema = location.address.schema();
        match (self.may_create, self.has_schema) {
            (true, _) => Ok(()),
            (false, false) => self.refuse(location, format!("create the schema {schema:?}")),
            (false, true) => self.refuse(location, format!("create tables in the schema {schema:?}")),
        }
    }

    /// Fails if the role may not use the heap like this.
    pub(super) fn may_use(&self, location: &ServerLocation, access: Access) -> Result<()> {
        if !self.may_enter {
            return self.refuse(location, format!("use the schema {:?}", location.address.schema()));
        }
        if let Some(part) = &self.unreadable {
            return self.refuse(location, format!("read {part:?}"));
        }
        if access == Access::Read {
            return Ok(());
        }
        self.may_write_at_all(location)?;
        match &self.unwritable {
            Some(part) => self.refuse(location, format!("write to {part:?}")),
            None => Ok(()),
        }
    }

    fn may_write_at_all(&self, location: &ServerLocation) -> Result<()> {
        if self.only_reads {
            return Err(ServerError::Standby {
                server: location.name(),
            }
            .into());
        }
        Ok(())
    }

    fn refuse(&self, location: &ServerLocation, what: String) -> Result<()> {
        Err(ServerError::NotAllowed {
            server: location.name(),
            role: self.role.clone(),
            what,
        }
        .into())
    }
}
