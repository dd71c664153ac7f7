//! Freeing objects.

use serde::Serialize;

use super::{MemManager, unsigned};
use crate::error::{Error, Result};
use crate::models::{StoredObject, StoredObjectId};
use crate::store::WriteTx;
use crate::store::change::Change;
use crate::store::queries::{self, objects::PlacedObject};
use crate::value::ObjectId;

/// An object that is gone, and what it gave back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// Its id.
    #[serde(rename = "object_id")]
    pub id: ObjectId,
    /// Bytes of content.
    pub size: u64,
    /// Ledger entries that held it.
    pub pieces: u64,
    /// Names that went with it.
    pub names: Vec<String>,
}

impl MemManager {
    /// Frees an object: its bytes leave their blocks, which have room again. The blocks
    /// stay until [`Self::collect_garbage`]. O(pieces · log n).
    ///
    /// # Errors
    /// [`Error::NotStored`]; [`Error::Named`] if names hold the object.
    #[doc(alias = "free_memory_for_object")]
    pub fn free(&self, id: &ObjectId) -> Result<Freed> {
        self.write(|tx| free(tx, self.space(), id, false))
    }

    /// Frees an object and all its names.
    ///
    /// # Errors
    /// [`Error::NotStored`].
    pub fn force_free(&self, id: &ObjectId) -> Result<Freed> {
        self.write(|tx| free(tx, self.space(), id, true))
    }
}

/// The object with this id, or the error that says there is none.
pub(super) fn find(tx: &mut WriteTx<'_>, space: &str, id: &ObjectId) -> Result<StoredObject> {
    tx.find(&id.to_hex())?.ok_or_else(|| not_stored(id, space))
}

fn not_stored(id: &ObjectId, space: &str) -> Error {
    let space = space.to_owned();
    Error::NotStored { id: *id, space }
}

pub(super) fn free(tx: &mut WriteTx<'_>, space: &str, id: &ObjectId, force: bool) -> Result<Freed> {
    let object_id = id.to_hex();
    let found = tx.find_placed(&object_id)?.ok_or_else(|| not_stored(id, space))?;
    let names = if found.named { names(tx, found.id)? } else { Vec::new() };
    if !(names.is_empty() || force) {
        return Err(Error::Named { id: *id, names });
    }
    tx.whole(|tx| {
        for name in &names {
            tx.apply(Change::NameUnbound {
                name,
                object_id: &object_id,
            })?;
        }
        remove(tx, &found, *id, names)
    })
}

fn names(tx: &mut WriteTx<'_>, object: StoredObjectId) -> Result<Vec<String>> {
    let names = tx.read_written(|conn| queries::names::of_object(conn, object))?;
    Ok(names.into_iter().map(|name| name.name).collect())
}

/// Removes an object that nothing holds.
pub(super) fn remove(tx: &mut WriteTx<'_>, found: &PlacedObject, id: ObjectId, names: Vec<String>) -> Result<Freed> {
    let (object_id, entries) = (&id.to_hex(), &found.entries);
    let placed: i64 = entries.iter().map(|entry| entry.allocated_mem).sum();
    if placed != found.size {
        return Err(Error::Damaged {
            what: format!(
                "{placed} of {} bytes of object {id} are where they should be",
                found.size
            ),
        });
    }
    if !entries.is_empty() {
        tx.apply(Change::EntriesRemoved { object_id, entries })?;
    }
    tx.apply(Change::ObjectRemoved {
        object: found.id,
        object_id,
        kind: &found.kind,
        size: found.size,
        entries: entries.len() as i64,
    })?;
    Ok(Freed {
        id,
        size: unsigned(found.size),
        pieces: entries.len() as u64,
        names,
    })
}
