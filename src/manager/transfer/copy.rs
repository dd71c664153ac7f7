//! Copies a heap into another one, on any engine.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::compare::{Difference, Side, balance, compare};
use super::conflicts::OnConflict;
use super::copy_item::{CopiedSpace, occupied};
use super::copy_space::SpaceCopy;
use super::source::Source;
use crate::clock;
use crate::error::{Error, Result, ServerError, TransferError};
use crate::manager::space::options::Purpose;
use crate::manager::{Eviction, History, MemManager, Options, Phase};
use crate::models::MemRam;
use crate::store::{Location, queries};
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
    /// The space to copy that of the manager into; by default, each is copied into the one of its own name.
    pub to_space: Option<String>,
    /// How to open the target, unless it is the heap itself. Its space, and the capacity, geometry and history of
    /// a new one, are those of the original.
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

    /// Copies only the space of the manager, into this one.
    #[must_use]
    pub fn to_space(mut self, name: impl Into<String>) -> Self {
        self.to_space = Some(name.into());
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
    /// An object comes with its kind, its type, all its names and its hold, in the order of allocation. A space that is
    /// created has the capacity, the geometry and the settings of history and eviction of the original; one that exists
    /// keeps its own. Its [quotas](Self::set_quota) apply to what is copied into it; those of the original are set
    /// last, unless an owner has one there. What is not copied: the history itself, [reservations](Self::reserve), what
    /// is not completely stored yet, and the ceiling of a file.
    ///
    /// It consists of many transactions. An interrupted copy can be repeated, and continues then: each
    /// object is stored completely or not at all, and what is there already is not read again. What
    /// was stored of an unfinished large object is given back after its [lease](Options::lease).
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
    /// [`TransferError::Occupied`] if a space there has anything that does not come from this one; nothing is copied
    /// then. [`TransferError::CopyDiffers`] if the comparison fails, because others have changed the copy meanwhile.
    /// [`Error::Damaged`] if content does not match its id or is invalid for its kind: repair first.
    /// [`Error::OutOfMemory`], [`Error::QuotaExceeded`] and [`Error::KindConflict`] if the target existed.
    /// [`Error::Interrupted`] after [`interrupt`](crate::interrupt); what [opening](Options::open) the target and
    /// [any call](MemManager#errors) on either side fails with. What was copied before the error stays.
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
        let to = to.as_ref();
        let is_here = Location::at(to)?.path() == self.path();
        let target = Target {
            to: (!is_here).then_some(to),
            options,
            original: self,
        };
        // It ends between two batches when the program is interrupted.
        let _storing = Storing::new();
        if is_here {
            return target.copy(&mut Source::Newest(self), progress);
        }
        self.inner
            .readers
            .snapshot_once(|tx| target.copy(&mut Source::State(tx), progress))
    }

    /// Copies the space into another one of the heap, which is created if there is none, and then compares both.
    /// Like [`Self::copy_to`], except that it does not read one state of the space: others should not write to it
    /// meanwhile. If they do, the comparison fails, and the next call copies what has come.
    ///
    /// The bytes are copied, in transactions of up to 8 MiB, because each space accounts for its own: a piece is
    /// in a block, which is in one space, and the other space has blocks of its own. The bytes pass through this
    /// process, instead of only from row to row, to be hashed. Nothing is written to other files. What is there
    /// already is neither read nor written.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// memory.set("greeting", "hello")?;
    /// let copied = memory.copy_to_space("archive")?;
    /// assert_eq!((copied.spaces[0].space.as_str(), copied.spaces[0].objects), ("archive", 1));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Self::copy_to`].
    pub fn copy_to_space(&self, name: &str) -> Result<Copied> {
        let options = CopyOptions::default().to_space(name);
        self.copy_to_with(self.path(), &options, &mut |_, _, _| {})
    }
}

/// Where to copy to.
struct Target<'a> {
    /// Another heap, or the one that is copied.
    to: Option<&'a Path>,
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
    fn copy(&self, source: &mut Source<'_, '_>, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<Copied> {
        let own = self.original.inner.space;
        if self.is_of_one_space() {
            source.read(|tx| queries::spaces::is_there(tx, own))?;
        }
        let mut spaces = source.read(queries::spaces::all)?;
        spaces.retain(|space| space.dropped_at.is_none());
        spaces.retain(|space| !self.is_of_one_space() || space.id == own);
        let mut found = Vec::with_capacity(spaces.len());
        for space in &spaces {
            progress(Phase::Comparing, 0, 0);
            found.push(self.look(source, space)?);
        }
        let mut copied = Copied::default();
        let total = spaces.iter().map(|space| space.mem).sum();
        let mut before = 0;
        for (space, found) in spaces.iter().zip(found) {
            let memory = self.open(source, space, found)?;
            let copying = &mut |bytes| progress(Phase::Copying, before + bytes, total);
            let quotas = source.read(|tx| queries::quotas::all(tx, space.id))?;
            let (memory, done) = SpaceCopy::new(memory, self.options.on_conflict, copying)?.run(source, space)?;
            progress(Phase::Comparing, 0, 0);
            self.verify(source, space, &memory, &done)?;
            // Last, because an owner may have more than its quota would let it gain.
            memory.add_quotas(quotas)?;
            before += space.mem;
            copied.spaces.push(done);
        }
        Ok(copied)
    }

    fn is_of_one_space(&self) -> bool {
        self.options.this_space_only || self.options.to_space.is_some()
    }

    /// The name of the space that a space is copied into.
    fn name_of<'n>(&'n self, space: &'n MemRam) -> &'n str {
        self.options.to_space.as_deref().unwrap_or(&space.name)
    }

    /// Opens the target, or the heap itself.
    fn open_with(&self, options: Options) -> Result<MemManager> {
        match self.to {
            Some(to) => options.open(to),
            None => options.open_next_to(self.original, Purpose::Use),
        }
    }

    /// Looks at a space of the target before anything is copied or created.
    fn look(&self, source: &mut Source<'_, '_>, space: &MemRam) -> Result<Exists> {
        let name = self.name_of(space);
        if self.to.is_none() && name == space.name {
            let what = match self.is_of_one_space() {
                true => "the target is this space itself",
                false => "the target is this heap itself",
            };
            let same = std::io::Error::new(std::io::ErrorKind::InvalidInput, what);
            return Err(Error::io("the heap cannot be copied")(same));
        }
        let options = self.options.target.clone().space(name);
        let there = match self.open_with(options.read_only(true)) {
            Ok(there) => there,
            Err(Error::Server(error)) if !matches!(error, ServerError::NoHeap { .. }) => return Err(error.into()),
            // If it is there and cannot be read, opening it for writing says why.
            Err(_) => return Ok(Exists::No),
        };
        if self.options.on_conflict == OnConflict::Refuse {
            let mut own = None;
            let _ = self.compare(source, space, &there, &mut |difference| {
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
    fn open(&self, source: &mut Source<'_, '_>, space: &MemRam, exists: Exists) -> Result<MemManager> {
        let mut options = self.options.target.clone().space(self.name_of(space)).create(true);
        if exists == Exists::No {
            let geometry = source.read(|tx| queries::spaces::geometry(tx, space))?;
            let history = History::of(space);
            options = options.max_mem(space.max_mem).geometry(geometry).history(history);
            if let Some(eviction) = Eviction::of(space) {
                options = options.evict(eviction);
            }
        }
        if self.to.is_none() {
            // What was opened for reading, and a snapshot, must not write to the heap.
            self.original.group()?;
        }
        let mut memory = self.open_with(options)?;
        memory.reason = self.original.reason.clone();
        Ok(memory)
    }

    fn compare(
        &self,
        source: &mut Source<'_, '_>,
        space: &MemRam,
        there: &MemManager,
        found: &mut dyn FnMut(Difference) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        // Both at one time, so that what has expired on the way is in neither.
        let now = clock::now();
        source.read(|tx| {
            let tx = &mut tx.reborrow().at(now);
            let mut original = Side { tx, space: space.id };
            let space = there.inner.space;
            let readers = &there.inner.readers;
            readers.snapshot_once(|tx| {
                let tx = &mut tx.reborrow().at(now);
                compare(&mut original, &mut Side { tx, space }, found)
            })
        })
    }

    /// Compares a space with its copy.
    fn verify(
        &self,
        source: &mut Source<'_, '_>,
        space: &MemRam,
        there: &MemManager,
        done: &CopiedSpace,
    ) -> Result<()> {
        let is_merged = self.options.on_conflict != OnConflict::Refuse;
        // Objects and names that need not be there.
        let (mut left_out, mut conflicts) = (done.left_out, done.conflicts.len() as u64);
        let mut wrong = None;
        let _ = self.compare(source, space, there, &mut |difference| {
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
            wrong = self.compare_balances(source, space, there)?;
        }
        wrong.map_or(Ok(()), |why| Err(differs(there, why)))
    }

    /// How the balances of a space and its copy differ, if they do.
    fn compare_balances(
        &self,
        source: &mut Source<'_, '_>,
        space: &MemRam,
        there: &MemManager,
    ) -> Result<Option<String>> {
        let now = clock::now();
        let original = source.read(|tx| {
            let tx = &mut tx.reborrow().at(now);
            balance(&mut Side { tx, space: space.id })
        })?;
        let copy = there.inner.readers.snapshot(|tx| {
            let (tx, space) = (&mut tx.reborrow().at(now), there.inner.space);
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
