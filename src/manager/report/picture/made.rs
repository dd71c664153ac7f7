//! The report of a space.

use serde::Serialize;

use super::cells::BlockMap;
use super::classes::ClassUse;
use super::flows::Flows;
use super::holders::{Holders, holders};
use super::options::ReportOptions;
use super::walk::walk;
use crate::clock;
use crate::error::Result;
use crate::manager::report::stats;
use crate::manager::{Finding, MemManager, Stats, UsagePoint};
use crate::models::Timestamp;
use crate::store::queries;
use crate::store::queries::objects::ObjectInfo;

/// A space as a whole, of a size that does not depend on that of the space. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The space.
    pub space: String,
    /// When the report was made.
    pub made_at: Timestamp,
    /// What is only known of the present; `None` if the report shows an earlier moment.
    pub now: Option<ReportNow>,
    /// The size classes at the moment of the report.
    pub classes: Vec<ClassUse>,
    /// The buckets over time, in at most 402 points evenly spaced by events. The last one is the moment of the
    /// report; without a history it is the only one, with event 0.
    pub usage: Vec<UsagePoint>,
    /// The arenas, pools and blocks as cells, at some of these points.
    pub map: BlockMap,
    /// What came and went between these points.
    pub flows: Flows,
}

/// The part of a report that is only known of the present.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReportNow {
    /// The same as [`MemManager::stats`].
    pub stats: Stats,
    /// The largest objects, at most 20. In a space of more than 1,000 objects, only those of at least
    /// 4 KiB are considered. Their values are left out.
    pub largest: Vec<ObjectInfo>,
    /// Whose the objects are, by the tag keys that most holds have.
    pub holders: Vec<Holders>,
    /// The same as [`MemManager::doctor`].
    pub findings: Vec<Finding>,
}

/// How many of the largest objects are listed.
const LARGEST: i64 = 20;

impl MemManager {
    /// The space as a whole, to be looked at: totals, usage over time, a map of its blocks at several
    /// moments, what came and went, who holds the bytes, and what [`Self::doctor`] finds. All of it is summed
    /// up here, so that the report has a bounded size, whether the space has ten objects or millions: at most
    /// 402 points of usage, and as many cells as [`ReportOptions`] allow.
    ///
    /// The map and the flows are reconstructed from the current rows and the events since, as in
    /// [`Self::layout_at`], back to the last opening or repair. O(rows + events + frames · blocks), with
    /// fewer frames in a space of more than 160,000 blocks, and memory for the levels and the cells.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::ReportOptions;
    ///
    /// memory.allocate_bytes(&[7; 3000])?;
    /// let report = memory.report(ReportOptions::default())?;
    /// let last = report.map.frames.last().unwrap();
    /// assert_eq!(last.cells.iter().map(|cell| cell.mem).sum::<u64>(), 3000);
    /// assert_eq!(report.now.unwrap().stats.mem, 3000);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// Like [`Self::layout_at`], but [`Error::HistoryOff`](crate::Error::HistoryOff) only if a moment is given.
    pub fn report(&self, options: ReportOptions) -> Result<Report> {
        // Before the snapshot, which it would otherwise find among the readers of the log.
        let findings = self.doctor()?;
        let memory = self.snapshot()?;
        let made_at = clock::now();
        let walked = memory
            .inner
            .readers
            .snapshot(|tx| walk(&memory, tx, &options, made_at))?;
        let now = match walked.is_now {
            false => None,
            true => Some(ReportNow {
                stats: memory.stats()?,
                largest: largest(&memory)?,
                holders: holders(&memory)?,
                findings,
            }),
        };
        Ok(Report {
            space: memory.space().to_owned(),
            made_at,
            now,
            classes: walked.classes,
            usage: walked.usage,
            map: walked.map,
            flows: walked.flows,
        })
    }
}

fn largest(memory: &MemManager) -> Result<Vec<ObjectInfo>> {
    let space = memory.inner.space;
    memory.inner.readers.snapshot(|tx| {
        let [objects, _] = queries::objects::totals(tx, space)?;
        let largest = stats::largest(tx, space, objects, LARGEST)?;
        let infos = largest.iter().map(|object| queries::objects::info(tx, object.id));
        let infos: Vec<_> = infos.collect::<Result<_>>()?;
        let without_value = |object: ObjectInfo| ObjectInfo { value: None, ..object };
        Ok(infos.into_iter().flatten().map(without_value).collect())
    })
}
