//! Opening a heap.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::access::Found;
use super::engine::PostgresEngine;
use super::location::ServerLocation;
use super::nodes::Link;
use super::readers::ServerReaders;
use super::{migrations, verify};
use crate::error::{Error, Result, ServerError};
use crate::store::conn::{Conn, on_engine};
use crate::store::gate::refuse_reentry;
use crate::store::new_space::{SpaceToMake, make};
use crate::store::queries::audit::Violation;
use crate::store::read::ReadTx;
use crate::store::schema_fault::Fault;
use crate::store::settings::Access;
use crate::store::statement::{Statement, sql};

/// The format of the schema that this version knows.
const FORMAT: i64 = 101;

/// A heap on a server whose space is still to be found or created.
pub(crate) struct ServerOpening {
    location: ServerLocation,
    access: Access,
    conn: Link,
}

sql! {
    Format: BigInt = "SELECT version FROM format";
}

impl ServerLocation {
    /// Opens the heap; for writing, `create` creates it if missing.
    pub fn open(self, access: Access, create: bool) -> Result<ServerOpening> {
        let conn = self.opened(access, create).map_err(|error| self.explained(error))?;
        Ok(ServerOpening {
            location: self,
            access,
            conn,
        })
    }

    fn opened(&self, access: Access, create: bool) -> Result<Link> {
        let mut conn = self.connect(access)?;
        let found = Found::look(&mut conn, self)?;
        let has_heap = found.has_heap(self)?;
        if has_heap {
            found.may_use(self, access)?;
        } else {
            if !create || access == Access::Read {
                return Err(ServerError::NoHeap { server: self.name() }.into());
            }
            found.may_create(self)?;
        }
        self.refuse_planted(&found)?;
        if !has_heap {
            let created = migrations::create(&mut conn, self, found.has_schema)?;
            if self.is_cluster(&mut conn)? {
                // Connects to the node where the heap is now.
                conn = self.connect(access)?;
            } else if created {
                return Ok(conn);
            }
        }
        self.check_format(&mut conn)?;
        verify::verify_schema(&mut conn, self, access)?;
        Ok(conn)
    }

    /// The error of a statement of the call that opens the heap.
    fn explained(&self, error: Error) -> Error {
        self.deadline().stamp(self.name_in(error))
    }

    fn check_format(&self, conn: &mut Conn) -> Result<()> {
        let tx = &mut ReadTx::new(conn);
        let statement = Statement::<Format, 0>::new([]);
        let found: i64 = on_engine!(tx, |conn| statement.get_result(conn))?;
        if found == FORMAT {
            return Ok(());
        }
        Err(ServerError::Format {
            server: self.name(),
            found,
            known: FORMAT,
        }
        .into())
    }

    /// An engine whose transactions defer foreign keys and exclude writers of all spaces, for repair.
    pub(in crate::store) fn engine_for_repair(&self) -> Result<PostgresEngine> {
        Ok(PostgresEngine::for_repair(
            self.clone(),
            self.connect_for_definitions()?,
        ))
    }

    /// The differences between the schema of a heap and that of this version.
    pub fn check_schema(&self) -> Result<Vec<Violation>> {
        let mut conn = self.connect(Access::Read)?;
        let planted = self.look(&mut conn)?.planted();
        if !planted.is_empty() {
            return Ok(Fault::violations(&planted));
        }
        self.check_format(&mut conn)?;
        Ok(Fault::violations(&verify::faults(&mut conn)?))
    }

    /// Recreates missing and altered parts of the schema, and returns them.
    pub fn restore_schema(&self) -> Result<Vec<Violation>> {
        let mut conn = self.connect_for_definitions()?;
        let found = self.look(&mut conn)?;
        self.refuse_planted(&found)?;
        self.check_format(&mut conn)?;
        verify::restore_parts(&mut conn, self)
    }

    /// Looks at a heap, whatever its format and its views are.
    fn look(&self, conn: &mut Conn) -> Result<Found> {
        let found = Found::look(conn, self)?;
        match found.has_heap(self)? {
            true => Ok(found),
            false => Err(ServerError::NoHeap { server: self.name() }.into()),
        }
    }

    /// Refuses a schema in which the first query might run what somebody added.
    fn refuse_planted(&self, found: &Found) -> Result<()> {
        let planted = found.planted();
        match planted.is_empty() {
            true => Ok(()),
            false => Err(Fault::error(&planted, self.named())),
        }
    }
}

impl ServerOpening {
    pub fn location(&self) -> &ServerLocation {
        &self.location
    }

    pub fn read(&mut self) -> ReadTx<'_> {
        ReadTx::new(&mut self.conn)
    }

    /// Creates a space in a separate transaction. Returns `false` if its name is taken.
    pub fn make_space(&mut self, space: SpaceToMake<'_>) -> Result<bool> {
        refuse_reentry(self.location.heap_id())?;
        // A new space gets the next number, so only one may be created at a time.
        let made = self.conn.transaction(|conn| {
            conn.batch_execute("SELECT id FROM heap WHERE id = 1 FOR UPDATE")?;
            make(conn, space)
        });
        made.map_err(|error| self.location.explained(error))
    }

    /// The readers of the heap and, if it was opened for writing, the engine of a writer.
    pub(in crate::store) fn finish(self) -> Result<(ServerLocation, ServerReaders, Option<PostgresEngine>)> {
        let Self {
            mut location,
            access,
            mut conn,
        } = self;
        location.settings.opening = None;
        if access == Access::Write {
            location.plan_for_writing(&mut conn)?;
        }
        let (reader, engine) = match access {
            Access::Read => (Some(conn), None),
            Access::Write => (None, Some(PostgresEngine::new(location.clone(), conn))),
        };
        Ok((location.clone(), ServerReaders::new(location, reader), engine))
    }
}
