//! Spaces with their geometry and totals.

use diesel::dsl::max;
use diesel::prelude::*;

use crate::error::{Error, Result, SpaceError};
use crate::geometry::{Geometry, SizeClass};
use crate::identity::Kind;
use crate::models::schema::{dropped_spaces, kinds, memram, size_classes};
use crate::models::{DroppedSpace, KindTotals, MemRam, MemRamId, SizeClassTotals};
use crate::store::read::ReadTx;

/// All spaces of the file.
pub fn all(tx: &mut ReadTx<'_>) -> Result<Vec<MemRam>> {
    Ok(memram::table
        .order(memram::id)
        .select(MemRam::as_select())
        .load(tx.conn()?)?)
}

/// The space of this name.
pub fn by_name(tx: &mut ReadTx<'_>, name: &str) -> Result<Option<MemRam>> {
    let query = memram::table.filter(memram::name.eq(name)).select(MemRam::as_select());
    Ok(query.get_result(tx.conn()?).optional()?)
}

/// The space with this key.
///
/// # Errors
/// [`SpaceError::Dropped`].
pub fn get(tx: &mut ReadTx<'_>, id: MemRamId) -> Result<MemRam> {
    let query = memram::table.find(id).select(MemRam::as_select());
    match query.get_result(tx.conn()?).optional()? {
        Some(space) => Ok(space),
        None => Err(gone(tx, id)),
    }
}

/// The error of a call on a space that has no row.
pub fn gone(tx: &mut ReadTx<'_>, id: MemRamId) -> Error {
    match dropped(tx, id) {
        Ok(Some(space)) => SpaceError::Dropped {
            space: space.name,
            at: space.dropped_at,
        }
        .into(),
        Ok(None) => Error::Damaged {
            what: "the row of the space is missing".into(),
        },
        Err(error) => error,
    }
}

/// Fails if a space is dropped. Called when something was not found, because nothing else would notice it then.
///
/// # Errors
/// [`SpaceError`].
pub fn is_there(tx: &mut ReadTx<'_>, id: MemRamId) -> Result<()> {
    get(tx, id)?.is_kept()
}

/// What a space had that was dropped.
pub fn dropped(tx: &mut ReadTx<'_>, id: MemRamId) -> Result<Option<DroppedSpace>> {
    let query = dropped_spaces::table.find(id).select(DroppedSpace::as_select());
    Ok(query.get_result(tx.conn()?).optional()?)
}

/// The spaces that were dropped, in the order of their creation.
pub fn all_dropped(tx: &mut ReadTx<'_>) -> Result<Vec<DroppedSpace>> {
    Ok(dropped_spaces::table
        .order(dropped_spaces::id)
        .select(DroppedSpace::as_select())
        .load(tx.conn()?)?)
}

/// The highest key that any space ever had.
pub fn last_id(tx: &mut ReadTx<'_>) -> Result<i64> {
    let conn = tx.conn()?;
    let last: Option<i64> = memram::table.select(max(memram::id)).get_result(conn)?;
    let dropped: Option<i64> = dropped_spaces::table.select(max(dropped_spaces::id)).get_result(conn)?;
    Ok(last.max(dropped).unwrap_or_default())
}

/// The size classes of a space with their totals, smallest first.
pub fn classes(tx: &mut ReadTx<'_>, id: MemRamId) -> Result<Vec<SizeClassTotals>> {
    Ok(size_classes::table
        .filter(size_classes::memram_id.eq(id))
        .order(size_classes::block_size)
        .select(SizeClassTotals::as_select())
        .load(tx.conn()?)?)
}

/// How many objects of each kind a space holds.
pub fn kinds(tx: &mut ReadTx<'_>, id: MemRamId) -> Result<Vec<KindTotals>> {
    let mut kinds: Vec<KindTotals> = kinds::table
        .filter(kinds::memram_id.eq(id))
        .select(KindTotals::as_select())
        .load(tx.conn()?)?;
    // In the order in which SQLite returns them, which has an index for that.
    kinds.sort_by_key(|totals| (totals.kind != Kind::Bytes, totals.kind.as_str()));
    Ok(kinds)
}

/// The geometry of a space.
///
/// # Errors
/// If the sizes in the file do not fit each other.
pub fn geometry(tx: &mut ReadTx<'_>, space: &MemRam) -> Result<Geometry> {
    let classes = classes(tx, space.id)?;
    let classes = classes.iter().map(|class| SizeClass {
        block_size: class.block_size,
        pool_size: class.pool_size,
    });
    Geometry::new(space.arena_size, space.per_block, classes.collect())
}
