//! The views that check the books.

use std::fmt;
use std::ops::ControlFlow;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::books::invariants::Invariant;
use crate::error::Result;
use crate::models::schema::{claims, trial_balance, violations};
use crate::models::{MemRamId, Shown, text_enum};
use crate::store::conn::rows_of;
use crate::store::queries::spaces;
use crate::store::read::ReadTx;

/// A row of the view `violations`: one broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = violations)]
#[non_exhaustive]
pub struct Violation {
    /// The broken invariant.
    #[diesel(deserialize_as = Stated)]
    pub invariant: Invariant,
    /// The table of the row.
    #[diesel(column_name = table_name, deserialize_as = Shown)]
    pub table: String,
    /// The row's key, if it has one.
    pub id: Option<i64>,
    /// The expected value.
    #[diesel(deserialize_as = Shown)]
    pub expected: String,
    /// The actual value.
    #[diesel(deserialize_as = Shown)]
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.invariant, self.table)?;
        if let Some(id) = self.id {
            write!(f, " {id}")?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

/// An invariant as the view names it.
#[derive(Debug, diesel::FromSqlRow)]
pub struct Stated(Invariant);

impl<DB: Backend> FromSql<Text, DB> for Stated
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(String::from_sql(bytes)?.parse()?))
    }
}

impl From<Stated> for Invariant {
    fn from(stated: Stated) -> Self {
        stated.0
    }
}

text_enum! {
    /// The buckets of the capacity.
    BucketName {
        /// Content.
        Payload = "payload",
        /// Free in blocks.
        RoomInBlocks = "room in blocks",
        /// In pools, but not in blocks.
        UncarvedInPools = "uncarved in pools",
        /// In arenas, but not in pools.
        UncarvedInArenas = "uncarved in arenas",
        /// Not in arenas.
        Unreserved = "unreserved",
    }
}

/// A row of the view `trial_balance`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = trial_balance)]
#[non_exhaustive]
pub struct Bucket {
    /// The bucket.
    pub bucket: BucketName,
    /// Bytes of capacity in it.
    #[diesel(deserialize_as = crate::models::amount::Capacity)]
    pub bytes: u64,
}

text_enum! {
    /// To whom bytes of the capacity belong.
    ClaimName {
        /// Of stored objects.
        Objects = "objects",
        /// Of objects that have expired, and are not given back yet.
        Expired = "expired",
        /// Of content that is in blocks, but not or no longer part of an object.
        Uploads = "uploads",
        /// Of reservations, for content to come.
        Promised = "promised",
        /// Nobody's.
        Available = "available",
    }
}

/// A row of the view `claims`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = claims)]
#[non_exhaustive]
pub struct Claim {
    /// To whom they belong.
    #[diesel(column_name = bucket)]
    pub claim: ClaimName,
    /// Bytes of capacity.
    #[diesel(deserialize_as = crate::models::amount::Capacity)]
    pub bytes: u64,
}

/// A callback for each violation, which may end the search.
pub type Found<'f> = &'f mut dyn FnMut(Violation) -> ControlFlow<()>;

/// All rows of the view `violations`, for the whole file. O(rows).
pub fn violations(tx: &mut ReadTx<'_>, found: Found<'_>) -> Result<ControlFlow<()>> {
    tx.scanning(|tx| {
        let age = tx.age();
        for violation in rows_of!(tx, violations::table.select(Violation::as_select()), Violation) {
            age.check()?;
            if found(violation?).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// The buckets of a space, summed from the rows. O(rows).
pub fn trial_balance(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<Bucket>> {
    let space = spaces::get(tx, space)?.name;
    let query = trial_balance::table
        .filter(trial_balance::space.eq(space))
        .order(trial_balance::line);
    tx.scanning(|tx| Ok(query.select(Bucket::as_select()).load(tx.conn()?)?))
}

/// The claims to a space, summed from the rows. O(objects).
pub fn claims(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Vec<Claim>> {
    let space = spaces::get(tx, space)?.name;
    let query = claims::table.filter(claims::space.eq(space)).order(claims::line);
    tx.scanning(|tx| Ok(query.select(Claim::as_select()).load(tx.conn()?)?))
}
