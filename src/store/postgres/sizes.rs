//! What a heap takes on a server.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use crate::error::Result;
use crate::store::FileSizes;
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::sqlite::trees::{TreeSize, TreeTypes};
use crate::store::statement::{Statement, sql};

/// The bytes of all tables with their indexes and long values. What of them is free is known only to
/// `VACUUM`, which makes room in them for later rows, but seldom makes them shorter.
pub(in crate::store) fn file_sizes(tx: &mut ReadTx<'_>) -> Result<FileSizes> {
    let (bytes, page) = if is_cluster(tx)? {
        let sizes = Statement::<SizesOnCluster, 0>::new([]);
        on_engine!(tx, |conn| sizes.get_result(conn))?
    } else {
        let sizes = Statement::<Sizes, 0>::new([]);
        on_engine!(tx, |conn| sizes.get_result(conn))?
    };
    Ok(FileSizes { bytes, free: 0, page })
}

/// All tables and indexes, the largest first. The number of rows is that of the last ANALYZE or VACUUM.
/// A cluster does not tell the sizes of single indexes, so those of a table are together.
pub(in crate::store) fn trees(tx: &mut ReadTx<'_>) -> Result<Vec<TreeSize>> {
    if is_cluster(tx)? {
        let trees = Statement::<TreesOnCluster, 0>::new([]);
        return Ok(on_engine!(tx, |conn| trees.load(conn))?);
    }
    let trees = Statement::<Trees, 0>::new([]);
    Ok(on_engine!(tx, |conn| trees.load(conn))?)
}

fn is_cluster(tx: &mut ReadTx<'_>) -> Result<bool> {
    let is_cluster = Statement::<IsCluster, 0>::new([]);
    Ok(on_engine!(tx, |conn| is_cluster.get_result(conn))?)
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
    Trees: TreeTypes = "SELECT c.relname::text, CASE c.relkind WHEN 'i' THEN 'index' ELSE 'table' END, \
        coalesce(t.relname, c.relname)::text, s.size / current_setting('block_size')::bigint, s.size, \
        greatest(c.reltuples, 0)::bigint, 0::bigint, 0::bigint, 0::bigint \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
        CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'i' THEN pg_catalog.pg_relation_size(c.oid) \
            ELSE pg_catalog.pg_table_size(c.oid) END AS size) s \
        WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'i') ORDER BY s.size DESC, c.relname";
    TreesOnCluster: TreeTypes = "SELECT c.relname::text || s.what, s.kind, c.relname::text, \
        s.size / current_setting('block_size')::bigint, s.size, \
        greatest(c.reltuples, 0)::bigint, 0::bigint, 0::bigint, 0::bigint \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        CROSS JOIN LATERAL (VALUES ('', 'table', pg_catalog.citus_table_size(c.oid)), (' (indexes)', 'index', \
            pg_catalog.citus_total_relation_size(c.oid) - pg_catalog.citus_table_size(c.oid))) s (what, kind, size) \
        WHERE n.nspname = current_schema() AND c.relkind = 'r' ORDER BY s.size DESC, 1";
}
