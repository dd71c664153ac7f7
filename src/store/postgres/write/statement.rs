//! The one statement that writes a batch.
//!
//! Its parts are data-modifying CTEs, all joined with the first one, `space`, which is the row of the
//! space if that still has the expected version, and otherwise empty: then nothing changes. All parts
//! see the tables as they were before the statement, and foreign keys are checked at its end.
//!
//! The text has only the parts that a batch needs, so a program uses a few different texts, and each
//! is planned once.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};

use super::part::Part;
use crate::books::effects::SpaceDelta;
use crate::models::StoredObject;
use crate::store::queries::entries::StoredPiece;
use crate::value::ObjectId;

pub(super) struct Write<'a> {
    /// The space and the version that it must have.
    pub space: [i64; 2],
    pub head: Head<'a>,
    pub parts: Vec<Part<'a>>,
    /// How many ledger entries are to be removed, if any are.
    pub entries_gone: Option<i64>,
}

/// How the row of the space is found.
pub(super) enum Head<'a> {
    /// It stays as it is. Only in a transaction that has locked it.
    Unchanged,
    /// It is updated. So it is locked, and its version is the current one even if the statement had to
    /// wait for another writer.
    Changed {
        by: SpaceDelta,
        /// The token of the transaction, if this is its first write.
        token: Vec<i64>,
        /// Ids of which none must be stored yet.
        absent: Vec<&'a ObjectId>,
    },
    /// It is new.
    New(Part<'a>),
}

/// The version of the space after the statement, unless it was outdated; an object that should have
/// been absent; and one of its first pieces. Without such an object there is at most one row.
pub(super) type Answer = (Option<i64>, Option<StoredObject>, Option<StoredPiece>);

/// Follows the columns of the version. With the pieces of one object, the transaction can run again
/// without another statement that reads; those of several objects could be too many.
const NO_OBJECT: &str = ", NULL::bigint, NULL::bigint, NULL::text, NULL::text, NULL::text, NULL::bigint, \
    NULL::boolean, NULL::bigint, NULL::bigint, NULL::bigint, NULL::boolean, NULL::bigint";
const OBJECTS: &str = ", p.*";
const NO_PIECE: &str = ", NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea";
const FROM_OBJECTS: &str = " FROM (VALUES (1)) one LEFT JOIN space s ON true LEFT JOIN present p ON true";
const PIECES: &str = ", l.seq, l.allocated_mem, l.start, l.data";
const JOIN_PIECES: &str = " LEFT JOIN ledger l ON l.id >= p.id AND l.id < p.id + 32 AND l.stored_object_id = p.id \
    AND p.size <= 65536 ORDER BY l.id";

/// In the message of the error if entries are missing.
pub(super) const MISSING: &str = "the pieces of an object do not have the keys that follow its own";

impl Write<'_> {
    /// A statement without parts for a space as it is.
    pub fn nothing(space: [i64; 2]) -> Self {
        Self {
            space,
            head: Head::Unchanged,
            parts: Vec::new(),
            entries_gone: None,
        }
    }

    /// The CTE of the space.
    fn push_space<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>, single: bool) -> QueryResult<()> {
        match &self.head {
            Head::New(part) => return part.push(out, single),
            Head::Unchanged => out.push_sql("space AS (SELECT id, version FROM memram"),
            Head::Changed { by, token, absent } => {
                push_absent(out, &self.space, absent)?;
                push_change(out, by, token)?;
            }
        }
        let [space, version] = &self.space;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<BigInt, _>(space)?;
        out.push_sql(" AND version = ");
        out.push_bind_param::<BigInt, _>(version)?;
        if self.absent() > 0 {
            out.push_sql(" AND NOT EXISTS (SELECT FROM present)");
        }
        out.push_sql(if matches!(self.head, Head::Unchanged) {
            ")"
        } else {
            " RETURNING id, version)"
        });
        Ok(())
    }

    /// How many objects must not be stored yet.
    fn absent(&self) -> usize {
        match &self.head {
            Head::Changed { absent, .. } => absent.len(),
            Head::Unchanged | Head::New(_) => 0,
        }
    }
}

fn push_absent<'b>(
    out: &mut AstPass<'_, 'b, Pg>,
    [space, _]: &'b [i64; 2],
    absent: &'b Vec<&ObjectId>,
) -> QueryResult<()> {
    if absent.is_empty() {
        return Ok(());
    }
    out.push_sql(
        "present AS (SELECT id, memram_id, object_id, kind, type_name, size, held, created_at, held_until, expires_at, pinned, held_refresh \
        FROM stored_objects WHERE object_id = ",
    );
    if let [id] = absent.as_slice() {
        out.push_bind_param::<Text, ObjectId>(id)?;
    } else {
        out.push_sql("ANY(");
        out.push_bind_param::<Array<Text>, _>(absent)?;
        out.push_sql(")");
    }
    out.push_sql(" AND memram_id = ");
    out.push_bind_param::<BigInt, _>(space)?;
    out.push_sql("), ");
    Ok(())
}

fn push_change<'b>(out: &mut AstPass<'_, 'b, Pg>, by: &'b SpaceDelta, token: &'b Vec<i64>) -> QueryResult<()> {
    out.push_sql("space AS (UPDATE memram SET peak_mem = greatest(peak_mem, mem + ");
    out.push_bind_param::<BigInt, _>(&by.peak)?;
    let sums = [
        ("), max_mem = max_mem + ", &by.max_mem),
        (", mem = mem + ", &by.mem),
        (", promised = promised + ", &by.promised),
        (", reserved = reserved + ", &by.reserved),
        (", arenas = arenas + ", &by.arenas),
        (", allocations = allocations + ", &by.allocations),
        (", frees = frees + ", &by.frees),
        (", dedup_hits = dedup_hits + ", &by.dedup_hits),
        (", dedup_saved = dedup_saved + ", &by.dedup_saved),
        (", history_bytes = greatest(0, history_bytes + ", &by.history_bytes),
        ("), tags = greatest(0, tags + ", &by.tags),
        ("), quotas = greatest(0, quotas + ", &by.quotas),
        ("), evictions = evictions + ", &by.evictions),
        (", evicted_mem = evicted_mem + ", &by.evicted_mem),
        (", evict_hand = evict_hand + ", &by.hand),
        (", evict_main = greatest(0, evict_main + ", &by.main),
        ("), evict_gone = greatest(0, evict_gone + ", &by.gone),
    ];
    for (text, by) in sums {
        out.push_sql(text);
        out.push_bind_param::<BigInt, _>(by)?;
    }
    if token.is_empty() {
        out.push_sql(")");
        return Ok(());
    }
    out.push_sql("), version = version + 1, commits = ");
    out.push_bind_param::<Array<BigInt>, _>(token)?;
    // Not (… || commits)[1:32]: Citus crashes if a new value is part of an array.
    out.push_sql(" || commits[1:31]");
    Ok(())
}

impl QueryFragment<Pg> for Write<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let single = self.parts.iter().all(Part::is_single);
        out.push_sql("WITH ");
        self.push_space(&mut out, single)?;
        for part in &self.parts {
            out.push_sql(", ");
            part.push(&mut out, single)?;
        }
        if let Some(count) = &self.entries_gone {
            // Converts a text that is not a number, so that the statement fails and its message tells why.
            out.push_sql(" SELECT CASE WHEN (SELECT count(*) FROM entries_gone) = ");
            out.push_bind_param::<BigInt, _>(count)?;
            out.push_sql(" THEN s.version ELSE CAST('");
            out.push_sql(MISSING);
            out.push_sql("' || s.version AS bigint) END");
        } else {
            out.push_sql(" SELECT s.version");
        }
        let texts: &[&str] = match self.absent() {
            0 => &[NO_OBJECT, NO_PIECE, " FROM space s"],
            1 => &[OBJECTS, PIECES, FROM_OBJECTS, JOIN_PIECES],
            _ => &[OBJECTS, NO_PIECE, FROM_OBJECTS],
        };
        texts.iter().for_each(|text| out.push_sql(text));
        Ok(())
    }
}

impl QueryId for Write<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Write<'_> {
    type SqlType = (
        Nullable<BigInt>,
        Nullable<ObjectTypes>,
        Nullable<(BigInt, BigInt, BigInt, Binary)>,
    );
}

/// The types of the columns of an object.
type ObjectTypes = (
    BigInt,
    BigInt,
    Text,
    Text,
    Nullable<Text>,
    BigInt,
    Bool,
    BigInt,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Bool,
    Nullable<BigInt>,
);

impl RunQueryDsl<PgConnection> for Write<'_> {}
