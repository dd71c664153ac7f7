//! Figures that explanations need, and for which there is no counter.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::{MemRamId, Timestamp, unsigned};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Returning, Statement, sql};

/// A count with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub struct Tally {
    /// How many.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub count: u64,
    /// Bytes.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub bytes: u64,
}

/// Empty arenas, and the bytes they reserve: exactly what garbage collection gives back. O(arenas).
pub fn empty_arenas(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Tally> {
    tally::<EmptyArenas>(tx, space)
}

/// Arenas less than a quarter full, and the bytes in them. O(arenas).
pub fn nearly_empty_arenas(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Tally> {
    tally::<NearlyEmptyArenas>(tx, space)
}

/// What holds bytes but serves no purpose.
#[derive(Debug, Clone, Copy)]
pub struct Leftovers {
    /// Reservations whose time is over, and the bytes they hold.
    pub lapsed: Tally,
    /// Large objects that began to be stored long ago, and the bytes stored so far.
    pub old: Tally,
    /// What was given up or freed, and the bytes that are still in blocks.
    pub waiting: Tally,
    /// Objects that have expired.
    pub expired: Tally,
}

impl Leftovers {
    /// What any write can give back.
    pub fn due(&self) -> (Tally, Tally, Tally) {
        (self.lapsed, self.waiting, self.expired)
    }
}

/// What holds bytes at `now` but serves no purpose. Objects that began to be stored before `old`
/// are old. O(log n + open and expired ones).
pub fn leftovers(tx: &mut ReadTx<'_>, space: MemRamId, now: Timestamp, old: Timestamp) -> Result<Leftovers> {
    let of = [space.0.into(), now.as_micros().into()];
    let lapsed = Statement::<Lapsed, 2>::new(of);
    let began = Statement::<Old, 3>::new([space.0.into(), now.as_micros().into(), old.as_micros().into()]);
    Ok(Leftovers {
        lapsed: on_engine!(tx, |conn| lapsed.get_result(conn))?,
        old: on_engine!(tx, |conn| began.get_result(conn))?,
        waiting: tally::<Waiting>(tx, space)?,
        expired: on_engine!(tx, |conn| Statement::<Expired, 2>::new(of).get_result(conn))?,
    })
}

/// Objects that have a name. O(names · log n).
pub fn named_objects(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Tally> {
    tally::<NamedObjects>(tx, space)
}

/// Evictions since a time, and the bytes of their objects. Each has a row of its own. O(events).
pub fn evicted(tx: &mut ReadTx<'_>, space: MemRamId, since: Timestamp) -> Result<Tally> {
    let statement = Statement::<Evicted, 2>::new([space.0.into(), since.as_micros().into()]);
    Ok(on_engine!(tx, |conn| statement.get_result(conn))?)
}

fn tally<S: Returning<Types = (BigInt, BigInt)>>(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Tally> {
    let statement = Statement::<S, 1>::new([space.0.into()]);
    Ok(on_engine!(tx, |conn| statement.get_result(conn))?)
}

/// The pieces that the objects would have if each were alone in blocks of its class. O(objects) per
/// class.
pub fn fewest_pieces(tx: &mut ReadTx<'_>, space: MemRamId, geometry: &Geometry) -> Result<u64> {
    let (mut fewest, mut above) = (0, -1);
    for (index, class) in geometry.classes().iter().enumerate() {
        let is_last = index + 1 == geometry.classes().len();
        let block_size = class.block_size as i64;
        let most = geometry.most_for(*class) as i64;
        let up_to = if is_last { i64::MAX } else { most };
        let values = [
            block_size.into(),
            block_size.into(),
            space.0.into(),
            above.into(),
            up_to.into(),
        ];
        let statement = Statement::<FewestPieces, 5>::new(values);
        fewest += on_engine!(tx, |conn| statement.get_result::<i64>(conn))?;
        above = up_to;
    }
    Ok(unsigned(fewest))
}

/// A sum as PostgreSQL has it, which is not a `bigint`, nor fits in one if the rows are damaged.
#[cfg(feature = "postgres")]
macro_rules! sum {
    ($of:literal) => {
        concat!("least(coalesce(sum(", $of, "), 0), 9223372036854775807)::bigint")
    };
}
#[cfg(feature = "postgres")]
pub(super) use sum;

/// Declares statements that count rows, and add up their bytes.
macro_rules! tallies {
    ($($name:ident = $bytes:literal, $from:literal;)*) => {
        sql! {
            $($name: (BigInt, BigInt) = concat!("SELECT count(*), coalesce(sum(", $bytes, "), 0) FROM ", $from),
                postgres concat!("SELECT count(*), ", sum!($bytes), " FROM ", $from);)*
        }
    };
}

tallies! {
    EmptyArenas = "max_mem", "arenas WHERE memram_id = ? AND mem = 0";
    NearlyEmptyArenas = "mem", "arenas WHERE memram_id = ? AND mem > 0 AND mem < max_mem / 4";
    NamedObjects = "o.size", "stored_objects o WHERE o.id IN (SELECT n.stored_object_id FROM names n WHERE n.memram_id = ?)";
    Evicted = "bytes", "events WHERE memram_id = ? AND kind = 'evict' AND at >= ?";
    Lapsed = "bytes", "reservations WHERE memram_id = ? AND state = 'open' AND expires_at <= ?";
    Old = "written", "reservations WHERE memram_id = ? AND state = 'open' AND key IS NULL AND expires_at > ? AND created_at <= ?";
    Waiting = "written", "reservations WHERE memram_id = ? AND written > 0 AND state <> 'open'";
    Expired = "size", "stored_objects WHERE memram_id = ? AND expires_at IS NOT NULL AND expires_at <= ?";
}

sql! {
    FewestPieces: BigInt = "SELECT coalesce(sum(size / ? + (size % ? > 0)), 0) FROM stored_objects \
        WHERE memram_id = ? AND size > ? AND size <= ?",
        postgres concat!("SELECT ", sum!("size / ? + (size % ? > 0)::int"), " FROM stored_objects \
            WHERE memram_id = ? AND size > ? AND size <= ?");
}
