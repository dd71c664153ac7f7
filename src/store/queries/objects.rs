//! Stored objects.

use diesel::prelude::*;

use crate::error::Result;
use crate::models::{MemRamId, StoredObject, StoredObjectId};
use crate::store::conn::Conn;
use crate::store::schema::{objects, stored_objects};

/// A row of the view `objects`: what people want to know of an object.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = objects)]
pub struct ObjectInfo {
    /// Key.
    pub id: StoredObjectId,
    /// The SHA-256, as 64 lower-case hexadecimal digits.
    pub object_id: String,
    /// The name of its space.
    pub space: String,
    /// Its names, joined with `, `.
    pub names: Option<String>,
    /// `bytes`, `str`, `int`, `float`, `bool`, `none` or `json`.
    pub kind: String,
    /// For `json`, the Rust type that was stored.
    pub type_name: Option<String>,
    /// Bytes of content.
    pub size: i64,
    /// Number of ledger entries.
    pub pieces: i64,
    /// Whether an allocation without a name holds it.
    pub held: bool,
    /// When it was stored, as UTC.
    pub created: String,
    /// The value, where it is text in one piece.
    pub value: Option<String>,
}

/// The object with this id. O(log n).
pub fn find(conn: &mut Conn, space: MemRamId, object_id: &str) -> Result<Option<StoredObject>> {
    let Conn::Sqlite(conn) = conn;
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        .filter(stored_objects::object_id.eq(object_id))
        .select(StoredObject::as_select())
        .get_result(conn)
        .optional()?)
}

/// Bytes that an object should have.
pub fn size(conn: &mut Conn, object: StoredObjectId) -> Result<Option<i64>> {
    Ok(stored_objects::table
        .find(object)
        .select(stored_objects::size)
        .get_result(conn)
        .optional()?)
}

/// Ids that start with `prefix`, at most `limit`. O(log n + limit).
pub fn with_prefix(conn: &mut Conn, space: MemRamId, prefix: &str, limit: i64) -> Result<Vec<String>> {
    // 'g' sorts behind every hexadecimal digit: the range is what LIKE 'prefix%' means,
    // spelled so that the unique index serves it.
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        .filter(stored_objects::object_id.ge(prefix))
        .filter(stored_objects::object_id.lt(format!("{prefix}g")))
        .order(stored_objects::object_id)
        .limit(limit)
        .select(stored_objects::object_id)
        .load(conn)?)
}

/// The next objects of the whole file by key.
pub fn page_of_file(conn: &mut Conn, after: StoredObjectId, limit: i64) -> Result<Vec<StoredObject>> {
    Ok(stored_objects::table
        .filter(stored_objects::id.gt(after))
        .order(stored_objects::id)
        .limit(limit)
        .select(StoredObject::as_select())
        .load(conn)?)
}

/// The next objects of a space, in the order in which they were stored, as rows of
/// the view `objects`.
pub fn info_page(conn: &mut Conn, space: &str, after: StoredObjectId, limit: i64) -> Result<Vec<ObjectInfo>> {
    Ok(objects::table
        .filter(objects::space.eq(space))
        .filter(objects::id.gt(after))
        .order(objects::id)
        .limit(limit)
        .select(ObjectInfo::as_select())
        .load(conn)?)
}

/// One object as a row of the view `objects`.
pub fn info(conn: &mut Conn, id: StoredObjectId) -> Result<ObjectInfo> {
    Ok(objects::table
        .filter(objects::id.eq(id))
        .select(ObjectInfo::as_select())
        .get_result(conn)?)
}

/// The largest objects of at least `LARGE` bytes, largest first. O(log n + limit).
pub fn largest(conn: &mut Conn, space: MemRamId, limit: i64) -> Result<Vec<StoredObject>> {
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        // Spelled as in the partial index, so that SQLite may use it.
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("size >= 4096"))
        .order((stored_objects::size.desc(), stored_objects::id))
        .limit(limit)
        .select(StoredObject::as_select())
        .load(conn)?)
}

/// The largest objects of any size. O(n).
pub fn largest_of_all(conn: &mut Conn, space: MemRamId, limit: i64) -> Result<Vec<StoredObject>> {
    Ok(stored_objects::table
        .filter(stored_objects::memram_id.eq(space))
        .order((stored_objects::size.desc(), stored_objects::id))
        .limit(limit)
        .select(StoredObject::as_select())
        .load(conn)?)
}
