//! What a batch reads: its own changes, and what was there before.

use serde::de::DeserializeOwned;

use super::Batch;
use crate::error::Result;
use crate::manager::objects::free;
use crate::manager::objects::reader::BatchReader;
use crate::models::{StoredObject, is_over};
use crate::store::queries::names::Bound;
use crate::value::ObjectId;

impl<'w> Batch<'_, 'w> {
    /// See [`MemManager::find`](crate::MemManager::find).
    ///
    /// The result stays valid until the batch ends, because nobody else can write.
    ///
    /// # Errors
    /// As [`MemManager::find`](crate::MemManager::find); [`Error::BatchFailed`](crate::Error::BatchFailed).
    pub fn find(&mut self, text: &str) -> Result<ObjectId> {
        let scope = self.scope;
        self.tx.now()?.read_rows(|tx| scope.find_reference(tx, text))
    }

    /// See [`MemManager::resolve`](crate::MemManager::resolve).
    ///
    /// # Errors
    /// As [`MemManager::resolve`](crate::MemManager::resolve); [`Error::BatchFailed`](crate::Error::BatchFailed).
    pub fn resolve(&mut self, name: &str) -> Result<Option<ObjectId>> {
        let bound = self.bound(name)?;
        bound.map(|bound| bound.object.known_id()).transpose()
    }

    fn bound(&mut self, name: &str) -> Result<Option<Bound>> {
        let tx = self.tx.now()?;
        let (bound, at) = (tx.bound(name)?, tx.at());
        Ok(bound.filter(|bound| !is_over(bound.expires_at, at)))
    }

    /// The object that a name is bound to, whose content is about to be read.
    fn resolve_to_read(&mut self, name: &str) -> Result<Option<ObjectId>> {
        let Some(bound) = self.bound(name)? else {
            return Ok(None);
        };
        self.scope.note_name(name, bound.term(), self.tx.now()?.at());
        bound.object.known_id().map(Some)
    }

    /// See [`MemManager::contains`](crate::MemManager::contains).
    ///
    /// # Errors
    /// As [`MemManager::contains`](crate::MemManager::contains); [`Error::BatchFailed`](crate::Error::BatchFailed).
    pub fn contains(&mut self, id: &ObjectId) -> Result<bool> {
        let tx = self.tx.now()?;
        let (found, at) = (tx.find(id)?, tx.at());
        Ok(found.and_then(|object| object.seen_at(at)).is_some())
    }

    /// See [`MemManager::object`](crate::MemManager::object).
    ///
    /// # Errors
    /// As [`MemManager::object`](crate::MemManager::object); [`Error::BatchFailed`](crate::Error::BatchFailed).
    pub fn object(&mut self, id: &ObjectId) -> Result<StoredObject> {
        let tx = self.tx.now()?;
        let (found, at) = (tx.find(id)?, tx.at());
        let found = found.and_then(|object| object.seen_at(at));
        found.ok_or_else(|| free::not_stored(id, self.scope.name))
    }

    /// See [`MemManager::get`](crate::MemManager::get).
    ///
    /// # Errors
    /// As [`MemManager::get`](crate::MemManager::get); [`Error::BatchFailed`](crate::Error::BatchFailed).
    pub fn get<T: DeserializeOwned>(&mut self, id: &ObjectId) -> Result<T> {
        let scope = self.scope;
        self.tx.now()?.read_rows(|tx| scope.get(tx, id))
    }

    /// See [`MemManager::get_by_name`](crate::MemManager::get_by_name).
    ///
    /// # Errors
    /// As [`MemManager::get_by_name`](crate::MemManager::get_by_name);
    /// [`Error::BatchFailed`](crate::Error::BatchFailed).
    pub fn get_by_name<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let id = self.resolve_to_read(name)?;
        id.map(|id| self.get(&id)).transpose()
    }

    /// See [`MemManager::get_bytes`](crate::MemManager::get_bytes).
    ///
    /// # Errors
    /// As [`MemManager::get_bytes`](crate::MemManager::get_bytes); [`Error::BatchFailed`](crate::Error::BatchFailed).
    pub fn get_bytes(&mut self, id: &ObjectId) -> Result<Vec<u8>> {
        let scope = self.scope;
        self.tx.now()?.read_rows(|tx| scope.get_bytes(tx, id))
    }

    /// See [`MemManager::get_bytes_by_name`](crate::MemManager::get_bytes_by_name).
    ///
    /// # Errors
    /// As [`MemManager::get_bytes_by_name`](crate::MemManager::get_bytes_by_name);
    /// [`Error::BatchFailed`](crate::Error::BatchFailed).
    pub fn get_bytes_by_name(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let id = self.resolve_to_read(name)?;
        id.map(|id| self.get_bytes(&id)).transpose()
    }

    /// See [`MemManager::reader`](crate::MemManager::reader).
    ///
    /// It sees what the batch has stored. The batch can be used again once the reader is dropped.
    ///
    /// # Errors
    /// As [`MemManager::reader`](crate::MemManager::reader); [`Error::BatchFailed`](crate::Error::BatchFailed).
    pub fn reader(&mut self, id: &ObjectId) -> Result<BatchReader<'_, 'w>> {
        let object = self.object(id)?;
        Ok(BatchReader::new(self.tx.now()?, &object))
    }
}
