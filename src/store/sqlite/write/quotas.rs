//! Writes quotas.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::books::effects::KindDelta;
use crate::models::{MemRamId, Owner, Quota, signed};
use crate::store::sqlite::exec::Run;
use crate::store::statement::{Statement, Value, sql};

/// Writes new and changed quotas, and removes others.
pub(super) fn set(
    conn: &mut SqliteConnection,
    space: MemRamId,
    quotas: &BTreeMap<Owner, Option<Quota>>,
) -> QueryResult<()> {
    for (owner, quota) in quotas {
        let [space, key, value] = key_of(space, owner);
        match quota {
            Some(Quota {
                limits,
                used_bytes,
                used_objects,
                ..
            }) => {
                let limit = |limit: Option<u64>| Value::from(limit.map(signed));
                let values = [
                    space,
                    key,
                    value,
                    limit(limits.hard_bytes),
                    limit(limits.soft_bytes),
                    limit(limits.hard_objects),
                    limit(limits.soft_objects),
                    signed(*used_bytes).into(),
                    signed(*used_objects).into(),
                ];
                Statement::<SetQuota, 9>::run(conn, values)?
            }
            None => Statement::<RemoveQuota, 3>::run(conn, [space, key, value])?,
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
    [space.0.into(), owner.key.as_str().into(), owner.value.as_str().into()]
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
