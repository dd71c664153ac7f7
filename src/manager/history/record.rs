//! Recording events: by whom, why, and how long to keep them.

use std::time::Duration;

use crate::books::change::Change;
use crate::books::events::Signature;
use crate::error::{Error, Result};
use crate::manager::objects::reclaim;
use crate::manager::{MemManager, unsigned};
use crate::models::{HistoryMode, Timestamp};
use crate::store::queries::trim::Old;
use crate::store::queries::{self};
use crate::store::{Deadline, Group, RefusedAllocation, WriteTx};
use crate::value::ObjectId;

/// Whether a space records events, and how long it keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Every event is kept. The default.
    On,
    /// No events are recorded.
    Off,
    /// Events are kept for this long; the next garbage collection replaces older ones with an
    /// opening that has their sums.
    Keep(Duration),
}

impl MemManager {
    /// Sets whether and how long events are kept. Switching the history on again writes an
    /// opening with the current balance. O(removed events).
    ///
    /// # Errors
    /// What [any write](MemManager#errors) fails with. Events are removed in several transactions;
    /// if a later one fails, the setting stays, and the next [`Self::collect_garbage`] removes the
    /// rest.
    pub fn set_history(&self, history: History) -> Result<()> {
        let (mode, keep) = match history {
            History::On => (HistoryMode::On, None),
            History::Off => (HistoryMode::Off, None),
            History::Keep(time) => {
                let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
                (HistoryMode::Keep, Some(micros.max(1)))
            }
        };
        let mut more = self.write_apart(|tx| {
            tx.apply(Change::HistorySet { mode, keep })?;
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

    /// Runs a unit of work, and records it if it is refused for want of room.
    ///
    /// Units that share its commit have to wait for it, so it must be short and run no code of the
    /// caller; otherwise use [`Self::write_apart`].
    pub(in crate::manager) fn write<R>(&self, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        self.write_content(0, work)
    }

    /// The same for a unit that stores up to `bytes` of content.
    pub(in crate::manager) fn write_content<R>(
        &self,
        bytes: u64,
        work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>,
    ) -> Result<R> {
        let (writer, deadline) = self.writer()?;
        let mut end = End::default();
        let result = writer.write(bytes, deadline, |tx| self.signed(tx, &mut end, work));
        self.after(end, result, deadline)
    }

    /// Like [`Self::write`], for work that may take long or wait for other threads.
    pub(in crate::manager) fn write_apart<R>(&self, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        let (writer, deadline) = self.writer()?;
        let mut end = End::default();
        let result = writer.write_apart(deadline, |tx| self.signed(tx, &mut end, work));
        // The work may have taken longer than the timeout.
        let (_, deadline) = self.writer()?;
        self.after(end, result, deadline)
    }

    /// Runs a part of a longer work as a transaction of its own, which a later one syncs. If it is
    /// refused, the caller records that.
    pub(in crate::manager) fn write_part<R>(&self, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        let (writer, deadline) = self.writer()?;
        writer.write_unsynced(deadline, |tx| {
            self.signed(tx, &mut End::default(), |tx| tx.streaming(work))
        })
    }

    /// The writer, and the deadline of a call that begins now.
    pub(in crate::manager) fn writer(&self) -> Result<(&Group, Deadline)> {
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
        // Last, because a part of an upload renews its lease.
        if result.is_ok() {
            reclaim::step_if_due(tx)?;
        }
        end.refused = tx.take_refused();
        end.leaves_pieces = tx.leaves_pieces();
        result
    }

    /// What follows from a unit in transactions of their own.
    fn after<R>(&self, end: End, result: Result<R>, deadline: Deadline) -> Result<R> {
        match &result {
            Err(Error::OutOfMemory { needed, available, .. }) => {
                let object_id = end.refused.and_then(|refused| refused.object_id);
                self.record_refusal(object_id, *needed, *available, deadline)?;
            }
            // The unit is done; if others are in the way now, they give the pieces back.
            Ok(_) if end.leaves_pieces => drop(self.reclaim_all()),
            _ => {}
        }
        result
    }

    pub(in crate::manager) fn record_refused(&self, refused: &RefusedAllocation) -> Result<()> {
        let (_, deadline) = self.writer()?;
        let &RefusedAllocation { needed, available, .. } = refused;
        self.record_refusal(refused.object_id, unsigned(needed), unsigned(available), deadline)
    }

    pub(in crate::manager) fn record_refusal(
        &self,
        object_id: Option<ObjectId>,
        needed: u64,
        available: u64,
        deadline: Deadline,
    ) -> Result<()> {
        let (writer, _) = self.writer()?;
        let signed = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        let recorded = writer.write(0, deadline, |tx| {
            tx.sign(self.signature());
            tx.apply(Change::Refused {
                object_id,
                needed: signed(needed),
                available: signed(available),
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
            at: Timestamp::now(),
        }
    }
}

/// How a unit of work ended.
#[derive(Default)]
struct End {
    refused: Option<RefusedAllocation>,
    /// Whether it left pieces to give back.
    leaves_pieces: bool,
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

/// Events removed in one transaction.
const PAGE: i64 = 4096;

/// Removes events that are too old, and returns whether there may be more. O(log n + [`PAGE`]).
pub(in crate::manager) fn trim(tx: &mut WriteTx<'_>) -> Result<bool> {
    let memram = tx.memram()?;
    let Some(keep) = memram.history_keep else {
        return Ok(false);
    };
    let cutoff = Timestamp::now() - Duration::from_micros(keep);
    let old = tx.read(|tx| queries::trim::old(tx, memram.id, cutoff, PAGE))?;
    if let Some(Old { last, .. }) = old {
        tx.apply(Change::HistoryTrimmed { last })?;
    }
    Ok(old.is_some_and(|old| old.events as i64 == PAGE))
}
