//! Plans of freeing objects.

use std::collections::BTreeSet;

use serde::Serialize;

use super::sparse::{NEARLY_EMPTY, SparseOptions};
use crate::error::Result;
use crate::manager::objects::read::Scope;
use crate::manager::objects::{free, reclaim};
use crate::manager::space::collect;
use crate::manager::{Collected, Freed, MemManager, unsigned};
use crate::models::{ArenaId, MemRamId};
use crate::store::queries::sparse::Occupant;
use crate::store::{ReadTx, Rehearsal, queries};
use crate::value::ObjectId;

/// What freeing objects and collecting garbage would give back. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FreePlan {
    /// The objects, without duplicates, with the names that would be removed.
    pub objects: Vec<Freed>,
    /// Bytes of their contents.
    pub size: u64,
    /// What [`MemManager::collect_garbage`] would return after that.
    #[serde(flatten)]
    pub collected: Collected,
    /// Blocks that are already empty: the part of `blocks` that goes without freeing anything.
    pub empty_blocks: u64,
    /// Bytes of the file that are already free: the part of `file_bytes` that goes without freeing
    /// anything.
    pub free_file_bytes: u64,
    /// The objects in arenas that would become nearly empty (under 25 % used), at most 20 per
    /// arena: freeing them as well would give the arena back.
    pub sparse: Vec<Occupant>,
}

impl MemManager {
    /// What freeing these objects and their names, and then collecting garbage, would give back:
    /// exactly what [`Self::force_free`] of all of them in one [`Self::batch`] and
    /// [`Self::collect_garbage`] would report. Without objects, what garbage collection alone would
    /// give back.
    ///
    /// No formula predicts how SQLite's trees merge their pages, so everything except returning free
    /// pages is really done, in a transaction that is rolled back: nothing is committed and readers
    /// continue, but other writers wait until it is done or their `busy_timeout` expires. The next
    /// writer overwrites what this writes to the write-ahead log.
    ///
    /// The plan is valid until somebody writes, or until events become too old to keep.
    ///
    /// # Errors
    /// [`Error::NotStored`](crate::Error::NotStored); what [any write](MemManager#errors) fails with, such as
    /// [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn plan_free(&self, ids: &[ObjectId]) -> Result<FreePlan> {
        let (writer, deadline) = self.group()?;
        writer.rehearse(deadline, |rehearsal| self.rehearse_free(rehearsal, ids))
    }

    fn rehearse_free(&self, rehearsal: &mut Rehearsal<'_>, ids: &[ObjectId]) -> Result<FreePlan> {
        let space = self.inner.space;
        let mut seen = BTreeSet::new();
        // In the given order, because another order may leave different pages.
        let unique: Vec<_> = ids.iter().filter(|id| seen.insert(**id)).collect();
        let before = rehearsal.unit(|tx| tx.read(|tx| before(tx, self.scope(), &unique)))?;
        let objects = rehearsal.unit(|tx| {
            // The events that this would record also take room in the file.
            tx.sign(self.signature());
            let freed = unique.iter().map(|id| free::free(tx, self.space(), id, true));
            let freed = freed.collect::<Result<Vec<_>>>()?;
            reclaim::next(tx)?;
            Ok(freed)
        })?;
        while rehearsal.unit(|tx| {
            tx.sign(self.signature());
            let more = reclaim::next(tx)?;
            reclaim::next(tx)?;
            Ok(more)
        })? {}
        let mut collected = Collected::default();
        while rehearsal.unit(|tx| {
            tx.sign(self.signature());
            collect::remove_empty(tx, collect::PAGE, &mut collected)
        })? {}
        let mut tx = rehearsal.read()?;
        let sparse = left_sparse(&mut tx, space, &before.arenas)?;
        let file = tx.file_sizes()?;
        let left = file.after_vacuum();
        collected.file_bytes = unsigned(file.bytes - left);
        // A server decides by itself what it gives back, and when.
        collected.file_size = if tx.is_on_server() { 0 } else { unsigned(left) };
        Ok(FreePlan {
            size: objects.iter().map(|object| object.size).sum(),
            objects,
            collected,
            empty_blocks: before.empty_blocks,
            free_file_bytes: before.free_file_bytes,
            sparse,
        })
    }
}

/// The state before anything is freed.
struct Before {
    /// Arenas that the objects have bytes in.
    arenas: BTreeSet<ArenaId>,
    empty_blocks: u64,
    free_file_bytes: u64,
}

fn before(tx: &mut ReadTx<'_>, scope: Scope<'_>, ids: &[&ObjectId]) -> Result<Before> {
    let mut arenas = BTreeSet::new();
    for id in ids {
        let object = scope.find(tx, id)?;
        let entries = queries::entries::of_object(tx, object.id)?;
        arenas.extend(entries.iter().map(|entry| entry.arena_id));
    }
    let classes = queries::spaces::classes(tx, scope.space)?;
    let file = tx.file_sizes()?;
    Ok(Before {
        arenas,
        empty_blocks: classes.iter().map(|class| class.empty_blocks).sum(),
        free_file_bytes: unsigned(file.free),
    })
}

/// The objects left in those of these arenas that are nearly empty.
fn left_sparse(tx: &mut ReadTx<'_>, space: MemRamId, arenas: &BTreeSet<ArenaId>) -> Result<Vec<Occupant>> {
    let limit = SparseOptions::default().limit as i64;
    let mut occupants = Vec::new();
    for arena in queries::sparse::nearly_empty(tx, space, NEARLY_EMPTY.into())? {
        if arenas.contains(&arena.id) {
            occupants.extend(queries::sparse::of_arena(tx, &arena, limit)?);
        }
    }
    Ok(occupants)
}
