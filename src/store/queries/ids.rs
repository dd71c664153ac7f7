//! The highest id that a table ever gave out.

use diesel::dsl::max;
use diesel::prelude::*;

use crate::error::Result;
use crate::models::schema::{arenas, blocks, events, ledger, pools, sequences, stored_objects};
use crate::store::numbers::Table;
use crate::store::read::ReadTx;

/// O(log n): the highest key in the table, or the highest that was removed.
pub fn last_id(tx: &mut ReadTx<'_>, table: Table) -> Result<i64> {
    let present: Option<i64> = match table {
        Table::Arenas => arenas::table.select(max(arenas::id)).get_result(tx.conn)?,
        Table::Pools => pools::table.select(max(pools::id)).get_result(tx.conn)?,
        Table::Blocks => blocks::table.select(max(blocks::id)).get_result(tx.conn)?,
        // An object's entries have the keys that follow its own.
        Table::StoredObjects => {
            let object: Option<i64> = stored_objects::table
                .select(max(stored_objects::id))
                .get_result(tx.conn)?;
            object.max(ledger::table.select(max(ledger::id)).get_result(tx.conn)?)
        }
        Table::Events => events::table.select(max(events::id)).get_result(tx.conn)?,
    };
    // A damaged file may lack the row; the keys that are there still count.
    let kept: Option<i64> = sequences::table
        .find(table.name())
        .select(sequences::last_id)
        .get_result(tx.conn)
        .optional()?;
    Ok(present.unwrap_or(0).max(kept.unwrap_or(0)))
}
