//! Objects that occupy nearly empty arenas.

use std::vec;

use crate::error::Result;
use crate::manager::MemManager;
use crate::models::{Arena, ArenaId};
use crate::store::queries;
use crate::store::queries::pins::Pin;

/// Options of [`MemManager::pins_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinOptions {
    /// Only this arena, however full it is, instead of the nearly empty ones.
    pub arena: Option<ArenaId>,
    /// An arena is nearly empty if it is not empty, but less than this share of its bytes is used,
    /// in percent.
    pub under: u8,
    /// At most this many objects are listed per arena, those with the most bytes in it first.
    pub limit: u64,
}

impl Default for PinOptions {
    fn default() -> Self {
        Self {
            arena: None,
            under: NEARLY_EMPTY,
            limit: OBJECTS,
        }
    }
}

impl PinOptions {
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
    pub fn pins(&self, arena: Option<ArenaId>) -> Result<Vec<Pin>> {
        let options = PinOptions {
            arena,
            ..PinOptions::default()
        };
        self.pins_with(options)?.collect()
    }

    /// Like [`Self::pins`], but lazily, arena by arena, and with another limit and another threshold
    /// for nearly empty arenas.
    ///
    /// # Errors
    /// [`crate::Error::UnknownRow`] if there is no such arena; what [any call](MemManager#errors) fails with.
    pub fn pins_with(&self, options: PinOptions) -> Result<Pins> {
        let space = self.inner.space;
        let arenas = self.inner.readers.single(|tx| match options.arena {
            None => queries::pins::nearly_empty(tx, space, options.under.into()),
            Some(id) => {
                let arena = queries::levels::arena(tx, space, id)?;
                Ok(vec![arena.ok_or_else(|| self.unknown("arena", id.0))?])
            }
        })?;
        Ok(Pins {
            memory: self.clone(),
            limit: i64::try_from(options.limit).unwrap_or(i64::MAX),
            arenas: arenas.into_iter(),
            page: Vec::new().into_iter(),
        })
    }
}

/// An iterator of pins; see [`MemManager::pins_with`].
pub struct Pins {
    memory: MemManager,
    limit: i64,
    arenas: vec::IntoIter<Arena>,
    page: vec::IntoIter<Pin>,
}

impl Iterator for Pins {
    type Item = Result<Pin>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(pin) = self.page.next() {
                return Some(Ok(pin));
            }
            let arena = self.arenas.next()?;
            let readers = &self.memory.inner.readers;
            match readers.single(|tx| queries::pins::of_arena(tx, &arena, self.limit)) {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pins").finish_non_exhaustive()
    }
}
