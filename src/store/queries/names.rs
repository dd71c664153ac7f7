//! Names and what they hold.

use diesel::prelude::*;

use crate::error::Result;
use crate::models::{MemRamId, Name, StoredObject, StoredObjectId};
use crate::store::conn::Conn;
use crate::store::schema::{names, stored_objects};

/// The names of an object, in alphabetical order.
pub fn of_object(conn: &mut Conn, object: StoredObjectId) -> Result<Vec<Name>> {
    let Conn::Sqlite(conn) = conn;
    Ok(names::table
        .filter(names::stored_object_id.eq(object))
        .order(names::name)
        .select(Name::as_select())
        .load(conn)?)
}

/// The object that a name is bound to. O(log n).
pub fn resolve(conn: &mut Conn, space: MemRamId, name: &str) -> Result<Option<StoredObject>> {
    let Conn::Sqlite(conn) = conn;
    Ok(names::table
        .inner_join(stored_objects::table)
        .filter(names::memram_id.eq(space))
        .filter(names::name.eq(name))
        .select(StoredObject::as_select())
        .get_result(conn)
        .optional()?)
}
