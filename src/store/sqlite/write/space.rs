//! Creates, renames and removes spaces.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::insert::{Target, insert, target};
use super::recency;
use crate::books::rows::{NewSpace, SpaceChange};
use crate::models::{MemRamId, Policy, Stripe, Timestamp};
use crate::store::sqlite::exec::Run;
use crate::store::statement::{Statement, sql};
use crate::store::values;

pub(super) fn make(conn: &mut SqliteConnection, space: &NewSpace) -> QueryResult<()> {
    insert::<IntoSpaces, 11>(conn, [values::space(space)].into_iter())?;
    insert::<IntoClasses, 3>(conn, values::classes(space))?;
    insert::<IntoKinds, 2>(conn, values::kinds(space.id))?;
    insert::<IntoSequences, 3>(conn, values::sequences(space.id))
}

pub(super) fn change(conn: &mut SqliteConnection, space: MemRamId, change: &SpaceChange) -> QueryResult<()> {
    match change {
        SpaceChange::Renamed { name, .. } => {
            Statement::<Rename, 2>::run(conn, [name.as_str().into(), space.0.into()]).map(drop)
        }
        SpaceChange::Evicts(eviction) => {
            let policy = eviction.policy.map(Policy::as_str);
            Statement::<Evict, 3>::run(conn, [policy.into(), eviction.min_age.into(), space.0.into()])?;
            recency::begin(conn, space, eviction)
        }
        SpaceChange::Dropping(row) => {
            insert::<IntoDropped, 12>(conn, [values::dropped(row)].into_iter())?;
            Statement::<DropQuotas, 1>::run(conn, [space.0.into()])?;
            let values = [row.dropped_at.as_micros().into(), space.0.into()];
            Statement::<Drop, 2>::run(conn, values).map(drop)
        }
        SpaceChange::Gone(at) => end(conn, space, *at),
    }
}

/// Removes what is left of a space. Its events are found by their keys, because no index has all of them.
fn end(conn: &mut SqliteConnection, space: MemRamId, at: Timestamp) -> QueryResult<()> {
    let stripe = Stripe::of(space);
    Statement::<DropEvents, 2>::run(conn, [stripe.before().into(), stripe.last().into()])?;
    recency::end(conn, space)?;
    Statement::<DropSequences, 1>::run(conn, [space.0.into()])?;
    Statement::<DropKinds, 1>::run(conn, [space.0.into()])?;
    Statement::<DropClasses, 1>::run(conn, [space.0.into()])?;
    Statement::<DropSpace, 1>::run(conn, [space.0.into()])?;
    Statement::<Gone, 2>::run(conn, [at.as_micros().into(), space.0.into()]).map(drop)
}

target! {
    IntoSpaces = "INSERT INTO memram (id, name, max_mem, arena_size, per_block, created_at, history, history_keep, \
        history_max_bytes, evict, evict_min_age)", alike in [];
    IntoClasses = "INSERT INTO size_classes (memram_id, block_size, pool_size)", alike in [0];
    IntoKinds = "INSERT INTO other_kinds (memram_id, kind)", alike in [0];
    IntoSequences = "INSERT INTO sequences (memram_id, name, last_id)", alike in [0, 2];
    IntoDropped = "INSERT INTO dropped_spaces (id, name, max_mem, mem, objects, names, reservations, history_bytes, \
        created_at, dropped_at, actor, reason)", alike in [];
}

sql! {
    Rename = "UPDATE memram SET name = ? WHERE id = ?";
    Evict = "UPDATE memram SET evict = ?, evict_min_age = ? WHERE id = ?";
    DropQuotas = "DELETE FROM quotas WHERE memram_id = ?";
    Drop = "UPDATE memram SET dropped_at = ?, quotas = 0 WHERE id = ?";
    DropEvents = "DELETE FROM events WHERE id > ? AND id <= ?";
    DropSequences = "DELETE FROM sequences WHERE memram_id = ?";
    DropKinds = "DELETE FROM other_kinds WHERE memram_id = ?";
    DropClasses = "DELETE FROM size_classes WHERE memram_id = ?";
    DropSpace = "DELETE FROM memram WHERE id = ?";
    Gone = "UPDATE dropped_spaces SET gone_at = ? WHERE id = ?";
}
