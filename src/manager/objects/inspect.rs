//! Inspecting objects, entries and levels.

use std::collections::VecDeque;

use crate::error::Result;
use crate::manager::MemManager;
use crate::models::{Arena, ArenaId, Block, BlockId, Ledger, LedgerId, Pool, PoolId, Stripe};
use crate::store::queries;
use crate::store::queries::entries::{EntryInfo, Piece};
use crate::store::queries::objects::ObjectInfo;
use crate::value::ObjectId;

/// Rows that an iterator reads in one query.
const PAGE: i64 = 500;

impl MemManager {
    /// All objects, in the order of allocation. They are read page by page, in constant memory, and
    /// objects stored in the meantime may be included.
    pub fn objects(&self) -> Objects {
        self.tagged([])
    }

    /// Rows that are read page by page: those after a key, at most the given number of them.
    pub(super) fn pages<T>(
        &self,
        read: impl Fn(&Self, i64, i64) -> Result<Page<T>> + Send + Sync + 'static,
    ) -> Pages<T> {
        let first = Stripe::of(self.inner.space).before();
        Pages::new(self, first, move |memory, &after, limit| {
            memory.settle_reads();
            read(memory, after, limit)
        })
    }

    /// All ledger entries, by key; read like [`Self::objects`]. Those of a large object that is being
    /// stored, or given back, have no `object_id`.
    pub fn entries(&self) -> Entries {
        self.pages(|memory, after, limit| {
            let space = memory.inner.space;
            let page = memory
                .inner
                .readers
                .single(|tx| queries::entries::page(tx, space, LedgerId(after), limit))?;
            Ok(page.into_iter().map(|entry| (entry.id.0, entry)).collect())
        })
    }

    /// The ledger entries of an object, from front to back.
    ///
    /// # Errors
    /// [`crate::Error::NotStored`]; what [any call](MemManager#errors) fails with.
    pub fn ledger(&self, id: &ObjectId) -> Result<Vec<Ledger>> {
        self.inner.readers.snapshot(|tx| {
            let object = self.scope().find(tx, id)?;
            queries::entries::of_object(tx, object.id)
        })
    }

    /// The arenas of the space.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn arenas(&self) -> Result<Vec<Arena>> {
        let space = self.inner.space;
        self.inner.readers.single(|tx| queries::levels::arenas(tx, space))
    }

    /// The pools of an arena.
    ///
    /// # Errors
    /// [`crate::Error::UnknownRow`] if there is no such row; what [any call](MemManager#errors) fails with.
    pub fn pools(&self, arena: ArenaId) -> Result<Vec<Pool>> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            let row = queries::levels::arena(tx, space, arena)?;
            row.ok_or_else(|| self.unknown("arena", arena.0))?;
            queries::levels::pools(tx, arena)
        })
    }

    /// The blocks of a pool.
    ///
    /// # Errors
    /// [`crate::Error::UnknownRow`] if there is no such row; what [any call](MemManager#errors) fails with.
    pub fn blocks(&self, pool: PoolId) -> Result<Vec<Block>> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            let row = queries::levels::pool(tx, space, pool)?;
            row.ok_or_else(|| self.unknown("pool", pool.0))?;
            queries::levels::blocks(tx, pool)
        })
    }

    /// One block.
    ///
    /// # Errors
    /// [`crate::Error::UnknownRow`] if there is no such row; what [any call](MemManager#errors) fails with.
    pub fn block(&self, block: BlockId) -> Result<Block> {
        let space = self.inner.space;
        let row = self
            .inner
            .readers
            .single(|tx| queries::levels::block(tx, space, block))?;
        row.ok_or_else(|| self.unknown("block", block.0))
    }

    /// The pieces in a block, with their bytes. Those of a large object that is being stored, or given
    /// back, have no `object_id`.
    ///
    /// # Errors
    /// [`crate::Error::UnknownRow`] if there is no such row; what [any call](MemManager#errors) fails with.
    pub fn pieces_in(&self, block: BlockId) -> Result<Vec<Piece>> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            let row = queries::levels::block(tx, space, block)?;
            row.ok_or_else(|| self.unknown("block", block.0))?;
            queries::entries::in_block(tx, block)
        })
    }
}

/// All objects; see [`MemManager::objects`].
pub type Objects = Pages<ObjectInfo>;

/// All ledger entries; see [`MemManager::entries`].
pub type Entries = Pages<EntryInfo>;

/// Rows, each with its key.
pub(in crate::manager) type Page<T, K = i64> = VecDeque<(K, T)>;

type Read<T, K> = dyn Fn(&MemManager, &K, i64) -> Result<Page<T, K>> + Send + Sync;

/// An iterator that reads rows page by page, in the order of their keys.
pub struct Pages<T, K = i64> {
    memory: MemManager,
    page: Page<T, K>,
    after: K,
    read: Box<Read<T, K>>,
    ended: bool,
}

impl<T, K> Pages<T, K> {
    /// The rows after a key.
    pub(in crate::manager) fn new(
        memory: &MemManager,
        after: K,
        read: impl Fn(&MemManager, &K, i64) -> Result<Page<T, K>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            memory: memory.clone(),
            page: VecDeque::new(),
            after,
            read: Box::new(read),
            ended: false,
        }
    }
}

impl<T, K> Iterator for Pages<T, K> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.ended {
            match (self.read)(&self.memory, &self.after, PAGE) {
                Ok(page) => {
                    self.ended = (page.len() as i64) < PAGE;
                    self.page = page;
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        let (id, row) = self.page.pop_front()?;
        self.after = id;
        Some(Ok(row))
    }
}

impl<T, K> std::fmt::Debug for Pages<T, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}
