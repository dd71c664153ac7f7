//! `memram`: one bounded space, with the totals of its size classes and kinds.

use diesel::prelude::*;

use super::{Policy, Shown, Timestamp, id, text_enum};
use crate::error::{Result, SpaceError};
use crate::models::schema::{kinds, memram, size_classes};
use crate::value::Kind;

id! {
    /// Key of a space.
    MemRamId
}

impl MemRamId {
    /// The key of the first space, which in most files is the only one.
    pub(crate) const FIRST: Self = Self(1);
}

text_enum! {
    /// Whether a space records events; see [`crate::History`].
    HistoryMode {
        /// Every event is kept.
        On = "on",
        /// No events are recorded.
        Off = "off",
        /// Events are kept for some time.
        Keep = "keep",
    }
}

/// One bounded space: at most `max_mem` bytes, `mem` of them used.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = memram)]
#[non_exhaustive]
pub struct MemRam {
    /// Key.
    pub id: MemRamId,
    /// Name, unique in the file; `main` is the default.
    #[diesel(deserialize_as = Shown)]
    pub name: String,
    /// Capacity in bytes.
    #[diesel(deserialize_as = super::amount::Capacity)]
    pub max_mem: u64,
    /// Bytes of content stored.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub mem: u64,
    /// Bytes that are reserved for content to come.
    #[diesel(deserialize_as = super::amount::Capacity)]
    pub promised: u64,
    /// Bytes that arenas reserve.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub reserved: u64,
    /// Bytes of an arena.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub arena_size: u64,
    /// An object goes to the smallest class whose blocks hold this many objects of its size.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub per_block: u64,
    /// Number of arenas.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub arenas: u64,
    /// The most bytes ever stored at the same time.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub peak_mem: u64,
    /// Objects ever stored.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub allocations: u64,
    /// Objects ever removed.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub frees: u64,
    /// Allocations that found their content already stored.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub dedup_hits: u64,
    /// Bytes saved by dedup hits.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub dedup_saved: u64,
    /// When the space was created.
    pub created_at: Timestamp,
    /// Whether it records events.
    pub history: HistoryMode,
    /// For [`HistoryMode::Keep`], how long events are kept, in microseconds.
    #[diesel(deserialize_as = super::amount::AmountIfAny)]
    pub history_keep: Option<u64>,
    /// For [`HistoryMode::Keep`], how many bytes of events are kept.
    #[diesel(deserialize_as = super::amount::AmountIfAny)]
    pub history_max_bytes: Option<u64>,
    /// Bytes of the events that are kept.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub history_bytes: u64,
    /// Since when it is being dropped, if it is.
    pub dropped_at: Option<Timestamp>,
    /// Number of tags that its holds have.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub tags: u64,
    /// Number of its quotas.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub quotas: u64,
    /// What goes first if objects are evicted to make room; `None` if none are.
    #[diesel(deserialize_as = super::policy::PolicyIfAny)]
    pub evict: Option<Policy>,
    /// Younger objects are not evicted, in microseconds.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub evict_min_age: u64,
    /// Objects ever evicted.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub evictions: u64,
    /// Their bytes.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub evicted_mem: u64,
    /// For [`Policy::Sieve`], the position of the hand.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub evict_hand: u64,
    /// For the policies that go by use, bytes in the main queue.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub evict_main: u64,
    /// For [`Policy::S3Fifo`], bytes of what it remembers.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub evict_gone: u64,
}

impl MemRam {
    /// Free bytes that are promised to nobody: an object of this size still fits.
    pub fn available(&self) -> u64 {
        self.max_mem.saturating_sub(self.mem).saturating_sub(self.promised)
    }

    /// The size of the largest object for which there may be room: the [available](Self::available) bytes
    /// or, if the space evicts, all that are not promised.
    pub(crate) fn attainable(&self) -> u64 {
        match self.evict {
            Some(_) => self.max_mem.saturating_sub(self.promised),
            None => self.available(),
        }
    }

    /// Bytes that no arena reserves.
    pub fn unreserved(&self) -> u64 {
        self.max_mem.saturating_sub(self.reserved)
    }

    /// Fails if the space is being dropped.
    ///
    /// # Errors
    /// [`SpaceError::BeingDropped`].
    pub(crate) fn is_kept(&self) -> Result<()> {
        let Some(at) = self.dropped_at else { return Ok(()) };
        let space = self.name.clone();
        Err(SpaceError::BeingDropped { space, at }.into())
    }

    /// Objects that are stored.
    pub fn objects(&self) -> u64 {
        self.allocations.saturating_sub(self.frees)
    }
}

/// The totals of one size class of a space.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = size_classes)]
#[non_exhaustive]
pub struct SizeClassTotals {
    /// The space.
    pub memram_id: MemRamId,
    /// Bytes of a block.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub block_size: u64,
    /// Bytes of a pool.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub pool_size: u64,
    /// Bytes of content in the class's blocks.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub mem: u64,
    /// Bytes of its blocks.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub reserved: u64,
    /// Bytes of its pools.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub pooled: u64,
    /// Number of pools.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub pools: u64,
    /// Number of blocks.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub blocks: u64,
    /// Blocks without room.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub full_blocks: u64,
    /// Blocks with nothing in them.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub empty_blocks: u64,
    /// Ledger entries in its blocks.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub entries: u64,
}

impl SizeClassTotals {
    /// Blocks that hold something and have room.
    pub fn partly_filled_blocks(&self) -> u64 {
        self.blocks.saturating_sub(self.full_blocks + self.empty_blocks)
    }
}

/// How many objects of one kind a space holds.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = kinds)]
#[non_exhaustive]
pub struct KindTotals {
    /// The space.
    pub memram_id: MemRamId,
    /// The kind.
    pub kind: Kind,
    /// Number of objects.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub objects: u64,
    /// Bytes of their contents.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub mem: u64,
}
