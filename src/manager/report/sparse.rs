//! Objects that occupy nearly empty arenas.

use std::vec;

use crate::error::Result;
use crate::manager::MemManager;
use crate::models::{Arena, ArenaId};
use crate::store::queries;
use crate::store::queries::sparse::Occupant;

/// Options of [`MemManager::sparse_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SparseOptions {
    /// Only this arena, however full it is, instead of the nearly empty ones.
    pub arena: Option<ArenaId>,
    /// An arena is nearly empty if it is not empty, but less than this share of its bytes is used,
    /// in percent.
    pub under: u8,
    /// At most this many objects are listed per arena, those with the most bytes in it first.
    pub limit: u64,
}

impl Default for SparseOptions {
    fn default() -> Self {
        Self {
            arena: None,
            under: NEARLY_EMPTY,
            limit: OBJECTS,
        }
    }
}

impl SparseOptions {
    /// Lists only this arena, however full it is.
    #[must_use]
    pub fn arena(mut self, arena: impl Into<Option<ArenaId>>) -> Self {
        self.arena = arena.into();
        self
    }

    /// Sets the used share, in percent, below which an arena is nearly empty.
    #[must_use]
    pub fn under(mut self, percent: u8) -> Self {
        self.under = percent;
        self
    }

    /// Sets how many objects are listed per arena.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }
}

/// In percent. Below a quarter, moving the contents of an arena costs less than a third of what it
/// gives back.
pub(in crate::manager) const NEARLY_EMPTY: u8 = 25;
/// An arena with more objects is not worth emptying by hand.
const OBJECTS: u64 = 20;

impl MemManager {
    /// The objects that occupy an arena: this one, or every nearly empty one (under 25 % used), the
    /// emptiest first; at most 20 objects of each. An arena is given back when all its objects are
    /// freed and garbage is collected. O(arenas + entries in those listed).
    ///
    /// # Errors
    /// [`crate::Error::UnknownRow`] if there is no such arena; what [any call](MemManager#errors) fails with.
    pub fn sparse(&self, arena: Option<ArenaId>) -> Result<Vec<Occupant>> {
        let options = SparseOptions {
            arena,
            ..SparseOptions::default()
        };
        self.sparse_with(options)?.collect()
    }

    /// Like [`Self::sparse`], but lazily, arena by arena, and with another limit and another threshold
    /// for nearly empty arenas.
    ///
    /// # Errors
    /// [`crate::Error::UnknownRow`] if there is no such arena; what [any call](MemManager#errors) fails with.
    pub fn sparse_with(&self, options: SparseOptions) -> Result<Occupants> {
        let space = self.inner.space;
        let arenas = self.inner.readers.single(|tx| match options.arena {
            None => queries::sparse::nearly_empty(tx, space, options.under.into()),
            Some(id) => {
                let arena = queries::levels::arena(tx, space, id)?;
                Ok(vec![arena.ok_or_else(|| self.unknown("arena", id.0))?])
            }
        })?;
        Ok(Occupants {
            memory: self.clone(),
            limit: i64::try_from(options.limit).unwrap_or(i64::MAX),
            arenas: arenas.into_iter(),
            page: Vec::new().into_iter(),
        })
    }
}

/// An iterator of objects in arenas; see [`MemManager::sparse_with`].
pub struct Occupants {
    memory: MemManager,
    limit: i64,
    arenas: vec::IntoIter<Arena>,
    page: vec::IntoIter<Occupant>,
}

impl Iterator for Occupants {
    type Item = Result<Occupant>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(occupant) = self.page.next() {
                return Some(Ok(occupant));
            }
            let arena = self.arenas.next()?;
            let readers = &self.memory.inner.readers;
            match readers.single(|tx| queries::sparse::of_arena(tx, &arena, self.limit)) {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl std::fmt::Debug for Occupants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Occupants").finish_non_exhaustive()
    }
}
