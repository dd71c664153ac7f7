//! `memram`: one bounded space, with the totals of its size classes and kinds.

use diesel::prelude::*;

use super::id;
use crate::store::schema::{kinds, memram, size_classes};

id! {
    /// Key of a space.
    MemRamId
}

/// One bounded space: at most `max_mem` bytes, `mem` of them used.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = memram)]
pub struct MemRam {
    /// Key.
    pub id: MemRamId,
    /// Name, unique in the file; `main` is the default.
    pub name: String,
    /// Capacity in bytes.
    pub max_mem: i64,
    /// Bytes of content stored.
    pub mem: i64,
    /// Bytes that arenas reserve.
    pub reserved: i64,
    /// Bytes of an arena.
    pub arena_size: i64,
    /// Blocks that an object may take in a class before it goes to the next.
    pub max_pieces: i64,
    /// Number of arenas.
    pub arenas: i64,
    /// The most bytes that were ever stored at once.
    pub peak_mem: i64,
    /// Objects ever stored.
    pub allocations: i64,
    /// Objects ever removed.
    pub frees: i64,
    /// Allocations that found their content stored already.
    pub dedup_hits: i64,
    /// Bytes that those did not have to store again.
    pub dedup_saved: i64,
    /// When the space was made.
    pub created_at: i64,
}

impl MemRam {
    /// Bytes that are free: an object of this size still fits.
    pub fn available(&self) -> i64 {
        self.max_mem - self.mem
    }
}

/// The totals of one size class of a space.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = size_classes)]
pub struct SizeClassTotals {
    /// The space.
    pub memram_id: MemRamId,
    /// Bytes of a block.
    pub block_size: i64,
    /// Bytes of a pool.
    pub pool_size: i64,
    /// Bytes of content in the class's blocks.
    pub mem: i64,
    /// Bytes of its blocks.
    pub reserved: i64,
    /// Bytes of its pools.
    pub pooled: i64,
    /// Number of pools.
    pub pools: i64,
    /// Number of blocks.
    pub blocks: i64,
    /// Blocks without room.
    pub full_blocks: i64,
    /// Blocks with nothing in them.
    pub empty_blocks: i64,
    /// Ledger entries in its blocks.
    pub entries: i64,
}

/// How many objects of one kind a space holds.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = kinds)]
pub struct KindTotals {
    /// The space.
    pub memram_id: MemRamId,
    /// The kind.
    pub kind: String,
    /// Number of objects.
    pub objects: i64,
    /// Bytes of their contents.
    pub mem: i64,
}

#[derive(Debug, Insertable)]
#[diesel(table_name = memram, treat_none_as_default_value = false)]
pub(crate) struct NewMemRam<'a> {
    pub id: MemRamId,
    pub name: &'a str,
    pub max_mem: i64,
    pub arena_size: i64,
    pub max_pieces: i64,
    pub created_at: i64,
}

#[derive(Debug, Insertable)]
#[diesel(table_name = size_classes, treat_none_as_default_value = false)]
pub(crate) struct NewSizeClass {
    pub memram_id: MemRamId,
    pub block_size: i64,
    pub pool_size: i64,
}

#[derive(Debug, Insertable)]
#[diesel(table_name = kinds, treat_none_as_default_value = false)]
pub(crate) struct NewKind {
    pub memram_id: MemRamId,
    pub kind: &'static str,
}
