//! Names and their objects.

use std::ops::ControlFlow;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use crate::error::{Error, Result};
use crate::models::schema::{names, stored_objects};
use crate::models::{Ends, MemRamId, Name, Shown, StoredObject, StoredObjectId, Term, Timestamp, is_over};
use crate::store::conn::{on_engine, rows_of};
use crate::store::queries::objects::alive;
use crate::store::queries::tags::Tags;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, Value, sql};
use crate::value::{Kind, ObjectId};

/// Limit for a name, in bytes.
pub const MOST_BYTES: usize = 4096;

/// The names of an object, in alphabetical order, even if they have expired.
pub fn of_object(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Vec<Name>> {
    Ok(names::table
        .filter(names::stored_object_id.eq(object))
        .order(names::name)
        .select(Name::as_select())
        .load(tx.conn()?)?)
}

/// The names of these objects, in alphabetical order, without those that have expired.
pub fn of_ids(tx: &mut ReadTx<'_>, space: MemRamId, ids: &[ObjectId]) -> Result<Vec<(ObjectId, String)>> {
    let now = tx.now();
    let digits: Vec<_> = ids.iter().map(|id| id.to_hex()).collect();
    let found: Vec<(ObjectId, Shown)> = names::table
        .inner_join(stored_objects::table)
        .filter(stored_objects::memram_id.eq(space))
        .filter(stored_objects::object_id.eq_any(digits))
        .filter(alive!(names, now))
        .order(names::name)
        .select((stored_objects::object_id, names::name))
        .load(tx.conn()?)?;
    Ok(found.into_iter().map(|(id, name)| (id, name.into())).collect())
}

/// A name of an object, when it expires, and its tags if they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptName {
    pub name: String,
    pub expires_at: Option<Timestamp>,
    pub tags: Tags,
}

impl KeptName {
    pub fn new(name: String, expires_at: Option<Timestamp>) -> Self {
        Self {
            name,
            expires_at,
            tags: Tags::new(),
        }
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        is_over(self.expires_at, now)
    }
}

/// The names of an object, byte for byte, even if they have expired.
///
/// # Errors
/// [`Error::Damaged`] if one is not UTF-8.
pub fn exact(tx: &mut ReadTx<'_>, object: StoredObjectId) -> Result<Vec<KeptName>> {
    let statement = Statement::<ReadNamesOf, 1>::new([object.0.into()]);
    let names: Vec<(Vec<u8>, Option<Timestamp>)> = on_engine!(tx, |conn| statement.load(conn))?;
    let names = names
        .into_iter()
        .map(|(name, expires_at)| Ok(KeptName::new(utf8(name)?, expires_at)));
    names.collect()
}

/// When the last of an object's names ends, besides `leaving`, if it has any. O(log n).
pub fn last_end(tx: &mut ReadTx<'_>, object: StoredObjectId, leaving: Option<&str>) -> Result<Option<Ends>> {
    let leaving = Value::from(leaving);
    let (object, one) = (object.0.into(), object.0.into());
    let statement = Statement::<ReadLastEnd, 4>::new([object, leaving, one, leaving]);
    let ends: Vec<Option<Timestamp>> = on_engine!(tx, |conn| statement.load(conn))?;
    Ok(ends.into_iter().map(Ends).max())
}

/// Names of a space that have expired, with their objects, in the order in which they expired.
/// O(log n + limit).
pub fn over(tx: &mut ReadTx<'_>, space: MemRamId, now: Timestamp, limit: i64) -> Result<Vec<(String, StoredObject)>> {
    Ok(names::table
        .inner_join(stored_objects::table)
        .filter(names::memram_id.eq(space))
        // Written as in the partial index, so that SQLite can use it.
        .filter(names::expires_at.is_not_null())
        .filter(names::expires_at.le(now))
        .order((names::expires_at, names::name))
        .limit(limit)
        .select((names::name, StoredObject::as_select()))
        .load(tx.conn()?)?)
}

/// A name with what it is bound to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct NameInfo {
    /// The name.
    pub name: String,
    /// The SHA-256 of the content of its object.
    pub object_id: ObjectId,
    /// Key of the object's row.
    pub stored_object_id: StoredObjectId,
    /// The kind of the object.
    pub kind: Kind,
    /// Bytes of the object's content.
    pub size: u64,
    /// When it was bound.
    pub bound_at: Timestamp,
    /// When it expires; `None` if it never does.
    pub expires_at: Option<Timestamp>,
    /// When its object was stored.
    pub stored_at: Timestamp,
    /// Its tags: values by key.
    pub tags: Tags,
}

/// The names that begin with a text, by their bytes.
#[derive(Debug, Clone)]
pub struct NameRange {
    from: String,
    /// The upper end: the names that begin with the text sort before it.
    until: String,
}

impl NameRange {
    pub fn of(prefix: &str) -> Self {
        let next = prefix.char_indices().rev().find_map(|(start, last)| {
            // Also steps over the surrogates.
            let next = (last..=char::MAX).nth(1)?;
            Some(format!("{}{next}", prefix.get(..start)?))
        });
        let until = next.unwrap_or_else(|| char::MAX.to_string().repeat(MOST_BYTES / 4 + 1));
        let from = prefix.to_owned();
        Self { from, until }
    }
}

/// The next names of a space in a range, in the order of their bytes, without those that have expired.
/// O(log n + limit).
///
/// # Errors
/// [`Error::Damaged`] if one is not UTF-8.
pub fn page(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    range: &NameRange,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<NameInfo>> {
    let now = tx.now().as_micros();
    let is_first = after.is_none();
    let from = after.unwrap_or(&range.from);
    let values = [
        space.0.into(),
        from.into(),
        range.until.as_str().into(),
        now.into(),
        limit.into(),
    ];
    let rows: Vec<NameRow> = on_engine!(tx, |conn| match is_first {
        true => Statement::<ReadNamesFrom, 5>::new(values).load(conn),
        false => Statement::<ReadNamesAfter, 5>::new(values).load(conn),
    })?;
    let mut names: Vec<_> = rows.into_iter().map(NameRow::info).collect::<Result<_>>()?;
    let (Some(first), Some(last)) = (names.first(), names.last()) else {
        return Ok(names);
    };
    let objects: Vec<_> = names.iter().map(|name| name.stored_object_id).collect();
    let mut tags = super::tags::of_names(tx, &objects, &first.name, &last.name)?;
    for name in &mut names {
        let key = (name.stored_object_id, name.name.clone());
        name.tags = tags.remove(&key).unwrap_or_default();
    }
    Ok(names)
}

/// A row of [`NameInfo`].
#[derive(Queryable)]
struct NameRow {
    name: Vec<u8>,
    object_id: ObjectId,
    stored_object_id: StoredObjectId,
    kind: Kind,
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    size: u64,
    bound_at: Timestamp,
    expires_at: Option<Timestamp>,
    stored_at: Timestamp,
}

impl NameRow {
    fn info(self) -> Result<NameInfo> {
        Ok(NameInfo {
            name: utf8(self.name)?,
            object_id: self.object_id,
            stored_object_id: self.stored_object_id,
            kind: self.kind,
            size: self.size,
            bound_at: self.bound_at,
            expires_at: self.expires_at,
            stored_at: self.stored_at,
            tags: Tags::new(),
        })
    }
}

macro_rules! names_from {
    ($bytes:literal, $first:literal, $alive:literal) => {
        concat!(
            "SELECT ",
            $bytes,
            ", o.object_id, o.id, o.kind, o.size, n.bound_at, n.expires_at, o.created_at \
             FROM names n JOIN stored_objects o ON o.id = n.stored_object_id \
             WHERE n.memram_id = ? AND n.name ",
            $first,
            " ? AND n.name < ? AND ",
            $alive,
            " ORDER BY n.name LIMIT ?"
        )
    };
}

type NameTypes = (Binary, Text, BigInt, Text, BigInt, BigInt, Nullable<BigInt>, BigInt);

sql! {
    ReadNamesFrom: NameTypes = names_from!("CAST(n.name AS BLOB)", ">=", "coalesce(n.expires_at > ?, 1)"),
        postgres names_from!("convert_to(n.name, 'UTF8')", ">=", "coalesce(n.expires_at > ?, true)");
    ReadNamesAfter: NameTypes = names_from!("CAST(n.name AS BLOB)", ">", "coalesce(n.expires_at > ?, 1)"),
        postgres names_from!("convert_to(n.name, 'UTF8')", ">", "coalesce(n.expires_at > ?, true)");
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
    ReadNamesOf: (Binary, Nullable<BigInt>) = "SELECT CAST(name AS BLOB), expires_at FROM names WHERE stored_object_id = ? \
        ORDER BY name",
        postgres "SELECT convert_to(name, 'UTF8'), expires_at FROM names WHERE stored_object_id = ? ORDER BY name";
    // One that never ends, if there is one, and the last one that ends.
    ReadLastEnd: Nullable<BigInt> = "SELECT * FROM (SELECT expires_at FROM names \
        WHERE stored_object_id = ? AND name IS DISTINCT FROM ? AND expires_at IS NULL LIMIT 1) endless \
        UNION ALL SELECT * FROM (SELECT expires_at FROM names \
        WHERE stored_object_id = ? AND name IS DISTINCT FROM ? AND expires_at IS NOT NULL ORDER BY expires_at DESC LIMIT 1) last";
    ReadNames: (BigInt, BigInt, Binary) = "SELECT memram_id, stored_object_id, CAST(name AS BLOB) FROM names",
        postgres "SELECT memram_id, stored_object_id, convert_to(name, 'UTF8') FROM names";
}

/// The object that a name is bound to, unless it has expired. O(log n).
pub fn resolve(tx: &mut ReadTx<'_>, space: MemRamId, name: &str) -> Result<Option<StoredObject>> {
    Ok(resolve_with_term(tx, space, name)?.map(|(object, _)| object))
}

/// The same, with how long the name lasts.
pub fn resolve_with_term(tx: &mut ReadTx<'_>, space: MemRamId, name: &str) -> Result<Option<(StoredObject, Term)>> {
    let bound = bound(tx, space, name)?;
    let bound = bound.filter(|bound| !is_over(bound.expires_at, tx.now()));
    Ok(bound.and_then(|bound| {
        let term = bound.term();
        Some((bound.object.seen_at(tx.now())?, term))
    }))
}

/// What a name is bound to.
#[derive(Debug, Clone, Queryable)]
pub struct Bound {
    pub object: StoredObject,
    pub bound_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    #[diesel(deserialize_as = crate::models::amount::AmountIfAny)]
    pub refresh: Option<u64>,
}

impl Bound {
    /// How long the name lasts.
    pub fn term(&self) -> Term {
        Term {
            ends: self.expires_at,
            refresh: self.refresh,
        }
    }
}

/// What a name is bound to, even if it has expired and is not given back yet. O(log n).
pub fn bound(tx: &mut ReadTx<'_>, space: MemRamId, name: &str) -> Result<Option<Bound>> {
    // A text with a NUL cannot be sent to a server.
    if tx.is_on_server() && name.contains('\0') {
        return Ok(None);
    }
    let object = names::table
        .inner_join(stored_objects::table)
        .filter(names::memram_id.eq(space))
        .filter(names::name.eq(name));
    Ok(on_engine!(tx, |conn| {
        let bound = object.select((
            StoredObject::as_select(),
            names::bound_at,
            names::expires_at,
            names::refresh,
        ));
        bound.get_result(conn)
    })
    .optional()?)
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
