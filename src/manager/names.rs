//! Names: bind, resolve, unbind.

use super::objects::free;
use super::{Hold, MemManager};
use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::Freed;
use crate::models::{Name, StoredObject, StoredObjectId};
use crate::store::queries::objects::PlacedObject;
use crate::store::{WriteTx, queries};
use crate::value::{ObjectId, spells_id};

/// Limit for a name, in bytes.
pub(super) const MOST_BYTES: usize = 4096;

impl MemManager {
    /// Binds a name to an object. If the name is bound to another object it moves, and the other
    /// object is freed, and returned, if nothing else holds it. [`Self::bind_new`] refuses instead.
    /// O(log n).
    ///
    /// # Errors
    /// [`Error::NotStored`]; [`Error::BadName`] unless the name has 1 to 4,096 bytes,
    /// [`Error::NameIsId`] if it is spelled like an object id, [`Error::NulInName`] if it has
    /// U+0000 in it; what [any write](MemManager#errors) fails with.
    pub fn bind(&self, name: &str, id: &ObjectId) -> Result<Option<Freed>> {
        self.write(|tx| bind_stored(tx, self.space(), name, id))
    }

    /// Binds a name that must not be bound yet, not even to this object. O(log n).
    ///
    /// # Errors
    /// [`Error::NameTaken`]; otherwise like [`Self::bind`].
    pub fn bind_new(&self, name: &str, id: &ObjectId) -> Result<()> {
        self.write(|tx| bind_new(tx, self.space(), name, id))
    }

    /// The object that a name is bound to. O(log n).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with. An unbound name is not an error.
    pub fn resolve(&self, name: &str) -> Result<Option<ObjectId>> {
        let space = self.inner.space;
        let object = self
            .inner
            .readers
            .single(|tx| queries::names::resolve(tx, space, name))?;
        object.map(|object| object.known_id()).transpose()
    }

    /// Unbinds a name. Returns the object if that freed it, because nothing else held it.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; what [any write](MemManager#errors) fails with.
    pub fn unbind(&self, name: &str) -> Result<Option<Freed>> {
        self.write(|tx| unbind(tx, self.space(), name))
    }

    /// Refuses a hold that cannot be taken, before reading content that may be long. The unit of
    /// work checks it again.
    pub(super) fn check_hold(&self, hold: Hold<'_>) -> Result<()> {
        self.check_reason()?;
        match hold {
            Hold::Anonymous => Ok(()),
            Hold::Name(name) => validate(name),
            Hold::NewName(name) => {
                validate(name)?;
                let bound = self.resolve(name)?;
                bound.map_or(Ok(()), |id| Err(taken(name, id, self.space().to_owned())))
            }
        }
    }

    /// The names of an object, in alphabetical order.
    ///
    /// # Errors
    /// [`Error::NotStored`]; what [any call](MemManager#errors) fails with.
    pub fn names(&self, id: &ObjectId) -> Result<Vec<Name>> {
        let object = self.object(id)?;
        self.inner.readers.single(|tx| queries::names::of_object(tx, object.id))
    }
}

/// Refuses a name that cannot be bound, before anything is changed.
pub(super) fn validate(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MOST_BYTES {
        return Err(Error::BadName { length: name.len() });
    }
    if spells_id(name) {
        return Err(Error::NameIsId { name: name.to_owned() });
    }
    if name.contains('\0') {
        return Err(Error::NulInName { name: name.to_owned() });
    }
    Ok(())
}

/// Refuses a hold that cannot be taken, before anything is changed.
pub(super) fn validate_hold(tx: &mut WriteTx<'_>, hold: Hold<'_>) -> Result<()> {
    match hold {
        Hold::Anonymous => Ok(()),
        Hold::Name(name) => validate(name),
        Hold::NewName(name) => {
            validate(name)?;
            match tx.resolve(name)? {
                None => Ok(()),
                Some(bound) => Err(taken(name, bound.known_id()?, tx.space_name()?)),
            }
        }
    }
}

pub(super) fn taken(name: &str, id: ObjectId, space: String) -> Error {
    let name = name.to_owned();
    Error::NameTaken { name, id, space }
}

pub(super) fn bind_stored(tx: &mut WriteTx<'_>, space: &str, name: &str, id: &ObjectId) -> Result<Option<Freed>> {
    let object = free::find(tx, space, id)?;
    bind(tx, name, object.id, object.object_id)
}

pub(super) fn bind_new(tx: &mut WriteTx<'_>, space: &str, name: &str, id: &ObjectId) -> Result<()> {
    let object = free::find(tx, space, id)?;
    validate_hold(tx, Hold::NewName(name))?;
    bind(tx, name, object.id, object.object_id).map(drop)
}

/// Binds the name of a hold, if it is one.
pub(super) fn bind_hold(
    tx: &mut WriteTx<'_>,
    hold: Hold<'_>,
    object: StoredObjectId,
    object_id: ObjectId,
) -> Result<Option<Freed>> {
    match hold {
        Hold::Anonymous => Ok(None),
        Hold::Name(name) | Hold::NewName(name) => bind(tx, name, object, object_id),
    }
}

/// Binds a name, which may move it from another object.
pub(super) fn bind(
    tx: &mut WriteTx<'_>,
    name: &str,
    object: StoredObjectId,
    object_id: ObjectId,
) -> Result<Option<Freed>> {
    validate(name)?;
    let before = tx.resolve(name)?;
    if before.as_ref().is_some_and(|before| before.id == object) {
        return Ok(None);
    }
    let at = tx.at();
    let leaves = before.map(|before| leave(tx, &before, name)).transpose()?;
    tx.whole(|tx| {
        if let Some(leaves) = &leaves {
            tx.apply(leaves.change(name))?;
        }
        tx.apply(Change::NameBound {
            name,
            object,
            at,
            object_id,
        })?;
        leaves.map_or(Ok(None), |leaves| leaves.free(tx, name))
    })
}

pub(super) fn unbind(tx: &mut WriteTx<'_>, space: &str, name: &str) -> Result<Option<Freed>> {
    let object = tx.resolve(name)?.ok_or_else(|| Error::UnknownName {
        name: name.to_owned(),
        space: space.to_owned(),
    })?;
    let leaves = leave(tx, &object, name)?;
    tx.whole(|tx| {
        tx.apply(leaves.change(name))?;
        leaves.free(tx, name)
    })
}

/// A name leaves an object. It is read before anything changes, because what a unit of work has gathered
/// would have to be written first.
struct Leaves {
    object: StoredObjectId,
    object_id: ObjectId,
    /// The object and its pieces, if nothing else holds it.
    unheld: Option<PlacedObject>,
}

fn leave(tx: &mut WriteTx<'_>, object: &StoredObject, name: &str) -> Result<Leaves> {
    let placed = if object.held {
        None
    } else {
        tx.placed(object, Some(name))?
    };
    Ok(Leaves {
        object: object.id,
        object_id: object.known_id()?,
        unheld: placed.filter(|found| !found.named),
    })
}

impl Leaves {
    fn change<'n>(&self, name: &'n str) -> Change<'n> {
        Change::NameUnbound {
            name,
            object: self.object,
            object_id: self.object_id,
        }
    }

    fn free(self, tx: &mut WriteTx<'_>, name: &str) -> Result<Option<Freed>> {
        let freed = self
            .unheld
            .map(|found| free::remove(tx, &found, self.object_id, vec![name.to_owned()]));
        freed.transpose()
    }
}
