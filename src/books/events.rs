//! An event that the history trigger is writing up.

use std::sync::Arc;

use serde::Serialize;

use crate::models::{Arena, Block, EventId, EventKind, Pool, Timestamp};
use crate::value::ObjectId;

/// Who does a unit of work, when, and why.
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
    /// Bytes of content in the space after it, less those at the last flush.
    pub mem: i64,
    pub accounts: Accounts,
    pub changes: Changes,
}

/// An event as it is written.
#[derive(Debug)]
pub(crate) struct EventRow {
    pub id: EventId,
    /// With nothing in `changes`, and in `mem` what the space holds after it.
    pub draft: Draft,
    /// The column `changes`.
    pub changes: Option<String>,
}

impl EventRow {
    /// It states the whole balance, from which on the others count: its figures are those of
    /// the rows.
    pub fn is_opening(&self) -> bool {
        self.draft.kind == EventKind::Opening
    }
}

impl Draft {
    /// The event with its key. `mem` is what the space held at the last flush.
    pub fn number(mut self, id: EventId, mem: i64) -> EventRow {
        self.mem += mem;
        // A large object has many changes: they go as soon as their text is written.
        let changes = std::mem::take(&mut self.changes).into_json();
        EventRow {
            id,
            draft: self,
            changes,
        }
    }

    pub fn new(kind: EventKind, signature: &Signature) -> Self {
        Self {
            kind,
            signature: signature.clone(),
            object: None,
            name: None,
            bytes: 0,
            mem: 0,
            accounts: Accounts::default(),
            changes: Changes::default(),
        }
    }

    /// Nothing but pieces that came or went, or nothing at all.
    pub fn is_plain(&self) -> bool {
        let moved = Accounts {
            payload: self.accounts.payload,
            room_in_blocks: self.accounts.room_in_blocks,
            ..Accounts::default()
        };
        self.name.is_none() && self.accounts == moved
    }

    /// An allocation of which pieces are still to come.
    pub fn is_unfinished(&self) -> bool {
        self.kind == EventKind::Allocate && self.accounts.payload < self.bytes
    }
}

/// Bytes that move into each account; without the capacity they add up to it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accounts {
    pub payload: i64,
    pub room_in_blocks: i64,
    pub uncarved_in_pools: i64,
    pub uncarved_in_arenas: i64,
    pub unreserved: i64,
    pub capacity: i64,
}

/// What an event changed, in the form of the column `changes`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Changes {
    /// Block, pool, arena, block size, bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<[i64; 5]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carved: Vec<Carving>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Carving>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

impl Changes {
    /// The JSON of the column, or `None` if nothing was changed.
    pub fn into_json(self) -> Option<String> {
        if self == Self::default() {
            return None;
        }
        // Numbers and fixed strings cannot fail to serialise.
        serde_json::to_string(&self).ok()
    }
}

/// An arena, pool or block that came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Carving {
    /// `"arena"`, id, bytes.
    Arena(&'static str, i64, i64),
    /// `"pool"`, id, arena, block size, bytes.
    Pool(&'static str, i64, i64, i64, i64),
    /// `"block"`, id, pool, arena, block size, bytes.
    Block(&'static str, i64, i64, i64, i64, i64),
}

impl From<&Arena> for Carving {
    fn from(arena: &Arena) -> Self {
        Self::Arena("arena", arena.id.0, arena.max_mem)
    }
}

impl From<&Pool> for Carving {
    fn from(pool: &Pool) -> Self {
        Self::Pool("pool", pool.id.0, pool.arena_id.0, pool.block_size, pool.max_mem)
    }
}

impl From<&Block> for Carving {
    fn from(block: &Block) -> Self {
        let [id, pool, arena] = [block.id.0, block.pool_id.0, block.arena_id.0];
        Self::Block("block", id, pool, arena, block.block_size, block.max_mem)
    }
}

/// The figures of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    pub available: i64,
    pub shortfall: i64,
}
