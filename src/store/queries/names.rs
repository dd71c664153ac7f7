//! Names and their objects.

use std::ops::ControlFlow;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};

use crate::error::{Error, Result};
use crate::models::schema::{names, stored_objects};
use crate::models::{MemRamId, Name, StoredObject, StoredObjectId};
use crate::store::conn::{on_engine, rows_of};
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// The names of an object, in alphabetical order.
pub fn of_object(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Vec<Name>> {
    Ok(names::table
        .filter(names::stored_object_id.eq(object))
        .order(names::name)
        .select(Name::as_select())
        .load(tx.conn()?)?)
}

/// The names of an object, byte for byte.
///
/// # Errors
/// [`Error::Damaged`] if one is not UTF-8.
pub fn exact(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Vec<String>> {
    let statement = Statement::<ReadNamesOf, 1>::new([object.0.into()]);
    let names: Vec<Vec<u8>> = on_engine!(tx, |conn| statement.load(conn))?;
    names.into_iter().map(utf8).collect()
}

/// A name as text.
///
/// # Errors
/// [`Error::Damaged`] if it is not UTF-8.
pub(super) fn utf8(name: Vec<u8>) -> Result<String> {
    String::from_utf8(name).map_err(|error| Error::Damaged {
        what: format!("the name \"{}\" is not UTF-8", error.as_bytes().escape_ascii()),
    })
}

sql! {
    ReadNamesOf: Binary = "SELECT CAST(name AS BLOB) FROM names WHERE stored_object_id = ? ORDER BY name",
        postgres "SELECT convert_to(name, 'UTF8') FROM names WHERE stored_object_id = ? ORDER BY name";
    ReadNames: (BigInt, BigInt, Binary) = "SELECT memram_id, stored_object_id, CAST(name AS BLOB) FROM names",
        postgres "SELECT memram_id, stored_object_id, convert_to(name, 'UTF8') FROM names";
}

/// The object that a name is bound to. O(log n).
pub fn resolve(tx: &mut ReadTx<'_>, space: MemRamId, name: &str) -> Result<Option<StoredObject>> {
    // A server cannot even be asked for it.
    if tx.is_on_server() && name.contains('\0') {
        return Ok(None);
    }
    let object = names::table
        .inner_join(stored_objects::table)
        .filter(names::memram_id.eq(space))
        .filter(names::name.eq(name));
    Ok(on_engine!(tx, |conn| object.select(StoredObject::as_select()).get_result(conn)).optional()?)
}

/// A name that is not UTF-8, because SQLite accepts any bytes as text.
#[derive(Queryable)]
pub struct Garbled {
    pub space: MemRamId,
    pub object: StoredObjectId,
    pub name: Vec<u8>,
}

/// Every name of the file that is not UTF-8, until `found` breaks. O(names).
pub fn each_garbled(tx: &mut ReadTx<'_>, mut found: impl FnMut(Garbled) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
    // A server accepts no other names.
    if tx.is_on_server() {
        return Ok(ControlFlow::Continue(()));
    }
    let names = Statement::<ReadNames, 0>::new([]);
    let age = tx.age();
    for name in rows_of!(tx, names, Garbled) {
        age.check()?;
        let name = name?;
        if std::str::from_utf8(&name.name).is_err() && found(name).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
