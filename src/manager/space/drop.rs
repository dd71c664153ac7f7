//! Dropping a space.
//!
//! It works in bounded steps, between which others write to other spaces. The first one marks the space, so that
//! nobody uses it any more. Those that follow free its objects and give back its levels as any other call would,
//! so the books balance after each of them, and the next call after a crash continues. Its own row goes last.

use std::collections::HashMap;
use std::path::Path;

use crate::books::change::Change;
use crate::books::rows::SpaceChange;
use crate::error::{Error, Result};
use crate::manager::objects::free::{remove, vacate};
use crate::manager::objects::reclaim::{STEP_BYTES, STEP_PIECES, give_back};
use crate::manager::objects::reserved::resolve;
use crate::manager::space::collect::{PAGE, remove_empty};
use crate::manager::space::options::Purpose;
use crate::manager::space::options::open::unknown_space;
use crate::manager::{Collected, MemManager, Options, Phase};
use crate::models::{
    BlockId, DroppedSpace, HistoryMode, MemRam, PlacedEntry, ReservationState, StoredObject, StoredObjectId, signed,
};
use crate::store::queries::drop::First;
use crate::store::queries::placed::{PlacedObject, is_large};
use crate::store::queries::trim::{Due, Old};
use crate::store::{ReadTx, WriteTx, queries};
use crate::temporary::{Storing, go_on};

impl MemManager {
    /// Drops a space of the heap, which may be this one, with its objects, names, reservations and history, and
    /// returns what it had. What is left of it is a row of [`Self::dropped_spaces`], and its
    /// [key](crate::MemRamId), which no other space gets. Its name is free again.
    ///
    /// It works in small transactions, between which others can write to other spaces. From the first one on the
    /// space takes no content: a manager that has it open fails with [`Error::Space`], in this process and
    /// in others. If this call is interrupted or its process dies, the space is listed by [`Self::spaces`] with
    /// [`dropped_at`](crate::MemRam), its books balance, and the next call continues.
    ///
    /// Any space can be dropped, also `main` and the last one. The file only becomes smaller with
    /// [`Self::collect_garbage`] of another space. O(names + rows · log n); on a server, the last step also reads
    /// the arenas, pools, blocks and events of all spaces, while nobody waits for it.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("heap.db");
    /// # let memory = heapledger::MemManager::open(&path)?;
    /// let cache = heapledger::MemManager::options().space("cache").open(&path)?;
    /// cache.set("greeting", "hello")?;
    /// let dropped = memory.drop_space("cache")?;
    /// assert_eq!((dropped.objects, dropped.names), (1, 1));
    /// assert!(matches!(cache.set("greeting", "hi"), Err(heapledger::Error::Space(_))));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownSpace`]; [`Error::Damaged`] if pieces of an object are not where they should be: repair
    /// first; [`Error::Interrupted`] after [`interrupt`](crate::interrupt); what
    /// [any write](MemManager#errors) fails with. What was removed before the error does not come back.
    pub fn drop_space(&self, name: &str) -> Result<DroppedSpace> {
        self.drop_space_with(name, &mut |_, _, _| {})
    }

    /// Like [`Self::drop_space`]; `progress` gets the [`Phase`], the objects removed, and their total.
    ///
    /// # Errors
    /// Like [`Self::drop_space`].
    pub fn drop_space_with(&self, name: &str, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<DroppedSpace> {
        self.group()?;
        let space = MemManager::options().space(name).open_next_to(self, Purpose::Drop)?;
        space.drop_own(progress)
    }

    /// What [`Self::drop_space`] would remove, in the state of one commit: what the space has now. O(names).
    ///
    /// # Errors
    /// [`Error::UnknownSpace`]; what [any call](MemManager#errors) fails with.
    pub fn plan_drop_space(&self, name: &str) -> Result<DroppedSpace> {
        self.inner
            .readers
            .snapshot(|tx| match queries::spaces::by_name(tx, name)? {
                Some(space) => contents(tx, &space),
                None => Err(unknown_space(queries::spaces::all(tx)?, name, &self.inner.location)),
            })
    }

    /// The spaces that were dropped, with what each had then, in the order of their creation. O(dropped spaces).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn dropped_spaces(&self) -> Result<Vec<DroppedSpace>> {
        self.inner.readers.single(queries::spaces::all_dropped)
    }

    /// Drops the space of this manager, which was opened for that.
    fn drop_own(&self, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<DroppedSpace> {
        // It ends between two steps when the program is interrupted.
        let _storing = Storing::new();
        let done = self.drop_in_steps(progress);
        let space = self.inner.space;
        let dropped = self.inner.readers.single(|tx| queries::spaces::dropped(tx, space));
        match (done, dropped) {
            // Also if another call has removed the last row, or this one did without learning that it had.
            (_, Ok(Some(dropped))) if dropped.gone_at.is_some() => Ok(dropped),
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(()), Ok(_)) => Err(Error::Damaged {
                what: "nothing tells that the space was dropped".into(),
            }),
        }
    }

    fn drop_in_steps(&self, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<()> {
        progress(Phase::RemovingRows, 0, 0);
        let objects = self.write_apart(|tx| self.begin_to_drop(tx))?;
        let mut page = PAGE;
        loop {
            go_on()?;
            let left = match self.write_apart(|tx| step(tx, page)) {
                // Fewer may fit below the ceiling.
                Err(Error::FileFull { .. }) if page > 1 => {
                    page /= 4;
                    continue;
                }
                left => left?,
            };
            let Some(left) = left else { return Ok(()) };
            progress(Phase::RemovingRows, objects.saturating_sub(left), objects);
        }
    }

    /// Marks the space, unless it is marked already, and returns how many objects it has.
    fn begin_to_drop(&self, tx: &mut WriteTx<'_>) -> Result<u64> {
        let memram = tx.memram()?;
        if memram.dropped_at.is_some() {
            return Ok(memram.objects());
        }
        let found = tx.read(|tx| contents(tx, &memram))?;
        if memram.history != HistoryMode::Off {
            tx.apply(Change::HistorySet {
                mode: HistoryMode::Off,
                keep: None,
                max_bytes: None,
            })?;
        }
        tx.apply(Change::SpaceChanged(SpaceChange::Dropping(DroppedSpace {
            dropped_at: tx.at(),
            actor: self.inner.actor.as_deref().map(Into::into),
            reason: self.reason.as_deref().map(Into::into),
            ..found
        })))?;
        Ok(memram.objects())
    }
}

impl Options {
    /// Drops the space of these options; see [`MemManager::drop_space`]. For a heap without another space that
    /// could be opened, because the drop of the last one was interrupted.
    ///
    /// # Errors
    /// Those of [`MemManager::drop_space`] and [`Self::open`].
    pub fn drop_space(self, path: impl AsRef<Path>) -> Result<DroppedSpace> {
        let space = self.open_for(path.as_ref(), Purpose::Drop)?;
        space.drop_own(&mut |_, _, _| {})
    }
}

/// What a space has now.
fn contents(tx: &mut ReadTx<'_>, space: &MemRam) -> Result<DroppedSpace> {
    let [names, reservations] = queries::drop::counts(tx, space.id)?;
    Ok(DroppedSpace {
        id: space.id,
        name: space.name.clone(),
        max_mem: space.max_mem,
        mem: space.mem,
        objects: space.objects(),
        names,
        reservations,
        history_bytes: space.history_bytes,
        created_at: space.created_at,
        dropped_at: space.dropped_at.unwrap_or_else(crate::Timestamp::now),
        gone_at: None,
        actor: None,
        reason: None,
    })
}

/// Removes up to `page` rows of a kind, or pieces of one object. Returns how many objects are left, or `None` if
/// nothing is left at all. O(page · log n).
fn step(tx: &mut WriteTx<'_>, page: i64) -> Result<Option<u64>> {
    // Pieces of reservations would be in the way of those of objects.
    let is_more = end_reservations(tx, page)? || free_first(tx, page)? || remove_levels(tx, page)? || trim(tx, page)?;
    if is_more {
        return Ok(Some(tx.memram()?.objects()));
    }
    let at = tx.at();
    tx.apply(Change::SpaceChanged(SpaceChange::Gone(at)))?;
    Ok(None)
}

/// Removes reservations, or some pieces that one has. Returns whether there were any.
fn end_reservations(tx: &mut WriteTx<'_>, page: i64) -> Result<bool> {
    let space = tx.space();
    let rows = tx.read_rows(|tx| queries::drop::reservations(tx, space, page))?;
    for row in &rows {
        if row.written == 0 {
            tx.apply(Change::ReservationRemoved { reservation: row })?;
            continue;
        }
        let row = match row.state {
            ReservationState::Open => resolve(tx, row, ReservationState::Voided)?,
            _ => row.clone(),
        };
        give_back(tx, &row)?.ok_or_else(|| misplaced(&format!("reservation {}", row.id.n())))?;
        return Ok(true);
    }
    Ok(!rows.is_empty())
}

/// Frees the first objects with their names. Returns whether there were any.
fn free_first(tx: &mut WriteTx<'_>, page: i64) -> Result<bool> {
    let space = tx.space();
    let most = STEP_PIECES.min(tx.most_pieces());
    let Some(first) = tx.read(|tx| queries::drop::first(tx, space, page, most))? else {
        return Ok(false);
    };
    let First { objects, names, pieces } = first;
    // The names or pieces of the last object may be cut off.
    let is_cut = [
        names
            .last()
            .filter(|_| names.len() as i64 == page)
            .map(|(object, _)| *object),
        pieces
            .last()
            .filter(|_| pieces.len() as i64 == most)
            .map(|(object, _)| *object),
    ];
    let (mut names, mut pieces) = (by_object(names), by_object(pieces));
    let mut blocks = HashMap::new();
    let mut bytes = 0;
    for (index, object) in objects.iter().enumerate() {
        let names = names.remove(&object.id).unwrap_or_default();
        let entries = pieces.remove(&object.id).unwrap_or_default();
        let size = signed(object.size);
        let is_whole = !is_cut.contains(&Some(object.id)) && !is_large(size);
        bytes += size;
        if index > 0 && (!is_whole || bytes > STEP_BYTES) {
            break;
        }
        for name in &names {
            tx.apply(Change::NameUnbound {
                name,
                object: object.id,
                object_id: object.object_id,
                lifetime: None,
            })?;
        }
        if is_cut[0] == Some(object.id) {
            let lifetime = object.lifetime().with_names(tx.last_end(object.id, None)?);
            tx.apply(Change::Held {
                object: object.id,
                lifetime,
            })?;
            return Ok(true);
        }
        free(tx, object, as_left(entries, &mut blocks), is_whole)?;
        if !is_whole {
            // Pieces of the next objects were not read.
            break;
        }
    }
    Ok(true)
}

/// The pieces with what is in their blocks after earlier ones were removed.
fn as_left(mut entries: Vec<PlacedEntry>, blocks: &mut HashMap<BlockId, i64>) -> Vec<PlacedEntry> {
    for entry in &mut entries {
        entry.block_mem = *blocks.entry(entry.block_id).or_insert(entry.block_mem);
    }
    for entry in &entries {
        if let Some(mem) = blocks.get_mut(&entry.block_id) {
            *mem -= entry.allocated_mem;
        }
    }
    entries
}

/// Frees an object whose names are gone; one that is large or has many pieces leaves them to the next steps.
fn free(tx: &mut WriteTx<'_>, object: &StoredObject, entries: Vec<PlacedEntry>, is_whole: bool) -> Result<()> {
    let id = object.object_id;
    let found = PlacedObject {
        id: object.id,
        kind: object.kind,
        size: signed(object.size),
        names: None,
        expires_at: None,
        entries,
    };
    if is_whole {
        remove(tx, &found, id, Vec::new())?;
    } else {
        vacate(tx, &found, id, Vec::new())?;
    }
    Ok(())
}

/// Removes empty levels. Returns whether there were any.
fn remove_levels(tx: &mut WriteTx<'_>, page: i64) -> Result<bool> {
    let mut removed = Collected::default();
    remove_empty(tx, page, &mut removed)?;
    Ok(removed.blocks + removed.pools + removed.arenas > 0)
}

/// Removes events, except the last one. Returns whether there were any.
fn trim(tx: &mut WriteTx<'_>, page: i64) -> Result<bool> {
    let space = tx.space();
    let due = Due::all(page as usize);
    let old = tx.read(|tx| queries::trim::old(tx, space, &due))?;
    let Some(Old { last, bytes, .. }) = old else {
        return Ok(false);
    };
    tx.apply(Change::HistoryTrimmed { last, bytes })?;
    Ok(true)
}

fn by_object<T>(rows: Vec<(StoredObjectId, T)>) -> HashMap<StoredObjectId, Vec<T>> {
    let mut by_object: HashMap<_, Vec<_>> = HashMap::new();
    for (object, row) in rows {
        by_object.entry(object).or_default().push(row);
    }
    by_object
}

fn misplaced(of: &str) -> Error {
    Error::Damaged {
        what: format!("pieces of {of} are not where they should be"),
    }
}
