//! Spaces with their geometry and totals, and how a space is made.
#![allow(
    clippy::disallowed_methods,
    reason = "a new space has no books yet that a trigger could keep"
)]

use diesel::prelude::*;

use crate::error::Result;
use crate::geometry::{Geometry, SizeClass};
use crate::models::schema::{events, kinds, memram, other_kinds, size_classes};
use crate::models::{
    EventId, EventKind, KindTotals, MemRam, MemRamId, NewEvent, NewKind, NewMemRam, NewSizeClass, SizeClassTotals,
    Timestamp,
};
use crate::store::numbers::Table;
use crate::store::queries::ids;
use crate::store::sqlite::conn::Conn;
use crate::value::Kind;

/// All spaces of the file.
pub fn all(conn: &mut Conn) -> Result<Vec<MemRam>> {
    Ok(memram::table.order(memram::id).select(MemRam::as_select()).load(conn)?)
}

/// The space of this name.
pub fn by_name(conn: &mut Conn, name: &str) -> Result<Option<MemRam>> {
    let query = memram::table.filter(memram::name.eq(name)).select(MemRam::as_select());
    Ok(query.get_result(conn).optional()?)
}

/// The space with this key.
pub fn get(conn: &mut Conn, id: MemRamId) -> Result<MemRam> {
    Ok(memram::table.find(id).select(MemRam::as_select()).get_result(conn)?)
}

/// The size classes of a space with their totals, smallest first.
pub fn classes(conn: &mut Conn, id: MemRamId) -> Result<Vec<SizeClassTotals>> {
    Ok(size_classes::table
        .filter(size_classes::memram_id.eq(id))
        .order(size_classes::block_size)
        .select(SizeClassTotals::as_select())
        .load(conn)?)
}

/// How many objects of each kind a space holds.
pub fn kinds(conn: &mut Conn, id: MemRamId) -> Result<Vec<KindTotals>> {
    Ok(kinds::table
        .filter(kinds::memram_id.eq(id))
        .select(KindTotals::as_select())
        .load(conn)?)
}

/// The geometry of a space.
///
/// # Errors
/// If the sizes in the file do not fit each other.
pub fn geometry(conn: &mut Conn, space: &MemRam) -> Result<Geometry> {
    let unsigned = |size: i64| u64::try_from(size).unwrap_or(0);
    let classes = classes(conn, space.id)?;
    let classes = classes.iter().map(|class| SizeClass {
        block_size: unsigned(class.block_size),
        pool_size: unsigned(class.pool_size),
    });
    Geometry::new(unsigned(space.arena_size), unsigned(space.per_block), classes.collect())
}

/// Makes a space, in the transaction that the caller has open. Returns `false` if its
/// name is taken.
pub fn make(conn: &mut Conn, name: &str, max_mem: i64, geometry: &Geometry, now: Timestamp) -> Result<bool> {
    if by_name(conn, name)?.is_some() {
        return Ok(false);
    }
    let last: Option<i64> = memram::table.select(diesel::dsl::max(memram::id)).get_result(conn)?;
    let id = MemRamId(last.unwrap_or(0) + 1);
    let space = NewMemRam {
        id,
        name,
        max_mem,
        arena_size: geometry.arena_size() as i64,
        per_block: geometry.per_block() as i64,
        created_at: now,
    };
    diesel::insert_into(memram::table).values(space).execute(conn)?;
    for class in geometry.classes() {
        let class = NewSizeClass {
            memram_id: id,
            block_size: class.block_size as i64,
            pool_size: class.pool_size as i64,
        };
        diesel::insert_into(size_classes::table).values(class).execute(conn)?;
    }
    for kind in Kind::ALL.into_iter().filter(|&kind| kind != Kind::Bytes) {
        let kind = NewKind {
            memram_id: id,
            kind: kind.as_str(),
        };
        diesel::insert_into(other_kinds::table).values(kind).execute(conn)?;
    }
    open_books(conn, id, max_mem, now)?;
    Ok(true)
}

fn open_books(conn: &mut Conn, id: MemRamId, max_mem: i64, now: Timestamp) -> Result<()> {
    let event = NewEvent {
        id: EventId(ids::last_id(conn, Table::Events)? + 1),
        memram_id: id,
        at: now,
        kind: EventKind::Opening,
        actor: None,
        reason: None,
        object: None,
        name: None,
        bytes: 0,
        mem: 0,
        payload: 0,
        room_in_blocks: 0,
        uncarved_in_pools: 0,
        uncarved_in_arenas: 0,
        unreserved: max_mem,
        capacity: max_mem,
        changes: None,
    };
    diesel::insert_into(events::table).values(event).execute(conn)?;
    Ok(())
}
