//! Pins: what is never evicted.

use super::{expire, free, sweep};
use crate::books::change::Change;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::manager::MemManager;
use crate::models::{Lifetime, StoredObject};
use crate::store::queries::objects::ObjectInfo;
use crate::store::{WriteTx, queries};
use crate::value::ObjectId;

impl MemManager {
    /// Pins an object: it is never [evicted](crate::Options::evict). Returns whether it was not pinned before.
    ///
    /// A pin belongs to the object, and ends with it. It holds nothing: a pinned object can be freed, and
    /// expires with the last of its holds. If a name moves to another object, the pin does not. Makes no
    /// event. O(log n).
    ///
    /// # Errors
    /// [`Error::NotStored`]; what [any write](MemManager#errors) fails with.
    pub fn pin(&self, id: &ObjectId) -> Result<bool> {
        self.write(|tx| set(tx, self.space(), id, true))
    }

    /// Removes the pin of an object. Returns whether it was pinned. O(log n).
    ///
    /// # Errors
    /// Like [`Self::pin`].
    pub fn unpin(&self, id: &ObjectId) -> Result<bool> {
        self.write(|tx| set(tx, self.space(), id, false))
    }

    /// The pinned objects, in the order of allocation. O(pinned · log n).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn pins(&self) -> Result<Vec<ObjectInfo>> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            let pinned = queries::eviction::pinned(tx, space)?;
            let infos = pinned.into_iter().map(|id| queries::objects::info(tx, id));
            infos.filter_map(Result::transpose).collect()
        })
    }
}

pub(in crate::manager) fn set(tx: &mut WriteTx<'_>, space: &str, id: &ObjectId, pinned: bool) -> Result<bool> {
    let object = free::find(tx, space, id)?;
    set_of(tx, &object, pinned)
}

/// Pins a copied object, if it is stored, because its original is pinned.
pub(in crate::manager) fn copy(tx: &mut WriteTx<'_>, id: &ObjectId) -> Result<()> {
    match sweep::find(tx, id)? {
        Some(object) => set_of(tx, &object, true).map(drop),
        None => Ok(()),
    }
}

fn set_of(tx: &mut WriteTx<'_>, object: &StoredObject, pinned: bool) -> Result<bool> {
    let after = Lifetime {
        pinned,
        ..object.lifetime()
    };
    let Some(lifetime) = expire::changed(object, after) else {
        return Ok(false);
    };
    tx.apply(Change::Held {
        object: object.id,
        lifetime,
    })?;
    Ok(true)
}
