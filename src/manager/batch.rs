//! Several operations in one transaction.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::read::Scope;
use super::{Allocation, Freed, Hold, MemManager, allocate, free, names};
use crate::error::{Error, Result};
use crate::models::StoredObject;
use crate::store::{Conn, WriteTx, queries};
use crate::value::{Encoded, ObjectId};

impl MemManager {
    /// Runs `work` as one transaction: all of it or nothing. If it returns an error or
    /// panics, nothing has changed. A batch of a thousand small objects takes a small
    /// fraction of the time of a thousand commits.
    ///
    /// Other writers wait until `work` returns, each until its `busy_timeout` is over, so do
    /// slow things before. A batch is committed by itself and does not share its commit with
    /// batches before it: it may wait for whatever it likes, and nobody should wait with it.
    ///
    /// Inside `work`, use the batch. Its reads see what it has written. Reads through the
    /// manager see the state before the batch, like those of other threads, until it is
    /// committed. Writes through the manager, or through another manager of the same file,
    /// would wait for the batch to end, that is, for themselves: they are
    /// [`Error::Reentered`] and change nothing, and the batch may go on.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// let id = memory.batch(|batch| {
    ///     batch.set("greeting", "hello")?;
    ///     Ok(batch.set("farewell", "goodbye")?.id)
    /// })?;
    /// assert_eq!(memory.resolve("farewell")?, Some(id));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn batch<R>(&self, work: impl FnOnce(&mut Batch<'_, '_>) -> Result<R>) -> Result<R> {
        let scope = self.scope();
        self.write_apart(|tx| work(&mut Batch { tx, scope }))
    }

    /// Like [`Self::batch`], for work that fails with an error of its own.
    ///
    /// It is a method of its own because a closure that returns any error type must always
    /// say which: `memory.batch(|batch| …)?` would no longer compile.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// #[derive(Debug)]
    /// enum Refused {
    ///     Empty,
    ///     Heap(heapledger::Error),
    /// }
    ///
    /// impl From<heapledger::Error> for Refused {
    ///     fn from(error: heapledger::Error) -> Self {
    ///         Self::Heap(error)
    ///     }
    /// }
    ///
    /// let refused = memory.try_batch(|batch| {
    ///     batch.allocate("hello")?;
    ///     Err::<(), _>(Refused::Empty)
    /// });
    /// assert!(matches!(refused, Err(Refused::Empty)));
    /// assert_eq!(memory.stats()?.objects, 0);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `work` returns, and what [`Self::batch`] fails with, as an `E`.
    #[doc(alias = "transaction")]
    pub fn try_batch<R, E: From<Error>>(&self, work: impl FnOnce(&mut Batch<'_, '_>) -> Result<R, E>) -> Result<R, E> {
        let mut refused = None;
        let done = own_error(|own| {
            self.batch(|batch| {
                let result = work(batch);
                if result.is_err() {
                    refused = batch.tx.take_refused();
                }
                own.keep(result)
            })
        });
        // Undone with the batch; what `work` made of the refusal is not known here.
        if let (Err(_), Some(refused)) = (&done, refused) {
            self.record_refused(&refused)?;
        }
        done
    }

    /// Runs `work` on one state of the heap: all its reads see the same commit. Many
    /// small reads are faster this way than one by one. Inside a batch it sees the state
    /// before the batch.
    ///
    /// # Errors
    /// What `work` returns; [`Error::Busy`], [`Error::Database`].
    pub fn read<R>(&self, work: impl FnOnce(&mut Snapshot<'_>) -> Result<R>) -> Result<R> {
        let scope = self.scope();
        self.inner.readers.snapshot(|conn| work(&mut Snapshot { conn, scope }))
    }

    /// Like [`Self::read`], for work that fails with an error of its own.
    ///
    /// # Errors
    /// What `work` returns, and what [`Self::read`] fails with, as an `E`.
    pub fn try_read<R, E: From<Error>>(&self, work: impl FnOnce(&mut Snapshot<'_>) -> Result<R, E>) -> Result<R, E> {
        own_error(|own| self.read(|snapshot| own.keep(work(snapshot))))
    }
}

/// Keeps an error of the caller's own while one of ours ends the transaction.
struct OwnError<E>(Option<E>);

impl<E> OwnError<E> {
    fn keep<R>(&mut self, result: Result<R, E>) -> Result<R> {
        result.map_err(|error| {
            self.0 = Some(error);
            Error::BatchFailed
        })
    }
}

fn own_error<R, E: From<Error>>(run: impl FnOnce(&mut OwnError<E>) -> Result<R>) -> Result<R, E> {
    let mut own = OwnError(None);
    let result = run(&mut own);
    match own.0 {
        Some(error) => Err(error),
        None => result.map_err(E::from),
    }
}

/// An open batch; see [`MemManager::batch`]. The methods are those of [`MemManager`].
pub struct Batch<'b, 'w> {
    tx: &'b mut WriteTx<'w>,
    scope: Scope<'b>,
}

impl Batch<'_, '_> {
    /// See [`MemManager::allocate`].
    pub fn allocate<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<ObjectId> {
        Ok(self.store(value, Hold::Anonymous)?.id)
    }

    /// See [`MemManager::allocate_bytes`].
    pub fn allocate_bytes(&mut self, content: &[u8]) -> Result<ObjectId> {
        Ok(self.store_bytes(content, Hold::Anonymous)?.id)
    }

    /// See [`MemManager::set`].
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<Allocation> {
        self.store(value, Hold::Name(name))
    }

    /// See [`MemManager::store`].
    pub fn store<T: Serialize + ?Sized>(&mut self, value: &T, hold: Hold<'_>) -> Result<Allocation> {
        allocate::store(self.tx, &Encoded::of(value)?, hold)
    }

    /// See [`MemManager::store_bytes`].
    pub fn store_bytes(&mut self, content: &[u8], hold: Hold<'_>) -> Result<Allocation> {
        allocate::store(self.tx, &Encoded::bytes(content), hold)
    }

    /// See [`MemManager::free`].
    pub fn free(&mut self, id: &ObjectId) -> Result<Freed> {
        free::free(self.tx, self.scope.name, id, false)
    }

    /// See [`MemManager::force_free`].
    pub fn force_free(&mut self, id: &ObjectId) -> Result<Freed> {
        free::free(self.tx, self.scope.name, id, true)
    }

    /// See [`MemManager::release`].
    pub fn release(&mut self, id: &ObjectId) -> Result<Option<Freed>> {
        free::release(self.tx, self.scope.name, id)
    }

    /// See [`MemManager::bind`].
    pub fn bind(&mut self, name: &str, id: &ObjectId) -> Result<Option<Freed>> {
        names::bind_stored(self.tx, self.scope.name, name, id)
    }

    /// See [`MemManager::bind_new`].
    pub fn bind_new(&mut self, name: &str, id: &ObjectId) -> Result<()> {
        names::bind_new(self.tx, self.scope.name, name, id)
    }

    /// See [`MemManager::find`].
    pub fn find(&mut self, text: &str) -> Result<ObjectId> {
        let scope = self.scope;
        self.tx.read_rows(|conn| scope.find_reference(conn, text))
    }

    /// See [`MemManager::unbind`].
    pub fn unbind(&mut self, name: &str) -> Result<Option<Freed>> {
        names::unbind(self.tx, self.scope.name, name)
    }

    /// See [`MemManager::resolve`].
    pub fn resolve(&mut self, name: &str) -> Result<Option<ObjectId>> {
        let space = self.scope.space;
        let object = self
            .tx
            .read_written(|conn| queries::names::resolve(conn, space, name))?;
        object.map(|object| object.object_id.parse()).transpose()
    }

    /// See [`MemManager::contains`].
    pub fn contains(&mut self, id: &ObjectId) -> Result<bool> {
        Ok(self.tx.find(&id.to_hex())?.is_some())
    }

    /// See [`MemManager::get`].
    pub fn get<T: DeserializeOwned>(&mut self, id: &ObjectId) -> Result<T> {
        let scope = self.scope;
        self.tx.read_rows(|conn| scope.get(conn, id))
    }

    /// See [`MemManager::get_by_name`].
    pub fn get_by_name<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let id = self.resolve(name)?;
        id.map(|id| self.get(&id)).transpose()
    }

    /// See [`MemManager::get_bytes`].
    pub fn get_bytes(&mut self, id: &ObjectId) -> Result<Vec<u8>> {
        let scope = self.scope;
        self.tx.read_rows(|conn| scope.get_bytes(conn, id))
    }
}

/// One state of the heap; see [`MemManager::read`]. The methods are those of [`MemManager`].
pub struct Snapshot<'s> {
    conn: &'s mut Conn,
    scope: Scope<'s>,
}

impl Snapshot<'_> {
    /// See [`MemManager::get`].
    pub fn get<T: DeserializeOwned>(&mut self, id: &ObjectId) -> Result<T> {
        self.scope.get(self.conn, id)
    }

    /// See [`MemManager::get_by_name`].
    pub fn get_by_name<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let id = self.resolve(name)?;
        id.map(|id| self.get(&id)).transpose()
    }

    /// See [`MemManager::get_bytes_by_name`].
    pub fn get_bytes_by_name(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let id = self.resolve(name)?;
        id.map(|id| self.get_bytes(&id)).transpose()
    }

    /// See [`MemManager::get_bytes`].
    pub fn get_bytes(&mut self, id: &ObjectId) -> Result<Vec<u8>> {
        self.scope.get_bytes(self.conn, id)
    }

    /// See [`MemManager::contains`].
    pub fn contains(&mut self, id: &ObjectId) -> Result<bool> {
        Ok(queries::objects::find(self.conn, self.scope.space, &id.to_hex())?.is_some())
    }

    /// See [`MemManager::resolve`].
    pub fn resolve(&mut self, name: &str) -> Result<Option<ObjectId>> {
        let object = queries::names::resolve(self.conn, self.scope.space, name)?;
        object.map(|object| object.object_id.parse()).transpose()
    }

    /// See [`MemManager::find`].
    pub fn find(&mut self, text: &str) -> Result<ObjectId> {
        self.scope.find_reference(self.conn, text)
    }

    /// See [`MemManager::object`].
    pub fn object(&mut self, id: &ObjectId) -> Result<StoredObject> {
        self.scope.find(self.conn, id)
    }
}

impl std::fmt::Debug for Batch<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
