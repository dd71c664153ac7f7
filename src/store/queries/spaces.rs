//! Spaces with their geometry and totals.

use diesel::prelude::*;

use crate::error::Result;
use crate::geometry::{Geometry, SizeClass};
use crate::identity::Kind;
use crate::models::schema::{kinds, memram, size_classes};
use crate::models::{KindTotals, MemRam, MemRamId, SizeClassTotals};
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
pub fn get(tx: &mut ReadTx<'_>, id: MemRamId) -> Result<MemRam> {
    Ok(memram::table
        .find(id)
        .select(MemRam::as_select())
        .get_result(tx.conn()?)?)
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
    // As SQLite returns them, which has an index for that.
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
