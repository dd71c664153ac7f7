//! Events before they are written, and their form in the file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::models::{Arena, ArenaId, Block, BlockId, EventKind, Pool, PoolId, ReservationId, Timestamp, signed};
use crate::value::{ObjectId, read_json};

/// The actor, time and reason of a unit of work.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub actor: Option<Arc<str>>,
    pub reason: Option<Arc<str>>,
    pub at: Timestamp,
}

/// An event before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub kind: EventKind,
    pub signature: Signature,
    pub object: Option<ObjectId>,
    pub name: Option<String>,
    pub bytes: i64,
    /// Bytes of content in the space after it, relative to the last flush.
    pub mem: i64,
    pub accounts: Accounts,
    pub reservation: Option<ReservationId>,
    /// Whether it is a part of an upload, or a step of giving pieces back, that more changes may belong
    /// to.
    pub is_open: bool,
    pub changes: Changes,
    /// If it happened again since.
    pub repeated: Option<Repeated>,
}

/// How often an event happened again, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeated {
    pub times: i64,
    pub last: Timestamp,
}

impl Draft {
    pub fn new(kind: EventKind, signature: &Signature) -> Self {
        Self {
            kind,
            signature: signature.clone(),
            object: None,
            name: None,
            bytes: 0,
            mem: 0,
            accounts: Accounts::default(),
            reservation: None,
            is_open: false,
            changes: Changes::default(),
            repeated: None,
        }
    }

    /// Whether more changes may come: of an allocation, of a part of an upload, or of a step of giving
    /// pieces back. The pieces of an object that was uploaded belong to its parts.
    pub fn is_unfinished(&self) -> bool {
        let is_partly_placed = self.kind == EventKind::Allocate && self.accounts.payload < self.bytes;
        self.is_open || (is_partly_placed && self.reservation.is_none())
    }
}

/// Bytes moved into each account; all others add up to `capacity`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accounts {
    pub payload: i64,
    pub room_in_blocks: i64,
    pub uncarved_in_pools: i64,
    pub uncarved_in_arenas: i64,
    pub unreserved: i64,
    pub capacity: i64,
}

/// The changes of an event to blocks and levels, in the form of the column `changes`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changes {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<PieceChange>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carved: Vec<Carving>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Carving>,
    /// For a move, the bytes of the whole object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// For an eviction, what chose the object.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub policy: Option<&'static str>,
    /// For an eviction, the id of the object that it made room for.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub wanted: Option<String>,
    /// For an eviction, the bytes that this one needed.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub needed: Option<i64>,
    /// For a refusal or an eviction, the free bytes.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub available: Option<i64>,
    /// For a refusal by a quota, whose it is: `key=value`.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub owner: Option<String>,
    /// For a refusal by a quota, what it limits.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub limit: Option<&'static str>,
    /// For a refusal by a quota, what its owner had.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub used: Option<i64>,
    /// For a refusal by a quota, what its owner may have.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub hard: Option<i64>,
    /// For a refusal, the missing bytes.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub shortfall: Option<i64>,
}

impl Accounts {
    pub fn add(&mut self, other: Self) {
        self.payload += other.payload;
        self.room_in_blocks += other.room_in_blocks;
        self.uncarved_in_pools += other.uncarved_in_pools;
        self.uncarved_in_arenas += other.uncarved_in_arenas;
        self.unreserved += other.unreserved;
        self.capacity += other.capacity;
    }
}

impl Changes {
    /// The JSON of the column, or `None` if nothing changed.
    pub fn into_json(self) -> Option<String> {
        if self == Self::default() {
            return None;
        }
        // Numbers and fixed strings cannot fail to serialise.
        serde_json::to_string(&self).ok()
    }

    /// Parses the column.
    pub fn read(changes: &str) -> Result<Self, String> {
        // serde_json reads untagged numbers under some of its features only.
        read_json(changes)
    }
}

/// Bytes added to a block or, if negative, removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "[i64; 5]", into = "[i64; 5]")]
pub(crate) struct PieceChange {
    pub block: BlockId,
    pub pool: PoolId,
    pub arena: ArenaId,
    pub block_size: i64,
    pub bytes: i64,
}

impl From<[i64; 5]> for PieceChange {
    fn from([block, pool, arena, block_size, bytes]: [i64; 5]) -> Self {
        Self {
            block: BlockId(block),
            pool: PoolId(pool),
            arena: ArenaId(arena),
            block_size,
            bytes,
        }
    }
}

impl From<PieceChange> for [i64; 5] {
    fn from(change: PieceChange) -> Self {
        let [block, pool, arena] = [change.block.0, change.pool.0, change.arena.0];
        [block, pool, arena, change.block_size, change.bytes]
    }
}

/// A carved or removed arena, pool or block: the level, its key, the keys of its parents starting
/// with the nearest, its block size and its bytes. Each level has a different number of fields,
/// which distinguishes them when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Carving {
    Block(LevelWord, i64, i64, i64, i64, i64),
    Pool(LevelWord, i64, i64, i64, i64),
    Arena(LevelWord, i64, i64),
}

/// The first field of a carving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LevelWord {
    Arena,
    Pool,
    Block,
}

impl From<&Arena> for Carving {
    fn from(arena: &Arena) -> Self {
        Self::Arena(LevelWord::Arena, arena.id.0, signed(arena.max_mem))
    }
}

impl From<&Pool> for Carving {
    fn from(pool: &Pool) -> Self {
        Self::Pool(
            LevelWord::Pool,
            pool.id.0,
            pool.arena_id.0,
            signed(pool.block_size),
            signed(pool.max_mem),
        )
    }
}

impl From<&Block> for Carving {
    fn from(block: &Block) -> Self {
        let [id, pool, arena] = [block.id.0, block.pool_id.0, block.arena_id.0];
        Self::Block(
            LevelWord::Block,
            id,
            pool,
            arena,
            signed(block.block_size),
            signed(block.max_mem),
        )
    }
}
