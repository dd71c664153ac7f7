//! The highest id that a space has assigned in a table.

use diesel::dsl::max;
use diesel::prelude::*;

use crate::error::Result;
use crate::models::schema::{arenas, blocks, events, ledger, pools, reservations, sequences, stored_objects};
use crate::models::{MemRamId, Sequence, Stripe};
use crate::store::read::ReadTx;

/// The highest id among the rows of a space, by its range of keys. O(log n).
macro_rules! highest {
    ($tx:expr, $stripe:expr, $table:ident) => {
        $table::table
            .filter($table::id.gt($stripe.before()))
            .filter($table::id.le($stripe.last()))
            .select(max($table::id))
            .get_result::<Option<i64>>($tx.conn()?)?
    };
}

/// The highest id of the space in the table, including removed rows; the number before its first id
/// if there is none. O(log n).
pub fn last_id(tx: &mut ReadTx<'_>, space: MemRamId, sequence: Sequence) -> Result<i64> {
    let stripe = Stripe::of(space);
    let present = match sequence {
        Sequence::Arenas => highest!(tx, stripe, arenas),
        Sequence::Pools => highest!(tx, stripe, pools),
        Sequence::Blocks => highest!(tx, stripe, blocks),
        // The ids of an object's entries follow its own, and so do those set aside for an upload.
        Sequence::StoredObjects => highest!(tx, stripe, stored_objects)
            .max(highest!(tx, stripe, ledger))
            .max(set_aside(tx, stripe)?),
        Sequence::Reservations => highest!(tx, stripe, reservations),
        Sequence::Events => highest!(tx, stripe, events),
    };
    // In a damaged file the row may be missing or have an id of another space, but existing ids
    // still count.
    let kept: Option<i64> = sequences::table
        .find((space, sequence.name()))
        .select(sequences::last_id)
        .get_result(tx.conn()?)
        .optional()?;
    let kept = kept.filter(|&last| last <= stripe.last());
    let last = stripe.before().max(present.unwrap_or_default());
    Ok(last.max(kept.unwrap_or_default()))
}

/// The last id that is set aside for the pieces of an upload. O(log n).
fn set_aside(tx: &mut ReadTx<'_>, stripe: Stripe) -> Result<Option<i64>> {
    let highest: Option<(Option<i64>, i64)> = reservations::table
        .filter(reservations::stored_object_id.gt(stripe.before()))
        .filter(reservations::stored_object_id.le(stripe.last()))
        .order(reservations::stored_object_id.desc())
        .select((reservations::stored_object_id, reservations::entry_ids))
        .first(tx.conn()?)
        .optional()?;
    let last = highest.and_then(|(first, count)| first?.checked_add(count - 1));
    Ok(last.filter(|&last| last <= stripe.last()))
}
