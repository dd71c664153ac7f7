//! Several operations in one transaction.

mod reads;

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use serde::Serialize;

use super::deferred::Deferred;
use super::read::Scope;
use super::room::{need_room, refuse};
use super::spool::{Spooled, rest_of};
use super::{allocate, expire, files, free, pin, tags};
use crate::error::{Error, Result};
use crate::manager::transfer::snapshot::Snapshot;
use crate::manager::{Allocation, Expiry, Freed, Held, Hold, HoldWith, MemManager, names};
use crate::models::{MemRam, Timestamp};
use crate::value::{Encoded, ObjectId};

impl MemManager {
    /// Runs `work` as one transaction: all of it or nothing. If it returns an error or
    /// panics, nothing has changed. A batch of a thousand small objects takes a small
    /// fraction of the time of a thousand commits.
    ///
    /// Other writers wait until `work` returns or their `busy_timeout` expires, so do slow things
    /// first. A batch does not share its commit with earlier units, because it may wait for
    /// anything, and they should not have to wait with it.
    ///
    /// Inside `work`, use the batch: its reads see its own writes. Reads through the manager, like
    /// those of other threads, see the state before the batch until it commits. Writes through the
    /// manager, or through another manager of the same file, would wait for the batch and so for
    /// themselves: they fail with [`Error::Reentered`] and change nothing, and the batch may
    /// continue.
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
    ///
    /// # Errors
    /// What `work` returns; [`Error::BatchFailed`] if one of its calls failed halfway but it returned
    /// no error; what [any write](MemManager#errors) fails with.
    pub fn batch<R>(&self, work: impl FnOnce(&mut Batch<'_, '_>) -> Result<R>) -> Result<R> {
        let scope = self.scope();
        self.write_apart(|tx| {
            let mut batch = Batch {
                tx: Deferred::new(tx),
                scope,
            };
            let result = work(&mut batch)?;
            batch.tx.now()?;
            Ok(result)
        })
    }

    /// Like [`Self::batch`], for work with its own error type.
    ///
    /// This is a separate method because a closure that may return any error type must always name
    /// it: `memory.batch(|batch| …)?` would no longer compile.
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
                    refused = batch.tx.unit().take_refused();
                }
                own.keep(result)
            })
        });
        // The record of the refusal was rolled back with the batch, and `work` may have returned any error.
        if let (Err(_), Some(refused)) = (&done, refused) {
            let (_, deadline) = self.group()?;
            self.record_refusal(&refused, deadline)?;
        }
        done
    }

    /// Runs `work` on one state of the heap: all its reads see the same commit. This is also faster
    /// for many small reads. Inside a batch it sees the state before the batch. A read that takes long
    /// keeps the write-ahead log from starting again: [`Options::max_snapshot_age`](crate::Options)
    /// limits it.
    ///
    /// # Errors
    /// What `work` returns; what [any call](MemManager#errors) fails with.
    pub fn read<R>(&self, work: impl FnOnce(&mut Snapshot<'_>) -> Result<R>) -> Result<R> {
        self.settle_reads();
        let scope = self.scope();
        let readers = &self.inner.readers;
        readers.snapshot_once(|tx| work(&mut Snapshot::new(tx, scope)))
    }

    /// Like [`Self::read`], for work that may run several times.
    pub(super) fn read_again<R>(&self, mut work: impl FnMut(&mut Snapshot<'_>) -> Result<R>) -> Result<R> {
        self.settle_reads();
        let scope = self.scope();
        let readers = &self.inner.readers;
        readers.snapshot(|tx| work(&mut Snapshot::new(tx, scope)))
    }

    /// Like [`Self::read`], for work with its own error type.
    ///
    /// # Errors
    /// What `work` returns, and what [`Self::read`] fails with, as an `E`.
    pub fn try_read<R, E: From<Error>>(&self, work: impl FnOnce(&mut Snapshot<'_>) -> Result<R, E>) -> Result<R, E> {
        own_error(|own| self.read(|snapshot| own.keep(work(snapshot))))
    }
}

/// Holds the caller's error while an error of ours ends the transaction.
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

/// An open batch; see [`MemManager::batch`]. Its methods do what those of [`MemManager`] with the same names do.
///
/// They have the same errors, except that [`Error::Busy`] and [`Error::ReadOnly`] concern
/// [`MemManager::batch`] as a whole. After a call that failed halfway (the disk was full, a
/// source changed while it was read) all other calls fail with [`Error::BatchFailed`], and so
/// does the batch, whatever its work returns.
pub struct Batch<'b, 'w> {
    tx: Deferred<'b, 'w>,
    scope: Scope<'b>,
}

impl Batch<'_, '_> {
    /// See [`MemManager::allocate`].
    ///
    /// # Errors
    /// As [`MemManager::allocate`]; [`Error::BatchFailed`].
    pub fn allocate<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<ObjectId> {
        self.tx.allocate(Encoded::of(value)?)
    }

    /// See [`MemManager::allocate_bytes`].
    ///
    /// # Errors
    /// As [`MemManager::allocate_bytes`]; [`Error::BatchFailed`].
    pub fn allocate_bytes(&mut self, content: &[u8]) -> Result<ObjectId> {
        self.tx.allocate(Encoded::bytes(content))
    }

    /// See [`MemManager::allocate_from`].
    ///
    /// # Errors
    /// As [`Self::store_from`], except for errors about names.
    pub fn allocate_from(&mut self, reader: impl Read) -> Result<ObjectId> {
        Ok(self.store_from(reader, Hold::Anonymous)?.id)
    }

    /// See [`MemManager::set`].
    ///
    /// # Errors
    /// As [`MemManager::set`]; [`Error::BatchFailed`].
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<Allocation> {
        self.store(value, Hold::Name(name))
    }

    /// See [`MemManager::store`].
    ///
    /// # Errors
    /// As [`MemManager::store`]; [`Error::BatchFailed`].
    pub fn store<'h, T: Serialize + ?Sized>(&mut self, value: &T, hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        allocate::store(self.tx.now()?, &Encoded::of(value)?, &hold.into())
    }

    /// See [`MemManager::store_bytes`].
    ///
    /// # Errors
    /// As [`MemManager::store_bytes`]; [`Error::BatchFailed`].
    pub fn store_bytes<'h>(&mut self, content: &[u8], hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        allocate::store(self.tx.now()?, &Encoded::bytes(content), &hold.into())
    }

    /// See [`MemManager::store_from`].
    ///
    /// Other writers wait while the source is read, so read a slow one before the batch.
    ///
    /// # Errors
    /// As [`MemManager::store_from`]; [`Error::BatchFailed`]. If the source fails, nothing changes
    /// and the batch may continue.
    pub fn store_from<'h>(&mut self, reader: impl Read, hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        let hold = &hold.into();
        let memram = self.before_source(hold)?;
        let spooled = Spooled::read(reader, self.tx.unit().spool(), &memram);
        self.store_spooled(spooled, hold)
    }

    /// See [`MemManager::store_file`].
    ///
    /// Other writers wait while the file is read: twice, unless it is stored already. If the batch fails later, the
    /// file stays positioned at its end.
    ///
    /// # Errors
    /// As [`MemManager::store_file`]; [`Error::BatchFailed`]. If the file changed between the two
    /// reads, the whole batch has failed.
    pub fn store_file<'h>(&mut self, file: &mut File, hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        let hold = &hold.into();
        files::read(file, |file| {
            let mut memram = self.before_source(hold)?;
            let size = rest_of(file)?;
            // Can neither fit nor be already stored, so it need not be read.
            if size > memram.available() && size > memram.mem {
                need_room(self.tx.now()?, None, size)?;
                memram = self.tx.now()?.memram()?;
            }
            let progress = &mut |_, _, _| {};
            let spooled = Spooled::file(file, &memram, progress);
            self.store_spooled(spooled, hold)
        })
    }

    /// See [`MemManager::free`].
    ///
    /// # Errors
    /// As [`MemManager::free`]; [`Error::BatchFailed`].
    pub fn free(&mut self, id: &ObjectId) -> Result<Freed> {
        free::free(self.tx.now()?, self.scope.name, id, false)
    }

    /// See [`MemManager::force_free`].
    ///
    /// # Errors
    /// As [`MemManager::force_free`]; [`Error::BatchFailed`].
    pub fn force_free(&mut self, id: &ObjectId) -> Result<Freed> {
        free::free(self.tx.now()?, self.scope.name, id, true)
    }

    /// See [`MemManager::release`].
    ///
    /// # Errors
    /// As [`MemManager::release`]; [`Error::BatchFailed`].
    pub fn release(&mut self, id: &ObjectId) -> Result<Option<Freed>> {
        free::release(self.tx.now()?, self.scope.name, id)
    }

    /// See [`MemManager::bind`].
    ///
    /// # Errors
    /// As [`MemManager::bind`]; [`Error::BatchFailed`].
    pub fn bind(&mut self, name: &str, id: &ObjectId) -> Result<Option<Freed>> {
        names::bind_stored(self.tx.now()?, self.scope.name, name, id)
    }

    /// See [`MemManager::bind_new`].
    ///
    /// # Errors
    /// As [`MemManager::bind_new`]; [`Error::BatchFailed`].
    pub fn bind_new(&mut self, name: &str, id: &ObjectId) -> Result<()> {
        names::bind_new(self.tx.now()?, self.scope.name, name, id)
    }

    /// See [`MemManager::unbind`].
    ///
    /// # Errors
    /// As [`MemManager::unbind`]; [`Error::BatchFailed`].
    pub fn unbind(&mut self, name: &str) -> Result<Option<Freed>> {
        names::unbind(self.tx.now()?, self.scope.name, name)
    }

    /// See [`MemManager::expire`].
    ///
    /// # Errors
    /// As [`MemManager::expire`]; [`Error::BatchFailed`].
    pub fn expire<'h>(&mut self, held: impl Into<Held<'h>>, expiry: impl Into<Expiry>) -> Result<Option<Timestamp>> {
        expire::expire(self.tx.now()?, self.scope.name, held.into(), expiry.into())
    }

    /// See [`MemManager::touch`].
    ///
    /// # Errors
    /// As [`MemManager::touch`]; [`Error::BatchFailed`].
    pub fn touch<'h>(&mut self, held: impl Into<Held<'h>>, time: Duration) -> Result<Option<Timestamp>> {
        expire::touch(self.tx.now()?, self.scope.name, held.into(), time)
    }

    /// See [`MemManager::tag`].
    ///
    /// # Errors
    /// As [`MemManager::tag`]; [`Error::BatchFailed`].
    pub fn tag<'h>(&mut self, held: impl Into<Held<'h>>, key: &str, value: &str) -> Result<()> {
        tags::tag(self.tx.now()?, self.scope.name, held.into(), &[(key, value)])
    }

    /// See [`MemManager::untag`].
    ///
    /// # Errors
    /// As [`MemManager::untag`]; [`Error::BatchFailed`].
    pub fn untag<'h>(&mut self, held: impl Into<Held<'h>>, key: &str) -> Result<bool> {
        tags::untag(self.tx.now()?, self.scope.name, held.into(), key)
    }

    /// See [`MemManager::pin`].
    ///
    /// # Errors
    /// As [`MemManager::pin`]; [`Error::BatchFailed`].
    pub fn pin(&mut self, id: &ObjectId) -> Result<bool> {
        pin::set(self.tx.now()?, self.scope.name, id, true)
    }

    /// See [`MemManager::unpin`].
    ///
    /// # Errors
    /// As [`MemManager::pin`]; [`Error::BatchFailed`].
    pub fn unpin(&mut self, id: &ObjectId) -> Result<bool> {
        pin::set(self.tx.now()?, self.scope.name, id, false)
    }

    /// Refuses a hold that cannot be taken, before a source is read.
    fn before_source(&mut self, hold: &HoldWith<'_>) -> Result<MemRam> {
        names::validate_hold(self.tx.now()?, hold)?;
        self.tx.now()?.memram()
    }

    fn store_spooled(&mut self, spooled: Result<Spooled<'_>>, hold: &HoldWith<'_>) -> Result<Allocation> {
        if let Err(Error::OutOfMemory { needed, .. }) = spooled {
            return Err(refuse(self.tx.unit(), None, needed));
        }
        allocate::store_spooled(self.tx.now()?, &mut spooled?, None, hold)
    }
}

impl std::fmt::Debug for Batch<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}
