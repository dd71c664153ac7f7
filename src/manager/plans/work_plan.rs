//! A plan as a value.

use serde::{Deserialize, Serialize};

use super::totals::WorkTotals;
use crate::manager::LayoutDigest;
use crate::manager::space::compact_options::CompactOptions;
use crate::manager::space::eviction::EvictOptions;
use crate::models::{ArenaId, BlockId, Policy, PoolId, StoredObjectId, Timestamp};
use crate::value::ObjectId;

/// Work that can be planned by [`MemManager::plan_work`](crate::MemManager::plan_work).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// Removing empty blocks, pools and arenas.
    Gc,
    /// Freeing these objects with their names, and then removing what is empty.
    Free(Vec<ObjectId>),
    /// Evicting objects until there is room, and then removing what is empty.
    Evict(EvictOptions),
    /// Compaction.
    Compact(CompactOptions),
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WorkKind {
    /// [`Work::Gc`].
    Gc,
    /// [`Work::Free`].
    Free,
    /// [`Work::Evict`].
    Evict,
    /// [`Work::Compact`].
    Compact,
}

impl Work {
    /// What it is.
    pub fn kind(&self) -> WorkKind {
        match self {
            Self::Gc => WorkKind::Gc,
            Self::Free(_) => WorkKind::Free,
            Self::Evict(_) => WorkKind::Evict,
            Self::Compact(_) => WorkKind::Compact,
        }
    }
}

/// Work in every detail, to be reviewed, kept as a file and carried out by
/// [`MemManager::apply`](crate::MemManager::apply). Its form in JSON is described in `docs/plans.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkPlan {
    /// Always `heapledger plan`.
    pub format: String,
    /// The version of the format.
    pub version: u64,
    /// What it is for.
    pub work: WorkKind,
    /// If it evicts, by which policy and for how much room: then the objects that it frees are evicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evict: Option<PlanEvict>,
    /// The space.
    pub space: String,
    /// When the space was created, which distinguishes it from another of the same name.
    pub space_created_at: Timestamp,
    /// When the plan was made.
    pub made_at: Timestamp,
    /// The layout that it was made for.
    pub state: LayoutDigest,
    /// What it amounts to.
    pub totals: WorkTotals,
    /// What each transaction does, in this order.
    pub slices: Vec<PlanSlice>,
}

/// By which policy and for how much room a plan evicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanEvict {
    /// What has chosen the objects.
    pub policy: Policy,
    /// Bytes that are to be free afterwards.
    pub room: u64,
}

/// What is done in one transaction: first what is freed, then what is carved, then the moves, and last
/// what is removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanSlice {
    /// Objects to free, or to evict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frees: Vec<PlanFree>,
    /// Pools to carve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_pools: Vec<NewPool>,
    /// Blocks to carve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_blocks: Vec<NewBlock>,
    /// Pieces to move.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<PlanMove>,
    /// Blocks to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockId>,
    /// Pools to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolId>,
    /// Arenas to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arenas: Vec<ArenaId>,
}

/// An object to free or to evict, as it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanFree {
    /// Its id.
    pub object_id: ObjectId,
    /// Key of its row. If the same content is stored again, it has another one.
    pub stored_object_id: StoredObjectId,
    /// Bytes of content.
    pub size: u64,
    /// Whether an allocation without a name holds it.
    pub held: bool,
    /// Its names, in alphabetical order.
    pub names: Vec<String>,
}

/// A pool to carve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NewPool {
    /// The arena that it is carved from.
    pub arena_id: ArenaId,
    /// Bytes of a block of its class.
    pub block_size: u64,
}

/// A block to carve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NewBlock {
    /// The pool that it is carved from.
    pub of: InPool,
}

/// The pool of a new block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InPool {
    /// An existing one.
    Pool(PoolId),
    /// One of the new pools of the slice, counted from 0.
    NewPool(usize),
}

/// A piece to move, or all pieces of an object, which become one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanMove {
    /// The object's id.
    pub object_id: ObjectId,
    /// Key of its row.
    pub stored_object_id: StoredObjectId,
    /// The position of the first of these pieces.
    pub seq: i64,
    /// Where each piece is, in order.
    pub from: Vec<PlanPiece>,
    /// Where it goes.
    pub to: MoveTo,
}

/// A piece in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanPiece {
    /// The block.
    pub block_id: BlockId,
    /// Bytes of the piece.
    pub bytes: i64,
}

/// Where a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MoveTo {
    /// An existing block.
    Block(BlockId),
    /// One of the new blocks of the slice, counted from 0.
    NewBlock(usize),
}

impl PlanMove {
    /// Bytes that it moves. [`WorkPlan::check`] has made sure that they can be added.
    pub(in crate::manager) fn bytes(&self) -> i64 {
        self.from.iter().map(|piece| piece.bytes).sum()
    }
}

impl PlanSlice {
    /// Bytes moved and freed.
    pub(in crate::manager) fn bytes(&self) -> i64 {
        let freed = self
            .frees
            .iter()
            .map(|free| i64::try_from(free.size).unwrap_or(i64::MAX));
        let moved = self.moves.iter().map(PlanMove::bytes);
        freed.chain(moved).fold(0, i64::saturating_add)
    }
}
