//! Writes quotas.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::books::effects::KindDelta;
use crate::models::{MemRamId, Owner, Quota};
use crate::store::sqlite::exec::Run;
use crate::store::statement::{Statement, Value, sql};
use crate::store::values;

/// Writes new and changed quotas, and removes others.
pub(super) fn set(
    conn: &mut SqliteConnection,
    space: MemRamId,
    quotas: &BTreeMap<Owner, Option<Quota>>,
) -> QueryResult<()> {
    for (owner, quota) in quotas {
        match quota {
            Some(quota) => Statement::<SetQuota, 9>::run(conn, values::quota(space, quota))?,
            None => Statement::<RemoveQuota, 3>::run(conn, key_of(space, owner))?,
        };
    }
    Ok(())
}

/// Adds what owners gained and lost.
pub(super) fn count(
    conn: &mut SqliteConnection,
    space: MemRamId,
    used: &BTreeMap<Owner, KindDelta>,
) -> QueryResult<()> {
    for (owner, by) in used.iter().filter(|(_, by)| **by != KindDelta::default()) {
        let [space, key, value] = key_of(space, owner);
        Statement::<Count, 5>::run(conn, [by.mem.into(), by.objects.into(), space, key, value])?;
    }
    Ok(())
}

fn key_of(space: MemRamId, owner: &Owner) -> [Value<'_>; 3] {
    let [key, value] = values::owner(owner);
    [space.0.into(), key, value]
}

sql! {
    SetQuota = "INSERT INTO quotas (memram_id, key, value, hard_bytes, soft_bytes, hard_objects, soft_objects, used_bytes, \
        used_objects) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (memram_id, key, value) DO UPDATE SET \
        hard_bytes = excluded.hard_bytes, soft_bytes = excluded.soft_bytes, hard_objects = excluded.hard_objects, \
        soft_objects = excluded.soft_objects, used_bytes = excluded.used_bytes, used_objects = excluded.used_objects";
    RemoveQuota = "DELETE FROM quotas WHERE memram_id = ? AND key = ? AND value = ?";
    Count = "UPDATE quotas SET used_bytes = max(used_bytes + ?, 0), used_objects = max(used_objects + ?, 0) \
        WHERE memram_id = ? AND key = ? AND value = ?";
}
