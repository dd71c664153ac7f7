//! A manager that stays at one state of the heap.

use std::sync::Arc;

use super::{Inner, MemManager};
use crate::error::Result;

impl MemManager {
    /// A manager for reading that stays at the state which the heap has now: all its
    /// methods, its iterators and its readers of contents see the same commit, whatever is
    /// stored, freed and collected meanwhile. What [`Self::objects`] lists, it can read.
    ///
    /// It ends with its last clone, iterator and reader. Until then the write-ahead log
    /// keeps what is written, and garbage collection cannot shrink the file: keep it for
    /// one report, not for the life of a program. Its clones share one connection and take
    /// turns. [`Self::backup`] copies the newest state all the same. O(1).
    ///
    /// For a few reads in one closure, [`Self::read`] does the same.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// let id = memory.allocate("for a while")?;
    /// let then = memory.snapshot()?;
    /// memory.free(&id)?;
    /// memory.collect_garbage()?;
    /// assert_eq!(then.get::<String>(&id)?, "for a while");
    /// let arena = then.arenas()?[0].id;
    /// assert_eq!(then.pools(arena)?.len(), 1);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::Error::Busy`], [`crate::Error::FileChanged`], [`crate::Error::Database`]. Calls that write fail with
    /// [`crate::Error::ReadOnly`], and calls from inside of another call of the same
    /// snapshot with [`crate::Error::Database`].
    pub fn snapshot(&self) -> Result<Self> {
        let inner = &self.inner;
        Ok(Self {
            inner: Arc::new(Inner {
                space: inner.space,
                name: inner.name.clone(),
                geometry: inner.geometry.clone(),
                settings: inner.settings.clone(),
                actor: None,
                readers: inner.readers.freeze()?,
                writer: None,
            }),
            reason: None,
        })
    }
}
