//! Carries a plan out.

use serde::Serialize;

use super::chains::{Chains, InPlan};
use super::found::Found;
use super::slice::carry_out;
use super::totals::WorkTotals;
use super::work_plan::WorkPlan;
use crate::books::change::Change;
use crate::error::{Error, PlanError, Result};
use crate::manager::report::layout_digest;
use crate::manager::{MemManager, Phase};
use crate::store::{ReadTx, WriteTx, queries};
use crate::value::ObjectId;

/// What applying a plan has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Applied {
    /// The digest of the plan, by which the events of its slices name it.
    pub plan: ObjectId,
    /// Slices that this call has carried out.
    pub slices: u64,
    /// Slices that were done before.
    pub done_before: u64,
    /// What this call has done.
    #[serde(flatten)]
    pub totals: WorkTotals,
    /// Free bytes of the file and its log that could not be given back yet; see
    /// [`Collected::held_bytes`](crate::Collected::held_bytes).
    pub held_bytes: u64,
}

impl MemManager {
    /// Carries a plan out, exactly as it is: each slice in a transaction of its own, between which others can
    /// write, and then gives the free pages of the file back. Each slice leaves an event `apply` as its
    /// receipt.
    ///
    /// If the process is killed, another call with the same plan continues: a slice that is done is
    /// recognised and left alone. O(plan · log n).
    ///
    /// # Errors
    /// [`PlanError::Stale`] if an object that the plan frees or moves, or a row that it removes, is no longer as
    /// it was when the plan was made, or if there is no longer room where something should go. All of the plan
    /// is compared before its first slice, and each slice again when it is its turn; pieces that an earlier slice
    /// moves, only then. What others do with other objects does not matter. [`PlanError::OtherSpace`]; [`PlanError::Unreadable`]; what
    /// [any write](MemManager#errors) fails with. Slices that are done stay done.
    pub fn apply(&self, plan: &WorkPlan) -> Result<Applied> {
        self.apply_with(plan, false, &mut |_, _, _| {})
    }

    /// Like [`Self::apply`]. If `exact`, any difference from the layout that the plan was made for makes it
    /// stale: nobody may have stored or freed anything since. `progress` gets the [`Phase`], the slices that
    /// are done and their total, then the bytes of the file given back and their total.
    ///
    /// # Errors
    /// Like [`Self::apply`].
    pub fn apply_with(
        &self,
        plan: &WorkPlan,
        exact: bool,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Applied> {
        plan.check()?;
        // Otherwise what a plan removes may not be empty yet.
        self.reclaim_all()?;
        self.collect_due(false)?;
        let chains = Chains::of(plan);
        let done = self
            .inner
            .readers
            .snapshot(|tx| self.compare(tx, plan, &chains, exact))?;
        let digest = plan.digest();
        let slices = plan.slices.len() as u64;
        let mut applied = Applied {
            plan: digest,
            slices: 0,
            done_before: 0,
            totals: WorkTotals::default(),
            held_bytes: 0,
        };
        for (number, slice) in (1..).zip(&plan.slices) {
            progress(Phase::Applying, number - 1, slices);
            let in_plan = InPlan {
                chains: &chains,
                index: number as usize - 1,
                done: None,
            };
            let totals = self.write_apart(|tx| {
                let totals = carry_out(tx, self.space(), slice, plan.evict.as_ref(), Some(&in_plan))?;
                if totals.is_some() {
                    leave_receipt(tx, digest, slice.bytes())?;
                }
                Ok(totals)
            });
            let before = done.max(applied.done_before) + applied.slices;
            match totals.map_err(|error| numbered(error, number, slices, before))? {
                Some(totals) => {
                    applied.slices += 1;
                    applied.totals.add(&totals);
                }
                None => applied.done_before += 1,
            }
        }
        let shrunk = self.shrink(progress)?;
        applied.totals.file_bytes = shrunk.file_bytes;
        applied.totals.file_size = shrunk.file_size;
        applied.held_bytes = shrunk.held_bytes;
        Ok(applied)
    }

    /// Compares a plan with the space, and returns how many of its slices are done.
    fn compare(&self, tx: &mut ReadTx<'_>, plan: &WorkPlan, chains: &Chains, exact: bool) -> Result<u64> {
        let memram = queries::spaces::get(tx, self.inner.space)?;
        if plan.space != memram.name || plan.space_created_at != memram.created_at {
            let why = match plan.space == memram.name {
                true => format!("that one was created at {}", plan.space_created_at),
                false => "it names another".into(),
            };
            return Err(PlanError::OtherSpace {
                planned: plan.space.clone(),
                space: memram.name,
                why,
            }
            .into());
        }
        let slices = plan.slices.len() as u64;
        let stale = |slice, done, why| {
            Error::from(PlanError::Stale {
                slice,
                slices,
                done,
                why,
            })
        };
        if exact && layout_digest::digest(tx, self.inner.space)? != plan.state {
            return Err(stale(0, 0, "the layout is not the one that it was made for".into()));
        }
        let (mut are_done, mut changed) = (Vec::new(), None);
        for (index, slice) in plan.slices.iter().enumerate() {
            let in_plan = InPlan {
                chains,
                index,
                done: Some(&are_done),
            };
            let found = Found::of(tx, self.inner.space, slice, plan.evict.as_ref(), Some(&in_plan))?;
            are_done.push(matches!(found, Found::Done));
            if let Found::Changed(why) = found {
                changed = changed.or(Some((index as u64 + 1, why)));
            }
        }
        let done = are_done.iter().filter(|is_done| **is_done).count() as u64;
        match changed {
            Some((slice, why)) => Err(stale(slice, done, why)),
            None => Ok(done),
        }
    }
}

/// Records that a slice of a plan was carried out.
pub(super) fn leave_receipt(tx: &mut WriteTx<'_>, plan: ObjectId, bytes: i64) -> Result<()> {
    tx.apply(Change::PlanApplied { plan, bytes })
}

/// An error with the numbers of its slice.
fn numbered(error: Error, slice: u64, slices: u64, done: u64) -> Error {
    match error {
        Error::Plan(PlanError::Stale { why, .. }) => PlanError::Stale {
            slice,
            slices,
            done,
            why,
        }
        .into(),
        error => error,
    }
}
