//! Freeing objects.

use serde::Serialize;

use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::objects::{reclaim, sweep};
use crate::manager::{MemManager, unsigned};
use crate::models::{Lifetime, StoredObject, is_over};
use crate::store::queries::names::KeptName;
use crate::store::queries::placed::{PlacedObject, is_large};
use crate::store::{WriteTx, queries};
use crate::value::ObjectId;

/// A freed object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Freed {
    /// Its id.
    #[serde(rename = "object_id")]
    pub id: ObjectId,
    /// Bytes of content.
    pub size: u64,
    /// Ledger entries that held it.
    pub pieces: u64,
    /// Names that were removed with it.
    pub names: Vec<String>,
}

impl MemManager {
    /// Frees an object: its bytes become room in their blocks, which stay until
    /// [`Self::collect_garbage`]. O(pieces · log n).
    ///
    /// An object of at least 64 MiB is removed in one transaction, and its bytes in several that follow,
    /// so that others write in between. If the process dies before the last, each later write does one
    /// step of the rest, and [`Self::collect_garbage`] does all of it.
    ///
    /// Everybody else who allocated the same value loses it too: see [`Self::allocate`].
    /// [`Self::release`] does not free an object that has names.
    ///
    /// # Errors
    /// [`Error::NotStored`]; [`Error::Named`] if names hold the object; [`Error::Damaged`] if pieces
    /// are missing; what [any write](MemManager#errors) fails with.
    #[doc(alias = "free_memory_for_object")]
    pub fn free(&self, id: &ObjectId) -> Result<Freed> {
        self.write(|tx| free(tx, self.space(), id, false))
    }

    /// Frees an object and all its names.
    ///
    /// # Errors
    /// Like [`Self::free`], except for [`Error::Named`].
    pub fn force_free(&self, id: &ObjectId) -> Result<Freed> {
        self.write(|tx| free(tx, self.space(), id, true))
    }

    /// Drops the anonymous hold that an allocation without a name took, and frees and returns the
    /// object if nothing else holds it. Does nothing without that hold. O(pieces · log n).
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// let id = memory.allocate("hello")?;
    /// memory.bind("greeting", &id)?;
    /// assert!(memory.release(&id)?.is_none());
    /// // Now only the name holds it.
    /// assert!(memory.unbind("greeting")?.is_some());
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotStored`]; [`Error::Damaged`] if pieces are missing; what
    /// [any write](MemManager#errors) fails with.
    #[doc(alias = "unhold")]
    pub fn release(&self, id: &ObjectId) -> Result<Option<Freed>> {
        self.write(|tx| release(tx, self.space(), id))
    }
}

/// The object with this id, or [`Error::NotStored`]. If it has expired, it is given back, and counts as not stored.
pub(in crate::manager) fn find(tx: &mut WriteTx<'_>, space: &str, id: &ObjectId) -> Result<StoredObject> {
    sweep::find(tx, id)?.ok_or_else(|| not_stored(id, space))
}

pub(in crate::manager) fn not_stored(id: &ObjectId, space: &str) -> Error {
    let space = space.to_owned();
    Error::NotStored { id: *id, space }
}

pub(in crate::manager) fn free(tx: &mut WriteTx<'_>, space: &str, id: &ObjectId, force: bool) -> Result<Freed> {
    let found = tx.find_placed(id)?.ok_or_else(|| not_stored(id, space))?;
    let at = tx.at();
    if is_over(found.expires_at, at) {
        find(tx, space, id)?;
    }
    let names = match found.names {
        Some(_) => tx.names_of(found.id)?,
        None => Vec::new(),
    };
    let (ended, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.is_over(at));
    let names: Vec<_> = names.into_iter().map(|kept| kept.name).collect();
    if !(names.is_empty() || force) {
        return Err(Error::Named { id: *id, names });
    }
    tx.whole(|tx| {
        for kept in &ended {
            tx.apply(Change::Expired {
                name: Some(&kept.name),
                object: found.id,
                object_id: *id,
                lifetime: Lifetime::default(),
                frees: 0,
            })?;
        }
        for name in &names {
            tx.apply(Change::NameUnbound {
                name,
                object: found.id,
                object_id: *id,
                lifetime: None,
            })?;
        }
        remove(tx, &found, *id, names)
    })
}

pub(in crate::manager) fn release(tx: &mut WriteTx<'_>, space: &str, id: &ObjectId) -> Result<Option<Freed>> {
    let found = find(tx, space, id)?;
    let found = sweep::without_ended_hold(tx, found)?;
    if !found.held {
        return Ok(None);
    }
    let placed = tx.placed(&found, None)?;
    let last = placed.as_ref().and_then(|placed| placed.names);
    let names = sweep::without_ended_names(tx, &found, None, last)?;
    let unheld = placed.filter(|_| names.is_none());
    let released = Lifetime {
        held: false,
        held_until: None,
        held_refresh: None,
        ..found.lifetime()
    };
    tx.whole(|tx| {
        tx.apply(Change::Released {
            object: found.id,
            object_id: *id,
            lifetime: released.with_names(names),
        })?;
        unheld.map(|found| remove(tx, &found, *id, Vec::new())).transpose()
    })
}

/// Removes an object that nothing holds.
pub(in crate::manager) fn remove(
    tx: &mut WriteTx<'_>,
    found: &PlacedObject,
    id: ObjectId,
    names: Vec<String>,
) -> Result<Freed> {
    if is_vacated(tx, found) {
        return vacate(tx, found, id, names);
    }
    let (object_id, entries) = (id, &found.entries);
    let placed: i64 = entries.iter().map(|entry| entry.allocated_mem).sum();
    check_placed(found, id, placed)?;
    if !entries.is_empty() {
        tx.apply(Change::EntriesRemoved { object_id, entries })?;
    }
    tx.apply(Change::ObjectRemoved {
        object: found.id,
        object_id,
        kind: found.kind,
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

/// Whether an object is removed at once, but its pieces in steps.
fn is_vacated(tx: &WriteTx<'_>, found: &PlacedObject) -> bool {
    is_large(found.size) || found.entries.len() as i64 > tx.most_pieces()
}

/// The pieces and names of an object that is to be removed with all its holds. `None` if it is damaged and so
/// cannot be removed.
pub(in crate::manager) fn removable(
    tx: &mut WriteTx<'_>,
    object: &StoredObject,
) -> Result<Option<(PlacedObject, Vec<KeptName>)>> {
    let mut find = || {
        object.known_id()?;
        let Some(placed) = tx.placed(object, None)? else {
            return Ok(None);
        };
        let names = match placed.names {
            Some(_) => tx.names_of(object.id)?,
            None => Vec::new(),
        };
        Ok(is_placed(tx, &placed)?.then_some((placed, names)))
    };
    match find() {
        Err(Error::Damaged { .. }) => Ok(None),
        found => found,
    }
}

/// Whether the pieces of an object are where they should be, so that it can be removed.
fn is_placed(tx: &mut WriteTx<'_>, found: &PlacedObject) -> Result<bool> {
    if is_vacated(tx, found) {
        let entries = tx.count_entries(found.id)?;
        let last = tx.read_written(|tx| queries::entries::extent(tx, found.id, entries - 1))?;
        return Ok(last.map_or(0, |(start, bytes)| start.saturating_add(bytes)) == found.size);
    }
    let placed: i64 = found.entries.iter().map(|entry| entry.allocated_mem).sum();
    Ok(placed == found.size && reclaim::is_possible(&found.entries))
}

/// Refuses to remove an object of which pieces are missing.
fn check_placed(found: &PlacedObject, id: ObjectId, placed: i64) -> Result<()> {
    if placed == found.size {
        return Ok(());
    }
    Err(Error::Damaged {
        what: format!(
            "only {placed} of {} bytes of object {id} are where they should be",
            found.size
        ),
    })
}

/// Removes a large object at once, but gives its pieces back in steps, so that others write in
/// between.
pub(in crate::manager) fn vacate(
    tx: &mut WriteTx<'_>,
    found: &PlacedObject,
    object_id: ObjectId,
    names: Vec<String>,
) -> Result<Freed> {
    let leftover = reclaim::leftover(tx, found.id, unsigned(found.size))?;
    let last = tx.read_written(|tx| queries::entries::extent(tx, found.id, leftover.entry_ids - 1))?;
    check_placed(
        found,
        object_id,
        last.map_or(0, |(start, bytes)| start.saturating_add(bytes)),
    )?;
    let pieces = unsigned(leftover.entry_ids);
    let reservation = leftover.id;
    tx.apply(Change::ReservationSet {
        before: None,
        after: leftover,
    })?;
    tx.apply(Change::ObjectVacated {
        object: found.id,
        object_id,
        kind: found.kind,
        size: found.size,
        reservation,
    })?;
    tx.leave_pieces();
    Ok(Freed {
        id: object_id,
        size: unsigned(found.size),
        pieces,
        names,
    })
}
