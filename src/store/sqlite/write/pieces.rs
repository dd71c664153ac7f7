//! Moves and removes pieces.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::insert::delete;
use crate::books::rows::{MovedPiece, ObjectGone};
use crate::models::{LedgerId, StoredObjectId};
use crate::store::sqlite::exec::Run;
use crate::store::statement::{Statement, Value, sql};

/// The other pieces of an object that gets a single one have already been removed.
pub(super) fn move_to(conn: &mut SqliteConnection, id: LedgerId, moved: &MovedPiece) -> QueryResult<()> {
    let [arena, pool, block] = [moved.arena_id.0, moved.pool_id.0, moved.block_id.0].map(Value::from);
    match &moved.joined {
        None => Statement::<MovePiece, 4>::run(conn, [arena, pool, block, id.0.into()])?,
        Some(data) => {
            let size = (data.len() as i64).into();
            Statement::<JoinPieces, 6>::run(conn, [arena, pool, block, size, data.as_slice().into(), id.0.into()])?
        }
    };
    Ok(())
}

/// Removes objects and their entries in the order of their keys, as they are in the file.
pub(super) fn remove_objects(
    conn: &mut SqliteConnection,
    removed: &BTreeMap<StoredObjectId, ObjectGone>,
) -> QueryResult<()> {
    // By key and object: entries are found by their keys, without an index.
    let of_one = removed.iter().filter(|(_, gone)| gone.entries == 1);
    delete::<FromLedger>(conn, of_one.map(|(object, _)| object.0))?;
    for (object, gone) in removed.iter().filter(|(_, gone)| gone.entries != 1) {
        remove(conn, *object, 0, gone.entries)?;
    }
    delete::<FromObjects>(conn, removed.keys().map(|object| object.0))
}

/// Removes `count` pieces of an object, the first of them at position `seq`.
pub(super) fn remove(conn: &mut SqliteConnection, object: StoredObjectId, seq: i64, count: i64) -> QueryResult<()> {
    let first = LedgerId::of(object, seq).0;
    let values = [first.into(), first.saturating_add(count).into(), object.0.into()];
    let gone = Statement::<RemoveEntries, 3>::run(conn, values)?;
    if i64::try_from(gone) == Ok(count) {
        return Ok(());
    }
    let what = format!("the pieces of object {object} do not have the keys that follow its own");
    Err(diesel::result::Error::DeserializationError(what.into()))
}

sql! {
    MovePiece = "UPDATE OR FAIL ledger SET arena_id = ?, pool_id = ?, block_id = ? WHERE id = ?";
    JoinPieces = "UPDATE OR FAIL ledger SET arena_id = ?, pool_id = ?, block_id = ?, allocated_mem = ?, is_last = 1, data = ? \
        WHERE id = ?";
    RemoveEntries = "DELETE FROM ledger WHERE id >= ? AND id < ? AND stored_object_id = ?";
    FromLedger = "DELETE FROM ledger WHERE stored_object_id = id AND id IN";
    FromObjects = "DELETE FROM stored_objects WHERE id IN";
}
