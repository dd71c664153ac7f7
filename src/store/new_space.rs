//! How a space is made.
#![allow(
    clippy::disallowed_methods,
    reason = "a new space has no books yet that a trigger could keep"
)]

use diesel::prelude::*;

use super::conn::Conn;
use super::numbers::Table;
use super::queries::{ids, spaces};
use super::read::ReadTx;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::schema::{events, memram, other_kinds, size_classes};
use crate::models::{EventId, EventKind, MemRamId, NewEvent, NewKind, NewMemRam, NewSizeClass, Timestamp};
use crate::value::Kind;

/// Makes a space, in the transaction that the caller has open. Returns `false` if its
/// name is taken.
pub(in crate::store) fn make(
    conn: &mut Conn,
    name: &str,
    max_mem: i64,
    geometry: &Geometry,
    now: Timestamp,
) -> Result<bool> {
    if spaces::by_name(&mut ReadTx::new(conn), name)?.is_some() {
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
        id: EventId(ids::last_id(&mut ReadTx::new(conn), Table::Events)? + 1),
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
