//! Reads content. A statement takes as long as sending some hundred kilobytes, so there are few of them;
//! but a server sends everything that a statement selects, whether it is still wanted or not.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use crate::error::Result;
use crate::models::{LedgerId, MemRamId, StoredObjectId};
use crate::store::conn::rows_of;
use crate::store::queries::content::{Found, StoredContent, TypedContent, assembled};
use crate::store::queries::entries::{RUN, end_of};
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};
use crate::value::Kind;

/// Pieces per statement of [`each_piece`].
const PAGE: usize = 128;

/// The most pieces of a run, however short they are.
const MOST: usize = 2048;

/// Up to this size an object is expected to have a piece for each 512 bytes, and one more.
const SHORT: i64 = 4096;

/// All bytes of the object with this id, and what they encode, by one statement, unless it is short and has
/// many pieces.
pub fn content(tx: &mut ReadTx<'_>, space: MemRamId, object_id: &str, most: i64) -> Result<Option<TypedContent>> {
    let found = content_up_to(SHORT, tx, space, object_id, most)?;
    match found {
        Some((
            ..,
            Found {
                content: StoredContent::Partial { .. },
                ..
            },
        )) => content_up_to(-1, tx, space, object_id, most),
        found => Ok(found),
    }
}

fn content_up_to(
    short: i64,
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    object_id: &str,
    most: i64,
) -> Result<Option<TypedContent>> {
    type Row = (Kind, Option<String>, bool, Option<i64>, Option<i64>, Option<Vec<u8>>);
    let age = tx.age();
    let now = tx.now().as_micros();
    let statement = Statement::<ReadContent, 4>::new([short.into(), space.0.into(), object_id.into(), now.into()]);
    let mut what = None;
    let rows = rows_of!(tx, statement, Row).map(|row| {
        let (kind, type_name, is_refreshed, seq, rest, data) = row?;
        what.get_or_insert((kind, type_name, is_refreshed));
        Ok((seq, rest, data))
    });
    let content = assembled(rows, age, most)?;
    Ok(content
        .zip(what)
        .map(|(content, (kind, type_name, is_refreshed))| (kind, type_name, Found { content, is_refreshed })))
}

/// Passes the bytes of an object to `take`, piece by piece, in a transaction.
pub fn each_piece(
    tx: &mut ReadTx<'_>,
    object: StoredObjectId,
    mut take: impl FnMut(Vec<u8>) -> Result<()>,
) -> Result<()> {
    let age = tx.age();
    let mut next = LedgerId::of(object, 0).0;
    loop {
        let (key, mut read) = (object.0.into(), 0);
        let statement = Statement::<ReadPage, 5>::new([next.into(), key, key, key, (PAGE as i64).into()]);
        for row in rows_of!(tx, statement, (i64, Vec<u8>)) {
            age.check()?;
            let (id, data) = row?;
            next = id.saturating_add(1);
            read += 1;
            take(data)?;
        }
        if read < PAGE {
            return Ok(());
        }
    }
}

/// The pieces of an object from piece `from` on, put together, and their number: about [`RUN`] bytes if
/// each has the length `piece`.
pub fn run(tx: &mut ReadTx<'_>, object: StoredObjectId, from: i64, piece: usize) -> Result<Option<(Vec<u8>, i64)>> {
    let (first, key) = (LedgerId::of(object, from).0, object.0.into());
    let limit = (RUN / piece.max(1)).clamp(1, MOST) as i64;
    let values = [
        first.into(),
        key,
        key,
        key,
        limit.into(),
        first.into(),
        (RUN as i64).into(),
    ];
    let (mut bytes, mut count) = (Vec::new(), 0);
    for row in rows_of!(tx, Statement::<ReadRun, 7>::new(values), (i64, Vec<u8>)) {
        let (id, data) = row?;
        if id != first.saturating_add(count) {
            break;
        }
        bytes.extend_from_slice(&data);
        count += 1;
    }
    Ok((count > 0).then_some((bytes, count)))
}

sql! {
    // A subquery with OFFSET is planned by itself, so that it looks for the pieces by their keys,
    // whatever the statistics say. Finding where they end takes as long as all the rest, so that is not
    // done for short objects. There is only one object, so nothing has to be sorted.
    ReadContent: (Text, Nullable<Text>, Bool, Nullable<BigInt>, Nullable<BigInt>, Nullable<Binary>) = concat!("SELECT o.kind, o.type_name, o.held_refresh IS NOT NULL, \
        CASE WHEN l.id > o.id OR l.start = 0 THEN l.id - o.id END, \
        CASE WHEN l.start BETWEEN 0 AND o.size AND l.allocated_mem BETWEEN 0 AND o.size - l.start THEN o.size - l.start - l.allocated_mem END, l.data \
        FROM stored_objects o LEFT JOIN LATERAL (SELECT * FROM ledger l WHERE l.id >= o.id \
        AND l.id < CASE WHEN o.size <= ? THEN least(o.id, 9223372036854000000) + o.size / 512 + 2 ELSE ", end_of!("o.id"), " END \
        AND l.stored_object_id = o.id ORDER BY l.id OFFSET 0) l ON true \
        WHERE o.memram_id = ? AND o.object_id = ? AND (o.expires_at IS NULL OR o.expires_at > ?)");
    ReadPage: (BigInt, Binary) = concat!("SELECT l.id, l.data FROM ledger l \
        WHERE l.id >= ? AND l.id < ", end_of!("?"), " AND l.stored_object_id = ? ORDER BY l.id LIMIT ?");
    // Pieces may be much longer than the ones before. What is beyond the run is not fetched: long data is
    // stored apart from its row.
    ReadRun: (BigInt, Binary) = concat!("SELECT p.id, p.data FROM (SELECT l.id, l.start, l.data FROM ledger l \
        WHERE l.id >= ? AND l.id < ", end_of!("?"), " AND l.stored_object_id = ? ORDER BY l.id LIMIT ?) p \
        WHERE p.start - (SELECT f.start FROM ledger f WHERE f.id = ?) < ? ORDER BY p.id");
}
