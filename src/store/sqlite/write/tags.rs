//! Writes tags.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::models::{MemRamId, TagKey};
use crate::store::sqlite::exec::Run;
use crate::store::statement::{Statement, sql};

pub(super) fn write(
    conn: &mut SqliteConnection,
    space: MemRamId,
    tags: &BTreeMap<TagKey, Option<String>>,
) -> QueryResult<()> {
    for (TagKey { object, name, key }, value) in tags {
        let [object, name, key] = [object.0.into(), name.as_str().into(), key.as_str().into()];
        match value {
            Some(value) => {
                Statement::<SetTag, 5>::run(conn, [space.0.into(), object, name, key, value.as_str().into()])?
            }
            None => Statement::<RemoveTag, 3>::run(conn, [object, name, key])?,
        };
    }
    Ok(())
}

sql! {
    RemoveTag = "DELETE FROM tags WHERE stored_object_id = ? AND name = ? AND key = ?";
    SetTag = "INSERT INTO tags (memram_id, stored_object_id, name, key, value) VALUES (?, ?, ?, ?, ?) \
        ON CONFLICT (stored_object_id, name, key) DO UPDATE SET value = excluded.value";
}
