//! How many events of each kind there are.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::events::newest_rows;
use crate::error::Result;
use crate::models::{EventId, EventKind, MemRamId, Stripe};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

sql! {
    // A row with several ids stands for as many events, none of which is a refusal.
    // Bytes that were refused may be any number, so their sum is returned in two parts.
    Counts: (Text, BigInt, BigInt, BigInt) = "SELECT kind,
               CAST(sum(CASE WHEN length(object) > 32 THEN length(object) / 32 ELSE count END) AS BIGINT),
               CAST(sum(bytes >> 32) AS BIGINT), CAST(sum(bytes & 4294967295) AS BIGINT)
        FROM events WHERE id > ? AND id <= ? GROUP BY kind";
}

/// How many events of each kind happened after an event, and their bytes. A refusal counts as often as it
/// happened. O(rows after it).
pub fn after(tx: &mut ReadTx<'_>, space: MemRamId, after: Option<EventId>) -> Result<Vec<(EventKind, i64, i64)>> {
    let stripe = Stripe::of(space);
    let after = after.map_or(stripe.before(), |id| id.0);
    let statement = Statement::<Counts, 2>::new([after.into(), stripe.last().into()]);
    let found: Vec<(EventKind, i64, i64, i64)> = on_engine!(tx, |conn| statement.load(conn))?;
    let counts = found.into_iter().map(|(kind, events, high, low)| {
        let bytes = (i128::from(high) << 32) + i128::from(low);
        (kind, events, i64::try_from(bytes).unwrap_or(i64::MAX))
    });
    Ok(counts.collect())
}

/// The newest refusals, which may happen again without becoming a new event, and how often they happened.
pub fn refusals(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<(EventId, u64)>> {
    let newest = newest_rows(tx, space)?.into_iter();
    let refusals = newest.take_while(|event| event.kind == EventKind::Refusal);
    Ok(refusals.map(|refusal| (refusal.id, refusal.count)).collect())
}
