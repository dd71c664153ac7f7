//! The placement of every piece, in an order suitable for comparing two spaces.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::error::Result;
use crate::models::MemRamId;
use crate::store::conn::rows_of;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};
use crate::value::ObjectId;

/// A piece of an object, or an object without any.
pub struct Placement {
    /// The object's id.
    pub object_id: ObjectId,
    /// Bytes of the object.
    pub size: i64,
    /// The block of the piece, and its bytes.
    pub piece: Option<(i64, i64)>,
}

/// The pieces of a space by object id, those of an object from front to back. They are read lazily,
/// without their bytes.
pub fn placements(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<impl Iterator<Item = Result<Placement>>> {
    type Row = (ObjectId, i64, Option<i64>, Option<i64>);
    let age = tx.age();
    let now = tx.now().as_micros();
    let statement = Statement::<Placements, 2>::new([space.0.into(), now.into()]);
    let rows = rows_of!(tx, statement, Row);
    Ok(rows.map(move |row| {
        age.check()?;
        let (object_id, size, block, bytes) = row?;
        let piece = block.zip(bytes);
        Ok(Placement { object_id, size, piece })
    }))
}

sql! {
    // An index and the keys give this order, so nothing is sorted.
    Placements: (Text, BigInt, Nullable<BigInt>, Nullable<BigInt>) = "SELECT o.object_id, o.size, l.block_id, l.allocated_mem \
        FROM stored_objects o LEFT JOIN ledger l ON l.id >= o.id \
        AND l.id < coalesce((SELECT min(n.id) FROM stored_objects n WHERE n.id > o.id), 9223372036854775807) \
        AND l.stored_object_id = o.id WHERE o.memram_id = ? AND (o.expires_at IS NULL OR o.expires_at > ?) ORDER BY o.object_id, l.id",
        // A subquery with OFFSET is planned by itself, so that it looks for the pieces by their keys.
        postgres "SELECT o.object_id, o.size, l.block_id, l.allocated_mem \
        FROM stored_objects o LEFT JOIN LATERAL (SELECT l.id, l.block_id, l.allocated_mem FROM ledger l WHERE l.id >= o.id \
        AND l.id < coalesce((SELECT min(n.id) FROM stored_objects n WHERE n.id > o.id), 9223372036854775807) \
        AND l.stored_object_id = o.id OFFSET 0) l ON true \
        WHERE o.memram_id = ? AND (o.expires_at IS NULL OR o.expires_at > ?) ORDER BY o.object_id, l.id";
}
