//! Figures for explanations that no counter has.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::{MemRamId, unsigned};
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::sqlite::exec::{Returning, Sql, Statement};

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

/// Objects that have a name. O(names · log n).
pub fn named_objects(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Tally> {
    tally::<NamedObjects>(tx, space)
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

macro_rules! rows {
    ($($name:ident: $types:ty = $text:expr;)*) => {
        $(struct $name;
        impl Sql for $name {
            const TEXT: &'static str = $text;
        }
        impl Returning for $name {
            type Types = $types;
        })*
    };
}

rows! {
    EmptyArenas: (BigInt, BigInt) = "SELECT count(*), coalesce(sum(max_mem), 0) FROM arenas WHERE memram_id = ? AND mem = 0";
    NearlyEmptyArenas: (BigInt, BigInt) = "SELECT count(*), coalesce(sum(mem), 0) FROM arenas \
        WHERE memram_id = ? AND mem > 0 AND mem < max_mem / 4";
    NamedObjects: (BigInt, BigInt) = "SELECT count(*), coalesce(sum(o.size), 0) FROM stored_objects o \
        WHERE o.id IN (SELECT n.stored_object_id FROM names n WHERE n.memram_id = ?)";
    FewestPieces: BigInt = "SELECT coalesce(sum(size / ? + (size % ? > 0)), 0) FROM stored_objects \
        WHERE memram_id = ? AND size > ? AND size <= ?";
}
