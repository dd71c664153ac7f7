//! Writes the order of eviction.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::insert::delete;
use crate::books::evicting::EvictionSetting;
use crate::models::{MemRamId, Policy, Rank, StoredObjectId};
use crate::store::sqlite::exec::Run;
use crate::store::statement::{Statement, sql};
use crate::store::values;

pub(super) fn write(
    conn: &mut SqliteConnection,
    space: MemRamId,
    ranks: &BTreeMap<StoredObjectId, Option<Rank>>,
) -> QueryResult<()> {
    let gone = ranks.iter().filter(|(_, rank)| rank.is_none());
    delete::<FromRecency>(conn, gone.map(|(object, _)| object.0))?;
    for (object, rank) in ranks {
        if let Some(rank) = rank {
            Statement::<SetRank, 7>::run(conn, values::rank(space, *object, rank))?;
        }
    }
    Ok(())
}

/// Gives each object of the space its place, or takes all places away, as a new policy needs it. O(objects),
/// unless there is nothing to do.
pub(super) fn begin(conn: &mut SqliteConnection, space: MemRamId, eviction: &EvictionSetting) -> QueryResult<()> {
    if eviction.is_same_policy {
        return Ok(());
    }
    if !eviction.policy.is_some_and(Policy::is_by_use) {
        end(conn, space)?;
        return Statement::<Reset, 1>::run(conn, [space.0.into()]).map(drop);
    }
    let space = [space.0.into()];
    Statement::<Forget, 1>::run(conn, space)?;
    Statement::<Unmark, 1>::run(conn, space)?;
    Statement::<Place, 1>::run(conn, space)?;
    Statement::<Count, 1>::run(conn, space).map(drop)
}

/// Takes all places of a space away.
pub(super) fn end(conn: &mut SqliteConnection, space: MemRamId) -> QueryResult<()> {
    Statement::<Displace, 1>::run(conn, [space.0.into()]).map(drop)
}

sql! {
    Displace = "DELETE FROM recency WHERE memram_id = ?";
    Forget = "DELETE FROM recency WHERE memram_id = ? AND queue = 'gone'";
    Unmark = "UPDATE recency SET queue = 'main', marks = 0 WHERE memram_id = ? AND (queue <> 'main' OR marks > 0)";
    Place = "INSERT INTO recency (stored_object_id, memram_id, queue, position, marks, size) \
        SELECT o.id, o.memram_id, 'main', o.id & 1099511627775, 0, o.size FROM stored_objects o \
        WHERE o.memram_id = ? AND o.size > 0 \
            AND NOT EXISTS (SELECT 1 FROM recency r WHERE r.stored_object_id = o.id)";
    Reset = "UPDATE memram SET evict_hand = 0, evict_main = 0, evict_gone = 0 WHERE id = ?";
    Count = "UPDATE memram SET evict_hand = 0, evict_gone = 0, \
        evict_main = (SELECT coalesce(sum(o.size), 0) FROM stored_objects o WHERE o.memram_id = memram.id) WHERE id = ?";
    FromRecency = "DELETE FROM recency WHERE stored_object_id IN";
    SetRank = "INSERT INTO recency (memram_id, stored_object_id, queue, position, marks, size, object_id) \
        VALUES (?, ?, ?, ?, ?, ?, ?) \
        ON CONFLICT (stored_object_id) DO UPDATE SET queue = excluded.queue, position = excluded.position, \
            marks = excluded.marks, object_id = excluded.object_id";
}
