//! What a heap takes on a server.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use crate::error::Result;
use crate::store::FileSizes;
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// The bytes of all tables with their indexes and long values. What of them is free is known only to
/// `VACUUM`, which makes room in them for later rows, but seldom makes them shorter.
pub(in crate::store) fn file_sizes(tx: &mut ReadTx<'_>) -> Result<FileSizes> {
    let is_cluster = Statement::<IsCluster, 0>::new([]);
    let (bytes, page) = if on_engine!(tx, |conn| is_cluster.get_result::<bool>(conn))? {
        let sizes = Statement::<SizesOnCluster, 0>::new([]);
        on_engine!(tx, |conn| sizes.get_result(conn))?
    } else {
        let sizes = Statement::<Sizes, 0>::new([]);
        on_engine!(tx, |conn| sizes.get_result(conn))?
    };
    Ok(FileSizes { bytes, free: 0, page })
}

/// The sizes of the tables of the heap, according to a function.
macro_rules! sizes {
    ($function:literal) => {
        concat!(
            "SELECT least(coalesce(sum(",
            $function,
            "(c.oid)), 0), 9223372036854775807)::bigint, current_setting('block_size')::bigint \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relkind = 'r'"
        )
    };
}

sql! {
    IsCluster: Bool = "SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL";
    Sizes: (BigInt, BigInt) = sizes!("pg_catalog.pg_total_relation_size");
    /// The tables are elsewhere: those of the schema only stand for them.
    SizesOnCluster: (BigInt, BigInt) = sizes!("pg_catalog.citus_total_relation_size");
}
