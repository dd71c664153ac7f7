//! Writes tags.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::models::{MemRamId, TagKey};
use crate::store::sqlite::exec::Run;
use crate::store::statement::{Statement, sql};
use crate::store::values;

pub(super) fn write(
    conn: &mut SqliteConnection,
    space: MemRamId,
    tags: &BTreeMap<TagKey, Option<String>>,
) -> QueryResult<()> {
    for (key, value) in tags {
        match value {
            Some(value) => Statement::<SetTag, 5>::run(conn, values::tag(space, key, value))?,
            None => Statement::<RemoveTag, 3>::run(conn, values::tag_key(key))?,
        };
    }
    Ok(())
}

sql! {
    RemoveTag = "DELETE FROM tags WHERE stored_object_id = ? AND name = ? AND key = ?";
    SetTag = "INSERT INTO tags (memram_id, stored_object_id, name, key, value) VALUES (?, ?, ?, ?, ?) \
        ON CONFLICT (stored_object_id, name, key) DO UPDATE SET value = excluded.value";
}
