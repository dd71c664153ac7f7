//! `ledger`: which bytes of which object are in which block.

use std::borrow::Cow;

use diesel::prelude::*;

use super::{ArenaId, Block, BlockId, MemRamId, PoolId, StoredObjectId, striped_id, unsigned};
use crate::models::schema::ledger;

striped_id! {
    /// Key of a ledger entry.
    LedgerId
}

impl LedgerId {
    /// The key of a piece: its object's key plus its position.
    pub(crate) fn of(object: StoredObjectId, seq: i64) -> Self {
        Self(object.0.saturating_add(seq))
    }
}

/// One piece of an object, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = ledger)]
#[non_exhaustive]
pub struct Ledger {
    /// Key.
    pub id: LedgerId,
    /// The object.
    pub stored_object_id: StoredObjectId,
    /// Position of the piece in the object, from 0.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub seq: u64,
    /// The arena of its block.
    pub arena_id: ArenaId,
    /// The pool of its block.
    pub pool_id: PoolId,
    /// The block that the piece is in.
    pub block_id: BlockId,
    /// Bytes of the piece.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub allocated_mem: u64,
    /// Bytes of the object before this piece.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub start: u64,
    /// Whether it is the last piece of the object.
    pub is_last: bool,
}

/// A new entry.
#[derive(Debug, Clone)]
pub(crate) struct NewEntry<'a> {
    pub stored_object_id: StoredObjectId,
    pub seq: i64,
    pub arena_id: ArenaId,
    pub pool_id: PoolId,
    pub block_id: BlockId,
    pub allocated_mem: i64,
    pub start: i64,
    pub is_last: bool,
    pub data: Cow<'a, [u8]>,
}

impl NewEntry<'_> {
    /// Its key.
    pub fn id(&self) -> LedgerId {
        LedgerId::of(self.stored_object_id, self.seq)
    }

    pub fn into_owned(self) -> NewEntry<'static> {
        NewEntry {
            data: self.data.into_owned().into(),
            ..self
        }
    }
}

/// An entry with what triggers need to know about its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub(crate) struct PlacedEntry {
    pub memram_id: MemRamId,
    pub block_id: BlockId,
    pub pool_id: PoolId,
    pub arena_id: ArenaId,
    #[diesel(deserialize_as = super::amount::Amount)]
    pub allocated_mem: i64,
    #[diesel(deserialize_as = super::amount::Amount)]
    pub block_size: i64,
    #[diesel(deserialize_as = super::amount::Amount)]
    pub block_max_mem: i64,
    #[diesel(deserialize_as = super::amount::Amount)]
    pub block_mem: i64,
}

impl PlacedEntry {
    /// Its block, with `mem` bytes in it.
    pub fn block(&self, mem: i64) -> Block {
        Block {
            id: self.block_id,
            memram_id: self.memram_id,
            arena_id: self.arena_id,
            pool_id: self.pool_id,
            block_size: unsigned(self.block_size),
            max_mem: unsigned(self.block_max_mem),
            mem: unsigned(mem),
            is_free: mem < self.block_max_mem,
        }
    }
}
