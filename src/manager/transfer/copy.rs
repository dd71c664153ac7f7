//! Copies a heap into another one, on any engine.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::compare::{Difference, Side, balance, compare};
use super::conflicts::OnConflict;
use super::copy_item::{CopiedSpace, occupied};
use super::copy_space::SpaceCopy;
use crate::error::{Error, Result, ServerError, TransferError};
use crate::manager::{History, MemManager, Options, Phase};
use crate::models::MemRam;
use crate::store::{ReadTx, queries};
use crate::temporary::Storing;

/// Options of [`MemManager::copy_to_with`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CopyOptions {
    /// What to do with what the target has already. With [`OnConflict::Refuse`], the default, a space
    /// there has to be empty, or an unfinished copy. With the others the objects are added to what is
    /// there, and this says what to do with a name that is taken.
    pub on_conflict: OnConflict,
    /// Copy only the space of the manager; `false` by default.
    pub this_space_only: bool,
    /// How to open the target. Its space, and the capacity, geometry and history of a new one, are
    /// those of the original.
    pub target: Options,
}

impl CopyOptions {
    /// Sets what to do with what the target has already.
    #[must_use]
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.on_conflict = on_conflict;
        self
    }

    /// Copies only the space of the manager, or all of them.
    #[must_use]
    pub fn this_space_only(mut self, only: bool) -> Self {
        self.this_space_only = only;
        self
    }

    /// Sets how to open the target.
    #[must_use]
    pub fn target(mut self, options: Options) -> Self {
        self.target = options;
        self
    }
}

/// The result of a copy, which was compared with the original.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Copied {
    /// What was copied of each space.
    pub spaces: Vec<CopiedSpace>,
}

impl MemManager {
    /// Copies the heap with all its spaces, in the state of one commit, into the heap at `to`, which is
    /// created if there is none, and then compares both. It may be on another engine. Writers and
    /// readers continue on both sides.
    ///
    /// An object comes with its kind, its type, all its names and its hold, in the order of
    /// allocation. A space that is created has the capacity, the geometry and the history setting of
    /// the original; one that exists keeps its own. What is not copied: the history itself,
    /// [reservations](Self::reserve), what is not completely stored yet, and the ceiling of a file.
    ///
    /// It consists of many transactions. An interrupted copy can be repeated, and continues then: each
    /// object is stored completely or not at all, and what is there already is not read again. The
    /// rest of a large object is given back after its [lease](Options::lease).
    ///
    /// Contents are hashed on the way. In the end both sides are compared: the ids, kinds, types, sizes
    /// and holds of all objects, all names, and whether both
    /// [balance](Self::trial_balance) with the same bytes in objects. O(content), in constant memory,
    /// except for the names of a thousand objects. Until it ends, it reads one old state, as a
    /// [snapshot](Self::snapshot) does.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// # let to = folder.path().join("copy.db");
    /// memory.set("greeting", "hello")?;
    /// let copied = memory.copy_to(&to)?;
    /// assert_eq!(copied.spaces[0].objects, 1);
    /// // What is there already is not copied again.
    /// assert_eq!(memory.copy_to(&to)?.spaces[0].already, 1);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`TransferError::Occupied`] if a space there has anything that does not come from this one;
    /// nothing is copied then. [`TransferError::CopyDiffers`] if the comparison fails, because others
    /// have changed the copy meanwhile. [`Error::Damaged`] if a content does not match its id or is
    /// invalid for its kind: repair first. [`Error::OutOfMemory`] and [`Error::KindConflict`] if the
    /// target existed. [`Error::Interrupted`] after [`interrupt`](crate::interrupt); what
    /// [opening](Options::open) the target and [any call](MemManager#errors) on either side fails
    /// with. What was copied before the error stays.
    pub fn copy_to(&self, to: impl AsRef<Path>) -> Result<Copied> {
        self.copy_to_with(to, &CopyOptions::default(), &mut |_, _, _| {})
    }

    /// Like [`Self::copy_to`]; `progress` gets the [`Phase`], the bytes copied, and the total.
    ///
    /// # Errors
    /// Those of [`Self::copy_to`]; [`TransferError::Occupied`] also for a name that can neither be
    /// bound nor renamed.
    pub fn copy_to_with(
        &self,
        to: impl AsRef<Path>,
        options: &CopyOptions,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Copied> {
        let target = Target {
            to: to.as_ref(),
            options,
            original: self,
        };
        // It ends between two batches when the program is interrupted.
        let _storing = Storing::new();
        self.inner.readers.snapshot_once(|tx| {
            let mut spaces = queries::spaces::all(tx)?;
            spaces.retain(|space| space.dropped_at.is_none());
            spaces.retain(|space| !options.this_space_only || space.id == self.inner.space);
            let mut found = Vec::with_capacity(spaces.len());
            for space in &spaces {
                progress(Phase::Comparing, 0, 0);
                found.push(target.look(tx, space)?);
            }
            let mut copied = Copied::default();
            let total = spaces.iter().map(|space| space.mem).sum();
            let mut before = 0;
            for (space, found) in spaces.iter().zip(found) {
                let memory = target.open(tx, space, found)?;
                let copying = &mut |bytes| progress(Phase::Copying, before + bytes, total);
                let (memory, done) = SpaceCopy::new(memory, options.on_conflict, copying)?.run(tx, space)?;
                progress(Phase::Comparing, 0, 0);
                target.verify(tx, space, &memory, &done)?;
                before += space.mem;
                copied.spaces.push(done);
            }
            Ok(copied)
        })
    }
}

/// Where to copy to.
struct Target<'a> {
    to: &'a Path,
    options: &'a CopyOptions,
    original: &'a MemManager,
}

/// Whether the target has a space already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exists {
    No,
    Yes,
}

impl Target<'_> {
    /// Looks at a space of the target before anything is copied or created.
    fn look(&self, tx: &mut ReadTx<'_>, space: &MemRam) -> Result<Exists> {
        let options = self.options.target.clone().space(&space.name);
        let there = match options.read_only(true).open(self.to) {
            Ok(there) => there,
            Err(Error::Server(error)) if !matches!(error, ServerError::NoHeap { .. }) => return Err(error.into()),
            // If it is there and cannot be read, opening it for writing says why.
            Err(_) => return Ok(Exists::No),
        };
        if there.path() == self.original.path() {
            let same = std::io::Error::new(std::io::ErrorKind::InvalidInput, "the target is this heap itself");
            return Err(Error::io("the heap cannot be copied")(same));
        }
        if self.options.on_conflict == OnConflict::Refuse {
            let mut own = None;
            let _ = self.compare(tx, space, &there, &mut |difference| {
                own = Some(difference).filter(Difference::is_own);
                own.as_ref()
                    .map_or(ControlFlow::Continue(()), |_| ControlFlow::Break(()))
            })?;
            if let Some(own) = own {
                return Err(occupied(&there, own.to_string()));
            }
        }
        Ok(Exists::Yes)
    }

    /// Opens a space of the target for writing, and creates it if it is missing.
    fn open(&self, tx: &mut ReadTx<'_>, space: &MemRam, exists: Exists) -> Result<MemManager> {
        let mut options = self.options.target.clone().space(&space.name).create(true);
        if exists == Exists::No {
            let geometry = queries::spaces::geometry(tx, space)?;
            let history = History::of(space);
            options = options.max_mem(space.max_mem).geometry(geometry).history(history);
        }
        let mut memory = options.open(self.to)?;
        memory.reason = self.original.reason.clone();
        Ok(memory)
    }

    fn compare(
        &self,
        tx: &mut ReadTx<'_>,
        space: &MemRam,
        there: &MemManager,
        found: &mut dyn FnMut(Difference) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let mut original = Side { tx, space: space.id };
        let space = there.inner.space;
        let readers = &there.inner.readers;
        readers.snapshot_once(|tx| compare(&mut original, &mut Side { tx, space }, found))
    }

    /// Compares a space with its copy.
    fn verify(&self, tx: &mut ReadTx<'_>, space: &MemRam, there: &MemManager, done: &CopiedSpace) -> Result<()> {
        let is_merged = self.options.on_conflict != OnConflict::Refuse;
        // Objects and names that need not be there.
        let (mut left_out, mut conflicts) = (done.left_out, done.conflicts.len() as u64);
        let mut wrong = None;
        let _ = self.compare(tx, space, there, &mut |difference| {
            let may_differ = match difference {
                _ if !is_merged => false,
                Difference::ObjectMissing(_) => take_one(&mut left_out),
                Difference::NameMissing(_) | Difference::NameElsewhere(_) => take_one(&mut conflicts),
                Difference::HoldMissing(_) => false,
                Difference::OwnObject(_)
                | Difference::OwnHold(_)
                | Difference::OwnName(_)
                | Difference::OtherObject(_) => true,
            };
            if may_differ {
                return ControlFlow::Continue(());
            }
            wrong = Some(difference.to_string());
            ControlFlow::Break(())
        })?;
        if wrong.is_none() {
            wrong = self.compare_balances(tx, space, there)?;
        }
        wrong.map_or(Ok(()), |why| Err(differs(there, why)))
    }

    /// How the balances of a space and its copy differ, if they do.
    fn compare_balances(&self, tx: &mut ReadTx<'_>, space: &MemRam, there: &MemManager) -> Result<Option<String>> {
        let original = balance(&mut Side { tx, space: space.id })?;
        let copy = there.inner.readers.snapshot(|tx| {
            let space = there.inner.space;
            balance(&mut Side { tx, space })
        })?;
        Ok(match (original, copy) {
            (Err(why), _) => Some(format!("of the original, {why}")),
            (_, Err(why)) => Some(why),
            (Ok(original), Ok(copy)) if original != copy && self.options.on_conflict == OnConflict::Refuse => {
                Some(format!("its objects have {copy} bytes instead of {original}"))
            }
            _ => None,
        })
    }
}

/// Takes one of `left`, if there are any.
fn take_one(left: &mut u64) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}

fn differs(there: &MemManager, why: String) -> Error {
    TransferError::CopyDiffers {
        path: there.inner.location.named().to_owned(),
        space: there.space().to_owned(),
        why,
    }
    .into()
}
