//! The pages of each table and index.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::error::Result;
use crate::models::text_enum;
use crate::store::conn::on_engine;
use crate::store::read::ReadTx;
use crate::store::statement::{Returning, Sql, Statement};

text_enum! {
    /// What a tree of pages contains.
    TreeKind {
        /// A table.
        Table = "table",
        /// An index.
        Index = "index",
    }
}

/// The pages of one table or index. Sizes are in bytes. On a server, `rows` is an estimate, and
/// `payload`, `unused` and `unused_in_trees` are not known and 0.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, serde::Serialize)]
#[non_exhaustive]
pub struct TreeSize {
    /// Its name in the schema.
    pub name: String,
    /// Table or index.
    pub kind: TreeKind,
    /// The table that it belongs to.
    pub table: String,
    /// Number of pages.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub pages: u64,
    /// Bytes of those pages.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub bytes: u64,
    /// Rows, or entries of the index.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub rows: u64,
    /// Bytes of the rows as they are encoded.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub payload: u64,
    /// Unused bytes of those pages.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub unused: u64,
    /// Of these, bytes on pages shared by several rows, which denser packing could use.
    #[diesel(deserialize_as = crate::models::amount::Amount)]
    pub unused_in_trees: u64,
}

impl TreeSize {
    /// Bytes for page headers, cell pointers and the tree itself.
    pub fn overhead(&self) -> u64 {
        self.bytes.saturating_sub(self.payload + self.unused)
    }
}

impl ReadTx<'_> {
    /// All tables and indexes, the largest first. Reads every page of the file: O(file).
    pub fn trees(&mut self) -> Result<Vec<TreeSize>> {
        #[cfg(feature = "postgres")]
        if self.is_on_server() {
            return crate::store::postgres::sizes::trees(self);
        }
        let statement = Statement::<Trees, 0>::new([]);
        Ok(on_engine!(self, |conn| statement.load(conn))?)
    }
}

struct Trees;

impl Sql for Trees {
    // The cells of an interior page of a table are not rows but pointers. An overflow page
    // belongs to one row, so nothing else can use the rest of it.
    const TEXT: &'static str = "SELECT d.name, coalesce(s.type, 'table'), coalesce(s.tbl_name, d.name), \
        count(*), sum(d.pgsize), \
        sum(CASE WHEN d.pagetype = 'leaf' OR s.type = 'index' OR s.sql LIKE '%WITHOUT ROWID%' THEN d.ncell ELSE 0 END), \
        sum(d.payload), sum(d.unused), \
        sum(CASE WHEN d.pagetype = 'overflow' THEN 0 ELSE d.unused END) \
        FROM dbstat d LEFT JOIN sqlite_schema s ON s.name = d.name \
        GROUP BY d.name ORDER BY 5 DESC, d.name";
}

/// The types of the columns of a [`TreeSize`].
pub(in crate::store) type TreeTypes = (Text, Text, Text, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt);

impl Returning for Trees {
    type Types = TreeTypes;
}
