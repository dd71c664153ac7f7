//! Names: bind, resolve, unbind.

use super::{MemManager, free};
use crate::error::{Error, Result};
use crate::manager::Freed;
use crate::models::{Name, NewName, StoredObject, StoredObjectId};
use crate::store::change::Change;
use crate::store::{WriteTx, queries};
use crate::value::ObjectId;

/// Bytes of a name at most.
const MOST_BYTES: usize = 4096;

impl MemManager {
    /// Binds a name to an object. If the name is bound to another object it moves, and
    /// the other object is freed when nothing else holds it. O(log n).
    ///
    /// # Errors
    /// [`Error::NotStored`]; [`Error::BadName`] unless the name has 1 to 4,096 bytes.
    pub fn bind(&self, name: &str, id: &ObjectId) -> Result<()> {
        self.write(|tx| {
            let object = free::find(tx, self.space(), id)?;
            bind(tx, name, object.id, &object.object_id)
        })
    }

    /// The object that a name is bound to. O(log n).
    pub fn resolve(&self, name: &str) -> Result<Option<ObjectId>> {
        let space = self.inner.space;
        let object = self
            .inner
            .readers
            .single(|conn| queries::names::resolve(conn, space, name))?;
        object.map(|object| object.object_id.parse()).transpose()
    }

    /// Unbinds a name. Returns the object if that freed it, because nothing else holds it.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn unbind(&self, name: &str) -> Result<Option<Freed>> {
        self.write(|tx| unbind(tx, self.space(), name))
    }

    /// The names of an object, in alphabetical order.
    ///
    /// # Errors
    /// [`Error::NotStored`].
    pub fn names(&self, id: &ObjectId) -> Result<Vec<Name>> {
        let object = self.object(id)?;
        self.inner
            .readers
            .single(|conn| queries::names::of_object(conn, object.id))
    }
}

/// Refuses a name that cannot be bound, before anything is changed.
pub(super) fn validate(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MOST_BYTES {
        return Err(Error::BadName { length: name.len() });
    }
    Ok(())
}

pub(super) fn bind(tx: &mut WriteTx<'_>, name: &str, object: StoredObjectId, object_id: &str) -> Result<()> {
    validate(name)?;
    let space = tx.space();
    let before = tx.read_written(|conn| queries::names::resolve(conn, space, name))?;
    if before.as_ref().is_some_and(|before| before.id == object) {
        return Ok(());
    }
    let bound = NewName {
        memram_id: space,
        name,
        stored_object_id: object,
        bound_at: tx.at(),
    };
    tx.apply(Change::NameBound { name: bound, object_id })?;
    if let Some(before) = before {
        free_if_unheld(tx, before, name)?;
    }
    Ok(())
}

pub(super) fn unbind(tx: &mut WriteTx<'_>, space: &str, name: &str) -> Result<Option<Freed>> {
    let key = tx.space();
    let object = tx.read_written(|conn| queries::names::resolve(conn, key, name))?;
    let object = object.ok_or_else(|| Error::UnknownName {
        name: name.to_owned(),
        space: space.to_owned(),
    })?;
    tx.apply(Change::NameUnbound {
        name,
        object_id: &object.object_id,
    })?;
    free_if_unheld(tx, object, name)
}

fn free_if_unheld(tx: &mut WriteTx<'_>, object: StoredObject, name: &str) -> Result<Option<Freed>> {
    if object.held {
        return Ok(None);
    }
    let found = tx.find_placed(&object.object_id)?;
    let Some(found) = found.filter(|found| !found.named) else {
        return Ok(None);
    };
    let id = object.object_id.parse()?;
    free::remove(tx, &found, id, vec![name.to_owned()]).map(Some)
}
