//! Objects with their pieces, each with its block: what a free needs.

use std::iter;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::error::Result;
use crate::models::schema::{blocks, ledger};
use crate::models::{Ends, MemRamId, PlacedEntry, StoredObjectId, Timestamp};
use crate::store::conn::rows_of;
#[cfg(feature = "postgres")]
use crate::store::queries::entries::end_of;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, Value, sql};
use crate::value::{Kind, ObjectId};

/// An object with its holds and pieces.
pub struct PlacedObject {
    pub id: StoredObjectId,
    pub kind: Kind,
    pub size: i64,
    /// When the last of its names ends, besides the one that it is about to lose, if it has any.
    pub names: Option<Ends>,
    /// When the last of its holds ends.
    pub expires_at: Option<Timestamp>,
    /// Its pieces in order, each with its block; not read if it [`is_large`].
    pub entries: Vec<PlacedEntry>,
}

/// Whether an object of `size` bytes has too many pieces to free them in one transaction.
pub fn is_large(size: i64) -> bool {
    size >= 64 << 20
}

/// The object with this id and its pieces, each with its block as written in the table. Freeing an
/// object costs little more than finding it, so this is one statement, which finds the pieces by
/// their keys. Pieces with wrong keys are left out. `leaving` is a name that it is about to lose.
/// O(log n + pieces).
pub fn placed(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    object_id: &ObjectId,
    leaving: Option<&str>,
) -> Result<Option<PlacedObject>> {
    type Row = (
        StoredObjectId,
        Kind,
        i64,
        Option<i64>,
        Option<Timestamp>,
        Option<StoredObjectId>,
        Option<PlacedEntry>,
    );
    let digits = object_id.digits();
    let leaving = Value::from(leaving);
    let (id, space) = (digits.as_str().into(), space.0.into());
    let statement = Statement::<ReadPlaced, 5>::new([leaving, leaving, leaving, id, space]);
    let mut rows = rows_of!(tx, statement, Row);
    let Some((id, kind, size, names, expires_at, owner, entry)) = rows.next().transpose()? else {
        return Ok(None);
    };
    let others = rows.map(|row| row.map(|(.., owner, entry)| (owner, entry)));
    let (mut entries, mut found) = (Vec::new(), 0);
    let pieces = iter::once(Ok((owner, entry))).chain(others);
    for piece in pieces.take_while(|_| !is_large(size)) {
        let (owner, entry) = piece?;
        let Some(entry) = entry.filter(|_| owner == Some(id)) else {
            break;
        };
        found += entry.allocated_mem;
        entries.push(entry);
        if found >= size {
            break;
        }
    }
    Ok(Some(PlacedObject {
        id,
        kind,
        size,
        names: names.map(|last| Ends((last != i64::MAX).then_some(Timestamp::from_micros(last)))),
        expires_at,
        entries,
    }))
}

/// The rest of a CASE: when the last of an object's names other than `?` ends, if there is one.
macro_rules! last_name {
    ($differs:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = o.id AND n.name ",
            $differs,
            " ?) THEN CASE WHEN EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = o.id AND n.name ",
            $differs,
            " ? AND n.expires_at IS NULL) THEN 9223372036854775807 \
             ELSE (SELECT max(n.expires_at) FROM names n WHERE n.stored_object_id = o.id AND n.name ",
            $differs,
            " ? AND n.expires_at IS NOT NULL) END END,"
        )
    };
}

sql! {
    // The first entry has the key of the object, and the others follow in order, which is also the order of
    // the search; reading stops after the last one. (ORDER BY would sort: SQLite does not know that there is
    // only one object.) Names are looked up once, and when they end only if there are any; one that never
    // ends counts as ending at the latest possible time. A server would send everything that follows, so
    // there the keys end where the object does, and the entries of a large object are not read.
    ReadPlaced: (BigInt, Text, BigInt, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<EntryTypes>) =
        concat!("SELECT o.id, o.kind, o.size, CASE WHEN (l.stored_object_id IS NOT o.id OR l.seq = 0) AND ",
        last_name!("IS NOT"), " o.expires_at, \
        l.stored_object_id, b.memram_id, l.block_id, b.pool_id, b.arena_id, l.allocated_mem, b.block_size, b.max_mem, b.mem \
        FROM stored_objects o LEFT JOIN ledger l ON l.id >= o.id LEFT JOIN blocks b ON b.id = l.block_id \
        WHERE o.object_id = ? AND o.memram_id = ?"),
        postgres concat!("SELECT o.id, o.kind, o.size, CASE WHEN (l.stored_object_id IS DISTINCT FROM o.id OR l.seq = 0) AND ",
        last_name!("IS DISTINCT FROM"), " o.expires_at, \
        l.stored_object_id, b.memram_id, l.block_id, b.pool_id, b.arena_id, l.allocated_mem, b.block_size, b.max_mem, b.mem \
        FROM stored_objects o LEFT JOIN LATERAL (SELECT * FROM ledger l WHERE l.id >= o.id \
        AND l.id < CASE WHEN o.size >= 67108864 THEN o.id + 1 ELSE ", end_of!("o.id"), " END \
        AND l.stored_object_id = o.id OFFSET 0) l ON true LEFT JOIN blocks b ON b.id = l.block_id \
        WHERE o.object_id = ? AND o.memram_id = ? ORDER BY l.id");
}

/// The types of the columns of a [`PlacedEntry`].
type EntryTypes = (BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt);

/// The columns of a [`PlacedEntry`]: of an entry and of its block.
#[rustfmt::skip]
type Placed = (
    blocks::memram_id, ledger::block_id, blocks::pool_id, blocks::arena_id,
    ledger::allocated_mem, blocks::block_size, blocks::max_mem, blocks::mem,
);
#[rustfmt::skip]
pub const PLACED: Placed = (
    blocks::memram_id, ledger::block_id, blocks::pool_id, blocks::arena_id,
    ledger::allocated_mem, blocks::block_size, blocks::max_mem, blocks::mem,
);
