//! Recording events: by whom, why, and which to keep.

use std::time::Duration;

use crate::books::change::Change;
use crate::books::events::Signature;
use crate::books::history_change::HistorySetting;
use crate::books::refusals::Refusal;
use crate::clock;
use crate::error::{Error, Result};
use crate::instruments;
use crate::manager::MemManager;
use crate::manager::objects::reclaim;
use crate::models::{HistoryMode, MemRam};
use crate::store::queries::trim::{Due, Old};
use crate::store::queries::{self};
use crate::store::{Deadline, Group, WriteTx};
use crate::value::ObjectId;

/// Whether a space records events, and which it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum History {
    /// Every event is kept.
    On,
    /// No events are recorded.
    Off,
    /// The newest events are kept. Older ones are replaced by an opening that has their sums. Without
    /// any limit, every event is kept.
    Keep {
        /// Events are kept for this long. Without `bytes`, writes remove older ones, a few at a time.
        /// Together with `bytes`, only [`MemManager::collect_garbage`] does, so that a clock which is
        /// far ahead does not empty a history that is small enough. Nothing is removed by age if the clock
        /// is more than a day ahead of the last write.
        age: Option<Duration>,
        /// They take at most about this many bytes of the file, at least [`Self::LEAST_BYTES`]. The
        /// transaction that exceeds the limit also removes the oldest events.
        bytes: Option<u64>,
    },
}

impl History {
    /// The smallest limit for the bytes of a history.
    pub const LEAST_BYTES: u64 = 4096;

    /// Events are kept for this long.
    pub const fn keep_for(age: Duration) -> Self {
        Self::Keep {
            age: Some(age),
            bytes: None,
        }
    }

    /// The newest events are kept, up to about this many bytes of the file.
    pub const fn keep_bytes(bytes: u64) -> Self {
        Self::Keep {
            age: None,
            bytes: Some(bytes),
        }
    }

    /// The history of a new space of `max_mem` bytes, unless [`crate::Options::history`] sets another:
    /// a sixteenth of its capacity, from 1 to 64 MiB. That is from about 10,000 to 600,000 single
    /// puts.
    pub fn of_new_space(max_mem: u64) -> Self {
        Self::keep_bytes(Self::bytes_of_new_space(max_mem))
    }

    pub(in crate::manager) fn bytes_of_new_space(max_mem: u64) -> u64 {
        const MIB: u64 = 1024 * 1024;
        (max_mem / 16).clamp(MIB, 64 * MIB)
    }

    /// The setting of a space.
    pub(in crate::manager) fn of(space: &MemRam) -> Self {
        match space.history {
            HistoryMode::Off => Self::Off,
            HistoryMode::Keep => Self::Keep {
                age: space.history_keep.map(Duration::from_micros),
                bytes: space.history_max_bytes,
            },
            HistoryMode::On | HistoryMode::Unknown => Self::On,
        }
    }

    pub(in crate::manager) fn setting(self) -> Result<HistorySetting> {
        let (age, bytes) = match self {
            Self::On | Self::Keep { age: None, bytes: None } => return Ok(HistorySetting::ON),
            Self::Off => {
                return Ok(HistorySetting {
                    mode: HistoryMode::Off,
                    ..HistorySetting::ON
                });
            }
            Self::Keep { age, bytes } => (age, bytes),
        };
        let least = Self::LEAST_BYTES;
        if let Some(bytes) = bytes.filter(|&bytes| bytes < least) {
            return Err(Error::BadHistoryLimit { bytes, least });
        }
        Ok(HistorySetting {
            mode: HistoryMode::Keep,
            keep: age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX).max(1)),
            max_bytes: bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        })
    }
}

impl MemManager {
    /// Sets which events are kept. Switching the history on again writes an opening with the current
    /// balance. O(removed events).
    ///
    /// # Errors
    /// [`Error::BadHistoryLimit`]; what [any write](MemManager#errors) fails with. Events are removed
    /// in several transactions; if a later one fails, the setting stays, and later writes or
    /// [`Self::collect_garbage`] remove the rest.
    pub fn set_history(&self, history: History) -> Result<()> {
        let HistorySetting { mode, keep, max_bytes } = history.setting()?;
        let mut more = self.write_apart(|tx| {
            tx.apply(Change::HistorySet { mode, keep, max_bytes })?;
            trim(tx)
        })?;
        while more {
            more = self.write_apart(trim)?;
        }
        Ok(())
    }

    /// The same heap, but its writes are recorded with a reason.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// let id = memory.because("nightly import").allocate("hello")?;
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// A reason of more than 1,024 bytes makes every write fail with [`Error::TooLong`].
    #[must_use = "only writes through the result carry the reason"]
    pub fn because(&self, reason: &str) -> Self {
        let mut memory = self.clone();
        memory.reason = Some(reason.into());
        memory
    }

    /// Runs a unit of work, and records it if it is refused for lack of room.
    ///
    /// Units that share its commit have to wait for it, so it must be short and run no code of the
    /// caller; otherwise use [`Self::write_apart`]. It may run several times.
    pub(in crate::manager) fn write<R>(&self, work: impl FnMut(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        self.write_content(0, work)
    }

    /// The same for a unit that stores up to `bytes` of content.
    pub(in crate::manager) fn write_content<R>(
        &self,
        bytes: u64,
        mut work: impl FnMut(&mut WriteTx<'_>) -> Result<R>,
    ) -> Result<R> {
        let (writer, deadline) = self.group()?;
        let mut end = End::default();
        let result = self.evicting_for(bytes, &mut end, |end| {
            self.with_uses(|uses| {
                writer.write(bytes, self.inner.location.deadline(), |tx| {
                    self.signed(tx, end, |tx| {
                        self.write_uses(tx, uses)?;
                        work(tx)
                    })
                })
            })
        });
        self.after(end, result, deadline)
    }

    /// Runs a unit; if it evicted objects for `bytes` and that did not fit below the ceiling in one transaction, they
    /// are evicted in steps, and the unit runs again.
    fn evicting_for<R>(&self, bytes: u64, end: &mut End, mut unit: impl FnMut(&mut End) -> Result<R>) -> Result<R> {
        let result = unit(end);
        let is_full = matches!(result, Err(Error::FileFull { .. }));
        if is_full && end.evicts && self.evict_in_steps(bytes).unwrap_or(false) {
            return unit(end);
        }
        result
    }

    /// Like [`Self::write`], for work that may take long or wait for other threads.
    pub(in crate::manager) fn write_apart<R>(&self, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        let mut end = End::default();
        let result = self.write_alone(&mut end, work);
        // The work may have taken longer than the timeout.
        let (_, deadline) = self.group()?;
        self.after(end, result, deadline)
    }

    /// Like [`Self::write_apart`], for the last part of content that needs room for up to `bytes`. It may run twice,
    /// and the caller records a refusal.
    pub(in crate::manager) fn write_last<R>(
        &self,
        bytes: u64,
        mut work: impl FnMut(&mut WriteTx<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut end = End::default();
        let result = self.evicting_for(bytes, &mut end, |end| self.write_alone(end, &mut work));
        let result = result.inspect_err(instruments::refusal_on_disk)?;
        let (_, deadline) = self.group()?;
        self.after(end, Ok(result), deadline)
    }

    fn write_alone<R>(&self, end: &mut End, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        let (writer, deadline) = self.group()?;
        self.with_uses(|uses| {
            writer.write_apart(deadline, |tx| {
                self.signed(tx, end, |tx| {
                    self.write_uses(tx, uses)?;
                    work(tx)
                })
            })
        })
    }

    /// Like [`Self::write_apart`], for a step of longer work, of at most the size `most`. If it changes more rows than
    /// the reserve below the ceiling has room for, the size is halved, also for later steps.
    pub(in crate::manager) fn write_step<R>(
        &self,
        most: &mut u64,
        mut work: impl FnMut(&mut WriteTx<'_>, u64) -> Result<R>,
    ) -> Result<R> {
        loop {
            match self.write_apart(|tx| work(tx, *most)) {
                Err(Error::FileFull { .. }) if *most > 1 => *most /= 2,
                done => return done,
            }
        }
    }

    /// Runs a part of longer work, which needs room for up to `bytes`, in a transaction of its own that a later one
    /// syncs. It may run twice. If it is refused, the caller records that.
    pub(in crate::manager) fn write_part<R>(
        &self,
        bytes: u64,
        mut work: impl FnMut(&mut WriteTx<'_>) -> Result<R>,
    ) -> Result<R> {
        let written = self.evicting_for(bytes, &mut End::default(), |end| {
            let (writer, deadline) = self.group()?;
            self.with_uses(|uses| {
                writer.write_unsynced(deadline, |tx| {
                    self.signed(tx, end, |tx| {
                        self.write_uses(tx, uses)?;
                        work(tx)
                    })
                })
            })
        });
        written.inspect_err(instruments::refusal_on_disk)
    }

    /// The writer, and the deadline of a call that begins now.
    pub(in crate::manager) fn group(&self) -> Result<(&Group, Deadline)> {
        let writer = self.inner.writer.as_ref().ok_or(Error::ReadOnly)?;
        self.check_reason()?;
        Ok((writer, self.inner.location.deadline()))
    }

    /// Refuses an overlong reason, because it would be stored with each event.
    pub(in crate::manager) fn check_reason(&self) -> Result<()> {
        let reason = self.reason.as_deref().unwrap_or_default();
        short_enough("a reason", reason)
    }

    fn signed<R>(
        &self,
        tx: &mut WriteTx<'_>,
        end: &mut End,
        work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>,
    ) -> Result<R> {
        tx.sign(self.signature());
        let result = work(tx);
        end.evicts = tx.evicts();
        // Last, so that a part of an upload has renewed its lease before.
        if result.is_ok() {
            reclaim::next(tx)?;
        }
        end.refused = tx.take_refused();
        end.leaves_pieces = tx.leaves_pieces();
        result
    }

    /// Does what follows from a unit, in transactions of its own.
    fn after<R>(&self, end: End, result: Result<R>, deadline: Deadline) -> Result<R> {
        match &result {
            Err(error) => {
                instruments::refusal_on_disk(error);
                let object_id = end.refused.and_then(|refused| refused.object_id);
                let refusal = Refusal::of(error, object_id);
                refusal.map_or(Ok(()), |refusal| self.record_refusal(&refusal, deadline))?;
            }
            // The unit is done; if other writers are in the way now, they give the pieces back.
            Ok(_) if end.leaves_pieces => drop(self.reclaim_all()),
            Ok(_) => {}
        }
        if matches!(result, Ok(_) | Err(Error::OutOfMemory { .. })) {
            self.give_up_abandoned();
        }
        result
    }

    /// Records an error if it is a refusal.
    pub(in crate::manager) fn record_error(&self, error: &Error, object_id: Option<ObjectId>) -> Result<()> {
        let (_, deadline) = self.group()?;
        Refusal::of(error, object_id).map_or(Ok(()), |refusal| self.record_refusal(&refusal, deadline))
    }

    pub(in crate::manager) fn record_refusal(&self, refusal: &Refusal, deadline: Deadline) -> Result<()> {
        let (writer, _) = self.group()?;
        let recorded = instruments::refusal(refusal, || {
            writer.write(0, deadline, |tx| {
                tx.sign(self.signature());
                tx.apply(Change::Refused(refusal.clone()))
            })
        });
        match recorded {
            // The refusal matters more than its record.
            Err(Error::FileFull { .. }) => Ok(()),
            recorded => recorded,
        }
    }

    pub(in crate::manager) fn signature(&self) -> Signature {
        Signature {
            actor: self.inner.actor.clone(),
            reason: self.reason.clone(),
            at: clock::now(),
        }
    }
}

/// How a unit of work ended.
#[derive(Default)]
struct End {
    refused: Option<Refusal>,
    /// Whether it left pieces to give back.
    leaves_pieces: bool,
    /// Whether it evicted something, or would have.
    evicts: bool,
}

/// Limit for a reason or an actor, in bytes, because it is stored with each event.
const MOST_BYTES: usize = 1024;

pub(in crate::manager) fn short_enough(what: &'static str, text: &str) -> Result<()> {
    let (length, most) = (text.len(), MOST_BYTES);
    if length > most {
        return Err(Error::TooLong { what, length, most });
    }
    Ok(())
}

/// Rows of events removed in one transaction.
const PAGE: usize = 4096;

/// Removes events beyond the limits of the space, and returns whether there may be more.
/// O(log n + [`PAGE`]).
pub(in crate::manager) fn trim(tx: &mut WriteTx<'_>) -> Result<bool> {
    let memram = tx.memram()?;
    if memram.history != HistoryMode::Keep {
        return Ok(false);
    }
    let mut due = Due::of(&memram, tx.at(), PAGE);
    if due.before.is_some() && !tx.trusts_clock()? {
        due.before = None;
    }
    let old = tx.read(|tx| queries::trim::old(tx, memram.id, &due))?;
    if let Some(Old { last, bytes, .. }) = old {
        tx.apply(Change::HistoryTrimmed { last, bytes })?;
    }
    Ok(old.is_some_and(|old| old.rows == PAGE))
}
