//! The objects in an arena.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::error::Result;
use crate::models::schema::arenas;
use crate::models::{Arena, ArenaId, MemRamId, ShownList, StoredObjectId, unsigned};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};
use crate::value::{Kind, ObjectId};

/// An object with bytes in an arena. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Occupant {
    /// The arena.
    pub arena_id: ArenaId,
    /// Bytes of the arena.
    pub max_mem: u64,
    /// Bytes of content of all objects in it.
    pub mem: u64,
    /// How many objects have bytes in it, including those beyond the limit and those that have expired.
    pub objects: u64,
    /// Key of the object.
    pub stored_object_id: StoredObjectId,
    /// The object's id.
    pub object_id: ObjectId,
    /// Its names, in alphabetical order.
    pub names: Vec<String>,
    /// Its kind.
    pub kind: Kind,
    /// Bytes of the whole object.
    pub size: u64,
    /// Whether an allocation without a name holds it.
    pub held: bool,
    /// Ledger entries that it has in the arena.
    pub pieces: u64,
    /// Bytes that it has in the arena.
    pub allocated_mem: u64,
}

/// Arenas that are not empty, but less than `percent` used; emptiest first. O(arenas).
pub fn nearly_empty(tx: &mut ReadTx<'_>, space: MemRamId, percent: i64) -> Result<Vec<Arena>> {
    Ok(arenas::table
        .filter(arenas::memram_id.eq(space))
        .filter(arenas::mem.gt(0))
        .filter((arenas::mem * 100).lt(arenas::max_mem * percent))
        .order((arenas::mem, arenas::id))
        .select(Arena::as_select())
        .load(tx.conn()?)?)
}

/// The objects that have bytes in an arena, those with the most first, without those that have expired. O(entries in
/// the arena).
pub fn of_arena(tx: &mut ReadTx<'_>, arena: &Arena, limit: i64) -> Result<Vec<Occupant>> {
    type Row = (i64, i64, ObjectId, ShownList, Kind, i64, bool, i64, i64);
    let now = tx.now().as_micros().into();
    let statement = Statement::<OfArena, 5>::new([now, now, arena.id.0.into(), limit.into(), now]);
    let rows: Vec<Row> = on_engine!(tx, |conn| statement.load(conn))?;
    let occupant = |(objects, id, object_id, names, kind, size, held, pieces, allocated_mem): Row| Occupant {
        arena_id: arena.id,
        max_mem: arena.max_mem,
        mem: arena.mem,
        objects: unsigned(objects),
        stored_object_id: StoredObjectId(id),
        object_id,
        names: names.into(),
        kind,
        size: unsigned(size),
        held,
        pieces: unsigned(pieces),
        allocated_mem: unsigned(allocated_mem),
    };
    Ok(rows.into_iter().map(occupant).collect())
}

sql! {
    // CROSS JOIN fixes the order of the joins, so that each uses an index. Names are looked
    // up last, and only for objects within the limit.
    OfArena: (BigInt, BigInt, Text, Text, Text, BigInt, Bool, BigInt, BigInt) = "SELECT e.objects, o.id, o.object_id, \
        (SELECT json_group_array(n.name) FROM (SELECT name FROM names WHERE stored_object_id = o.id AND coalesce(expires_at > ?, 1) ORDER BY memram_id, name) n), \
        o.kind, o.size, o.held AND coalesce(o.held_until > ?, 1), e.pieces, e.mem \
        FROM (SELECT l.stored_object_id AS id, count(*) AS pieces, sum(l.allocated_mem) AS mem, \
                     count(*) OVER () AS objects \
              FROM pools p CROSS JOIN blocks b ON b.pool_id = p.id CROSS JOIN ledger l ON l.block_id = b.id \
              WHERE p.arena_id = ? \
                AND l.stored_object_id NOT IN (SELECT stored_object_id FROM reservations WHERE stored_object_id IS NOT NULL) \
              GROUP BY l.stored_object_id ORDER BY mem DESC, l.stored_object_id LIMIT ?) e \
        CROSS JOIN stored_objects o ON o.id = e.id WHERE coalesce(o.expires_at > ?, 1) ORDER BY e.mem DESC, o.id",
        postgres "SELECT e.objects, o.id, o.object_id, \
        (SELECT '[' || coalesce(string_agg(to_json(n.name)::text, ',' ORDER BY n.memram_id, n.name), '') || ']' \
         FROM names n WHERE n.stored_object_id = o.id AND coalesce(n.expires_at > ?, true)), \
        o.kind, o.size, o.held AND coalesce(o.held_until > ?, true), e.pieces, least(e.mem, 9223372036854775807)::bigint \
        FROM (SELECT l.stored_object_id AS id, count(*) AS pieces, sum(l.allocated_mem) AS mem, \
                     count(*) OVER () AS objects \
              FROM pools p JOIN blocks b ON b.pool_id = p.id JOIN ledger l ON l.block_id = b.id \
              WHERE p.arena_id = ? \
                AND NOT EXISTS (SELECT 1 FROM reservations r WHERE r.stored_object_id = l.stored_object_id) \
              GROUP BY l.stored_object_id ORDER BY 3 DESC, l.stored_object_id LIMIT ?) e \
        JOIN stored_objects o ON o.id = e.id WHERE coalesce(o.expires_at > ?, true) ORDER BY e.mem DESC, o.id";
}
