//! What compaction reads: the pieces in an arena, and rows by their keys.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::placed::PLACED;
use super::room;
use crate::books::compaction::{Occupant, SparsePiece};
use crate::books::placement::RoomLevel;
use crate::books::room::Room;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::schema::{arenas, blocks, ledger, pools, stored_objects};
use crate::models::{
    Arena, ArenaId, Block, BlockId, Ledger, LedgerId, MemRamId, PlacedEntry, Pool, PoolId, StoredObjectId, Stripe,
    signed, unsigned,
};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};
use crate::value::ObjectId;

/// Keys per statement: SQLite has 32,766 parameters.
const KEYS: usize = 1000;

/// Everything that has room in a space. O(rows with room).
pub fn whole_room(tx: &mut ReadTx<'_>, space: MemRamId, geometry: &Geometry) -> Result<Room> {
    let classes = geometry.classes().len();
    let mut room = Room::unknown(classes, 0);
    while !room.arenas.complete {
        room::load(tx, space, geometry, &mut room, RoomLevel::Arenas)?;
    }
    for class in 0..classes {
        while room.pools.get(class).is_some_and(|pools| !pools.complete) {
            room::load(tx, space, geometry, &mut room, RoomLevel::Pools(class))?;
        }
        while room.blocks.get(class).is_some_and(|blocks| !blocks.complete) {
            room::load(tx, space, geometry, &mut room, RoomLevel::Blocks(class))?;
        }
    }
    Ok(room)
}

/// The objects that have pieces in an arena, or `None` if something else has pieces there, such as an
/// upload. All pieces of an object are read if there are several, and it has at most `most` bytes.
/// O(entries in the arena).
pub fn occupants(tx: &mut ReadTx<'_>, arena: ArenaId, most: i64) -> Result<Option<Vec<Occupant>>> {
    type Row = (StoredObjectId, Option<ObjectId>, Option<i64>, i64, BlockId, i64, i64);
    let statement = Statement::<InArena, 1>::new([arena.0.into()]);
    let rows: Vec<Row> = on_engine!(tx, |conn| statement.load(conn))?;
    let mut occupants: Vec<Occupant> = Vec::new();
    for (object, object_id, size, seq, block, block_size, bytes) in rows {
        let (Some(object_id), Some(size)) = (object_id, size) else {
            return Ok(None);
        };
        let piece = SparsePiece {
            seq,
            block,
            block_size: unsigned(block_size),
            bytes,
        };
        match occupants.last_mut().filter(|last| last.object == object) {
            Some(last) => last.here.push(piece),
            None => occupants.push(Occupant {
                object,
                object_id,
                size,
                here: vec![piece],
                all: None,
            }),
        }
    }
    for occupant in &mut occupants {
        let is_whole = occupant.here.iter().any(|piece| piece.bytes == occupant.size);
        if !is_whole && occupant.size <= most {
            occupant.all = pieces_of(tx, occupant.object, occupant.size)?;
        }
    }
    Ok(Some(occupants))
}

/// The next objects of a space after a key that have several pieces and at most `most` bytes.
/// O(entries).
pub fn in_pieces(tx: &mut ReadTx<'_>, after: StoredObjectId, most: i64, limit: i64) -> Result<Vec<Occupant>> {
    type Row = (StoredObjectId, ObjectId, i64);
    let last = Stripe::of(after.space()).last();
    let values = [
        after.0.saturating_add(1).into(),
        last.into(),
        after.0.into(),
        most.into(),
        limit.into(),
    ];
    let statement = Statement::<InPieces, 5>::new(values);
    let rows: Vec<Row> = on_engine!(tx, |conn| statement.load(conn))?;
    rows.into_iter()
        .map(|(object, object_id, size)| {
            Ok(Occupant {
                object,
                object_id,
                size,
                here: Vec::new(),
                all: pieces_of(tx, object, size)?,
            })
        })
        .collect()
}

/// The block and the bytes of each piece of an object, unless some are missing.
fn pieces_of(tx: &mut ReadTx<'_>, object: StoredObjectId, size: i64) -> Result<Option<Vec<(BlockId, i64)>>> {
    let pieces: Vec<Ledger> = super::entries::of_object(tx, object)?;
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.block_id, signed(piece.allocated_mem)))
        .collect();
    let is_whole = pieces.iter().map(|(_, bytes)| bytes).sum::<i64>() == size;
    Ok(Some(pieces).filter(|pieces| is_whole && pieces.len() > 1))
}

sql! {
    // CROSS JOIN fixes the order of the joins, so that each uses an index.
    InArena: (BigInt, Nullable<Text>, Nullable<BigInt>, BigInt, BigInt, BigInt, BigInt) =
        "SELECT l.stored_object_id, o.object_id, o.size, l.seq, l.block_id, b.block_size, l.allocated_mem \
        FROM pools p CROSS JOIN blocks b ON b.pool_id = p.id CROSS JOIN ledger l ON l.block_id = b.id \
        LEFT JOIN stored_objects o ON o.id = l.stored_object_id WHERE p.arena_id = ? ORDER BY l.id",
        postgres "SELECT l.stored_object_id, o.object_id, o.size, l.seq, l.block_id, b.block_size, l.allocated_mem \
        FROM pools p JOIN blocks b ON b.pool_id = p.id JOIN ledger l ON l.block_id = b.id \
        LEFT JOIN stored_objects o ON o.id = l.stored_object_id WHERE p.arena_id = ? ORDER BY l.id";
    // The second piece of an object has the key after its own.
    InPieces: (BigInt, Text, BigInt) = "SELECT o.id, o.object_id, o.size FROM ledger l \
        JOIN stored_objects o ON o.id = l.stored_object_id \
        WHERE l.id > ? AND l.id <= ? AND l.seq = 1 AND o.id > ? AND o.size <= ? ORDER BY l.id LIMIT ?";
}

/// An entry with its object.
#[derive(Debug, Clone, Copy)]
pub struct OwnedEntry {
    pub object: StoredObjectId,
    pub object_id: ObjectId,
    /// Bytes of the object.
    pub size: i64,
    pub placed: PlacedEntry,
}

/// Rows of a table by their keys, in as many statements as are needed.
macro_rules! by_keys {
    ($tx:ident, $keys:ident, $row:ty, |$chunk:ident| $query:expr) => {{
        let mut found: Vec<$row> = Vec::new();
        for $chunk in $keys.chunks(KEYS) {
            let rows: Vec<$row> = on_engine!($tx, |conn| $query.load(conn))?;
            found.extend(rows);
        }
        found
    }};
}

/// The entries with these keys that belong to objects, each with its block.
pub fn entries(tx: &mut ReadTx<'_>, keys: &[LedgerId]) -> Result<HashMap<LedgerId, OwnedEntry>> {
    type Row = (LedgerId, StoredObjectId, ObjectId, i64, PlacedEntry);
    let rows = by_keys!(tx, keys, Row, |chunk| ledger::table
        .inner_join(blocks::table)
        .inner_join(stored_objects::table)
        .filter(ledger::id.eq_any(chunk))
        .select((
            ledger::id,
            ledger::stored_object_id,
            stored_objects::object_id,
            stored_objects::size,
            PLACED,
        )));
    let by_key = |(id, object, object_id, size, placed): Row| {
        let entry = OwnedEntry {
            object,
            object_id,
            size,
            placed,
        };
        (id, entry)
    };
    Ok(rows.into_iter().map(by_key).collect())
}

/// The bytes in these entries.
pub fn contents(tx: &mut ReadTx<'_>, keys: &[LedgerId]) -> Result<HashMap<LedgerId, Vec<u8>>> {
    let rows = by_keys!(tx, keys, (LedgerId, Vec<u8>), |chunk| ledger::table
        .filter(ledger::id.eq_any(chunk))
        .select((ledger::id, ledger::data)));
    Ok(rows.into_iter().collect())
}

/// Those of these arenas that exist.
pub fn arenas(tx: &mut ReadTx<'_>, keys: &[ArenaId]) -> Result<HashMap<ArenaId, Arena>> {
    let rows = by_keys!(tx, keys, Arena, |chunk| arenas::table
        .filter(arenas::id.eq_any(chunk))
        .select(Arena::as_select()));
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Those of these pools that exist.
pub fn pools(tx: &mut ReadTx<'_>, keys: &[PoolId]) -> Result<HashMap<PoolId, Pool>> {
    let rows = by_keys!(tx, keys, Pool, |chunk| pools::table
        .filter(pools::id.eq_any(chunk))
        .select(Pool::as_select()));
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The blocks of these pools.
pub fn blocks_of(tx: &mut ReadTx<'_>, keys: &[PoolId]) -> Result<Vec<BlockId>> {
    Ok(by_keys!(tx, keys, BlockId, |chunk| blocks::table
        .filter(blocks::pool_id.eq_any(chunk))
        .order(blocks::id)
        .select(blocks::id)))
}

/// Those of these blocks that exist.
pub fn blocks(tx: &mut ReadTx<'_>, keys: &[BlockId]) -> Result<HashMap<BlockId, Block>> {
    let rows = by_keys!(tx, keys, Block, |chunk| blocks::table
        .filter(blocks::id.eq_any(chunk))
        .select(Block::as_select()));
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}
