//! Reading one state of the heap, in a closure or with a manager that stays at it.

use std::sync::Arc;

use serde::de::DeserializeOwned;

#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::manager::objects::abandoned::Abandoned;
use crate::manager::objects::read::Scope;
use crate::manager::{Inner, MemManager};
use crate::models::StoredObject;
use crate::store::{ReadTx, queries};
use crate::value::ObjectId;

impl MemManager {
    /// A read-only manager that stays at the current state of the heap: all its methods, iterators
    /// and readers see the same commit, whatever is stored, freed and collected in the meantime. It
    /// can read everything that [`Self::objects`] lists.
    ///
    /// It ends with its last clone, iterator and reader. Until then the write-ahead log cannot start again, so that at
    /// its limit writers are refused with [`Error::LogHeld`], and garbage collection cannot shrink the file. So use it
    /// for one report and not for the lifetime of a program, or limit its age with
    /// [`Options::max_snapshot_age`](crate::Options). Its clones share one connection and take turns. [`Self::backup`]
    /// still copies the newest state. O(1), but it opens a connection, which takes milliseconds.
    ///
    /// For a few reads in one closure, use [`Self::read`].
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
    /// [`Error::Busy`], [`Error::FileChanged`], [`Error::Database`]. Calls that write fail with
    /// [`Error::ReadOnly`], and calls from inside another call of the same snapshot with
    /// [`Error::Reentered`].
    pub fn snapshot(&self) -> Result<Self> {
        self.settle_reads();
        let inner = &self.inner;
        Ok(Self {
            inner: Arc::new(Inner {
                space: inner.space,
                name: inner.name.clone(),
                geometry: inner.geometry.clone(),
                location: inner.location.clone(),
                lease: self.inner.lease,
                actor: None,
                readers: inner.readers.freeze()?,
                writer: None,
                uses: inner.uses.of_snapshot(),
                abandoned: Abandoned::default(),
            }),
            reason: None,
        })
    }
}

/// One state of the heap; see [`MemManager::read`]. Its methods do what those of [`MemManager`] with the same names do.
pub struct Snapshot<'s> {
    tx: ReadTx<'s>,
    scope: Scope<'s>,
}

impl<'s> Snapshot<'s> {
    pub(in crate::manager) fn new(tx: &'s mut ReadTx<'_>, scope: Scope<'s>) -> Self {
        let tx = tx.reborrow();
        Self { tx, scope }
    }

    /// See [`MemManager::get`].
    ///
    /// # Errors
    /// As [`MemManager::get`].
    pub fn get<T: DeserializeOwned>(&mut self, id: &ObjectId) -> Result<T> {
        self.scope.get(&mut self.tx, id)
    }

    /// See [`MemManager::get_by_name`].
    ///
    /// # Errors
    /// As [`MemManager::get_by_name`].
    pub fn get_by_name<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let id = self.scope.resolve_to_read(&mut self.tx, name)?;
        id.map(|id| self.get(&id)).transpose()
    }

    /// See [`MemManager::get_bytes`].
    ///
    /// # Errors
    /// As [`MemManager::get_bytes`].
    pub fn get_bytes(&mut self, id: &ObjectId) -> Result<Vec<u8>> {
        self.scope.get_bytes(&mut self.tx, id)
    }

    /// See [`MemManager::get_bytes_by_name`].
    ///
    /// # Errors
    /// As [`MemManager::get_bytes_by_name`].
    pub fn get_bytes_by_name(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let id = self.scope.resolve_to_read(&mut self.tx, name)?;
        id.map(|id| self.get_bytes(&id)).transpose()
    }

    /// See [`MemManager::contains`].
    ///
    /// # Errors
    /// As [`MemManager::contains`].
    pub fn contains(&mut self, id: &ObjectId) -> Result<bool> {
        Ok(queries::objects::find(&mut self.tx, self.scope.space, id)?.is_some())
    }

    /// See [`MemManager::resolve`].
    ///
    /// # Errors
    /// As [`MemManager::resolve`].
    pub fn resolve(&mut self, name: &str) -> Result<Option<ObjectId>> {
        let object = queries::names::resolve(&mut self.tx, self.scope.space, name)?;
        object.map(|object| object.known_id()).transpose()
    }

    /// See [`MemManager::find`].
    ///
    /// # Errors
    /// As [`MemManager::find`].
    pub fn find(&mut self, text: &str) -> Result<ObjectId> {
        self.scope.find_reference(&mut self.tx, text)
    }

    /// See [`MemManager::object`].
    ///
    /// # Errors
    /// As [`MemManager::object`].
    pub fn object(&mut self, id: &ObjectId) -> Result<StoredObject> {
        self.scope.find(&mut self.tx, id)
    }
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
