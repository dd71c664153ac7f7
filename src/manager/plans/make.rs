//! Makes a plan, by doing the work in a transaction that is rolled back.

use super::found::living_names;
use super::slice::{carry_out, empty_rows};
use super::text::{FORMAT, VERSION};
use super::totals::WorkTotals;
use super::work_plan::{PlanEvict, PlanFree, PlanSlice, Work, WorkKind, WorkPlan};
use crate::error::Result;
use crate::manager::objects::{reclaim, room};
use crate::manager::report::layout_digest;
use crate::manager::space::collect;
use crate::manager::space::compact;
use crate::manager::space::compact_options::CompactOptions;
use crate::manager::space::eviction::EvictOptions;
use crate::manager::{MemManager, unsigned};
use crate::models::Timestamp;
use crate::store::{ReadTx, Rehearsal, WriteTx, queries};
use crate::value::ObjectId;

/// Objects that are freed in one transaction.
const FREES: usize = 256;
/// A transaction that frees this many bytes is full.
const FREED_BYTES: u64 = 16 << 20;

impl MemManager {
    /// Plans work in every detail: each move, each object that is freed and each row that is removed, in
    /// slices that [`Self::apply`] carries out as they are. If nobody writes in between, applying it has
    /// exactly the [`totals`](WorkPlan::totals) of the plan.
    ///
    /// As with [`Self::plan_free`], the work is really done, in a transaction that is rolled back: nothing is
    /// committed and readers continue, but other writers wait. O(work), and O(rows) for the digest of the
    /// layout; memory for the plan.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::{Work, WorkPlan};
    ///
    /// let id = memory.allocate_bytes(&[7; 100_000])?;
    /// let json = memory.plan_work(&Work::Free(vec![id]))?.to_json();
    /// // Reviewed, kept, and perhaps carried out by another process.
    /// let plan = WorkPlan::from_json(json.as_bytes())?;
    /// let applied = memory.apply(&plan)?;
    /// assert_eq!((applied.totals, applied.totals.arenas), (plan.totals, 1));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotStored`](crate::Error::NotStored) for an object to free; what [`Self::evict`] fails with, for
    /// an eviction; what [any write](MemManager#errors) fails with.
    pub fn plan_work(&self, work: &Work) -> Result<WorkPlan> {
        let (writer, deadline) = self.group()?;
        writer.rehearse(deadline, |rehearsal| {
            Making::new(self, rehearsal, work.kind())?.make(work)
        })
    }

    fn empty_plan(&self, tx: &mut ReadTx<'_>, work: WorkKind) -> Result<WorkPlan> {
        let memram = queries::spaces::get(tx, self.inner.space)?;
        Ok(WorkPlan {
            format: FORMAT.into(),
            version: VERSION,
            work,
            evict: None,
            space: self.space().to_owned(),
            space_created_at: memram.created_at,
            made_at: Timestamp::now(),
            state: layout_digest::digest(tx, self.inner.space)?,
            totals: WorkTotals::default(),
            slices: Vec::new(),
        })
    }
}

/// A plan that is being made.
struct Making<'m, 'r, 'w> {
    memory: &'m MemManager,
    rehearsal: &'r mut Rehearsal<'w>,
    plan: WorkPlan,
}

impl<'m, 'r, 'w> Making<'m, 'r, 'w> {
    fn new(memory: &'m MemManager, rehearsal: &'r mut Rehearsal<'w>, work: WorkKind) -> Result<Self> {
        let plan = rehearsal.unit(|tx| tx.read(|tx| memory.empty_plan(tx, work)))?;
        Ok(Self {
            memory,
            rehearsal,
            plan,
        })
    }

    fn make(mut self, work: &Work) -> Result<WorkPlan> {
        self.reclaim()?;
        match work {
            Work::Gc => {}
            Work::Free(ids) => self.free(ids)?,
            Work::Evict(options) => self.evict(options)?,
            Work::Compact(options) => self.compact(options)?,
        }
        while let Some(slice) = self.unit(|_, tx| empty_rows(tx, collect::PAGE))? {
            self.add(slice)?;
        }
        let mut tx = self.rehearsal.read()?;
        if !tx.is_on_server() {
            let file = tx.file_sizes()?;
            let left = file.after_vacuum();
            self.plan.totals.file_bytes = unsigned(file.bytes - left);
            self.plan.totals.file_size = unsigned(left);
        }
        Ok(self.plan)
    }

    fn free(&mut self, ids: &[ObjectId]) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        let unique: Vec<_> = ids.iter().filter(|id| seen.insert(**id)).collect();
        let mut slice = PlanSlice::default();
        for id in unique {
            slice
                .frees
                .push(self.unit(|memory, tx| tx.read(|tx| memory.planned_free(tx, id)))?);
            if slice.frees.len() >= FREES || unsigned(slice.bytes()) >= FREED_BYTES {
                self.add(std::mem::take(&mut slice))?;
            }
        }
        if !slice.frees.is_empty() {
            self.add(slice)?;
        }
        self.reclaim()
    }

    fn evict(&mut self, options: &EvictOptions) -> Result<()> {
        let victims = self.unit(|memory, tx| {
            // Nobody else writes now.
            let uses = memory.inner.uses.unwritten().uses;
            let plan = tx.read(|tx| memory.planned_eviction(tx, options, 0, &uses))?;
            match plan.fits() {
                true => Ok(plan),
                false => Err(room::refuse(tx, None, options.room)),
            }
        })?;
        self.plan.evict = Some(PlanEvict {
            policy: victims.policy,
            room: victims.size,
        });
        let ids: Vec<_> = victims.victims.iter().map(|victim| victim.id).collect();
        self.free(&ids)
    }

    fn compact(&mut self, options: &CompactOptions) -> Result<()> {
        let mut options = *options;
        loop {
            let slices = self.unit(|memory, tx| tx.read(|tx| compact::round(memory, tx, &options)))?;
            if slices.is_empty() {
                return Ok(());
            }
            for slice in slices {
                options.spend(slice.bytes());
                self.add(slice)?;
            }
        }
    }

    /// Carries a slice out.
    fn add(&mut self, slice: PlanSlice) -> Result<()> {
        let (bytes, evict) = (slice.bytes(), self.plan.evict);
        let done = self.unit(|memory, tx| {
            let done = carry_out(tx, memory.space(), &slice, evict.as_ref(), None)?;
            super::apply::leave_receipt(tx, ObjectId::UNKNOWN, bytes)?;
            // As after every unit of work.
            reclaim::next(tx)?;
            Ok(done)
        })?;
        self.plan.totals.add(&done.unwrap_or_default());
        self.plan.slices.push(slice);
        Ok(())
    }

    /// Gives back what is due, as applying the plan does.
    fn reclaim(&mut self) -> Result<()> {
        let next = |_: &MemManager, tx: &mut WriteTx<'_>| {
            let more = reclaim::next(tx)?;
            reclaim::next(tx)?;
            Ok(more)
        };
        while self.unit(next)? {}
        Ok(())
    }

    fn unit<R>(&mut self, work: impl FnOnce(&MemManager, &mut WriteTx<'_>) -> Result<R>) -> Result<R> {
        let memory = self.memory;
        self.rehearsal.unit(|tx| {
            tx.sign(memory.signature());
            work(memory, tx)
        })
    }
}

impl MemManager {
    fn planned_free(&self, tx: &mut ReadTx<'_>, id: &ObjectId) -> Result<PlanFree> {
        let object = self.scope().find(tx, id)?;
        let names = living_names(tx, object.id)?;
        Ok(PlanFree {
            object_id: *id,
            stored_object_id: object.id,
            size: object.size,
            held: object.held,
            names,
        })
    }
}
