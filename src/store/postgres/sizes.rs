//! What a heap takes on a server.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use crate::error::Result;
use crate::store::FileSizes;
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::sqlite::trees::{TreeSize, TreeTypes};
use crate::store::statement::{Statement, sql};

/// The bytes of all tables with their indexes and long values. Only `VACUUM` knows how many of them
/// are free; it makes room for later rows, but seldom makes the tables shorter.
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
/// In a cluster the indexes of a table are added up, because the indexes of its shard have other names.
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

/// The tables and views of schemas. `pg_class` has no index by schema, and may contain the tables of many heaps.
macro_rules! tables {
    () => {
        "pg_catalog.pg_namespace n JOIN pg_catalog.pg_depend p ON p.refclassid = 'pg_catalog.pg_namespace'::regclass \
         AND p.refobjid = n.oid AND p.classid = 'pg_catalog.pg_class'::regclass JOIN pg_catalog.pg_class c ON c.oid = p.objid "
    };
}

/// The bytes of a heap, from the tables that have its rows.
macro_rules! sizes {
    ($table:literal, $more:literal) => {
        concat!(
            "SELECT least(coalesce(sum(pg_catalog.pg_total_relation_size(",
            $table,
            ")), 0), 9223372036854775807)::bigint, current_setting('block_size')::bigint \
             FROM ",
            tables!(),
            $more,
            " WHERE n.nspname = current_schema() AND c.relkind = 'r'"
        )
    };
}

sql! {
    IsCluster: Bool = "SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL";
    Sizes: (BigInt, BigInt) = sizes!("c.oid", "");
    /// The tables of a distributed schema only stand for others, which are on this node. The functions of
    /// Citus would ask this node over a connection of their own, and do not work in a transaction that has written.
    SizesOnCluster: (BigInt, BigInt) = sizes!(
        "coalesce(to_regclass(pg_catalog.shard_name(s.logicalrelid, s.shardid)), c.oid)",
        "LEFT JOIN pg_catalog.pg_dist_shard s ON s.logicalrelid = c.oid"
    );
    Trees: TreeTypes = concat!(
        "SELECT t.relname::text, CASE t.relkind WHEN 'i' THEN 'index' ELSE 'table' END, \
            c.relname::text, s.size / current_setting('block_size')::bigint, s.size, \
            greatest(t.reltuples, 0)::bigint, 0::bigint, 0::bigint, 0::bigint \
            FROM ",
        tables!(),
        "CROSS JOIN LATERAL (SELECT c.oid UNION ALL SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid) part (oid) \
            JOIN pg_catalog.pg_class t ON t.oid = part.oid \
            CROSS JOIN LATERAL (SELECT pg_catalog.pg_table_size(t.oid) AS size) s \
            WHERE n.nspname = current_schema() AND c.relkind = 'r' ORDER BY s.size DESC, t.relname"
    );
    TreesOnCluster: TreeTypes = concat!(
        "SELECT c.relname::text || s.what, s.kind, c.relname::text, \
            s.size / current_setting('block_size')::bigint, s.size, \
            greatest(c.reltuples, 0)::bigint, 0::bigint, 0::bigint, 0::bigint \
            FROM ",
        tables!(),
        "LEFT JOIN pg_catalog.pg_dist_shard d ON d.logicalrelid = c.oid \
            CROSS JOIN LATERAL (SELECT coalesce(to_regclass(pg_catalog.shard_name(d.logicalrelid, d.shardid)), c.oid)) t (oid) \
            CROSS JOIN LATERAL (VALUES ('', 'table', pg_catalog.pg_table_size(t.oid)), \
                (' (indexes)', 'index', pg_catalog.pg_indexes_size(t.oid))) s (what, kind, size) \
            WHERE n.nspname = current_schema() AND c.relkind = 'r' ORDER BY s.size DESC, 1"
    );
}
