//! The form of a plan as text.

use std::collections::HashSet;
use std::hash::Hash;

use serde::Deserialize;

use super::work_plan::{InPool, MoveTo, PlanMove, PlanSlice, WorkKind, WorkPlan};
use crate::error::{PlanError, Result};
use crate::manager::space::compact::MOST_JOINED;
use crate::value::{Hasher, Kind, ObjectId};

/// What every version begins with.
pub(super) const FORMAT: &str = "heapledger plan";
/// The version that is written, and the highest that is read.
pub(super) const VERSION: u64 = 1;

/// The most bytes that a piece can have: those of the largest possible block.
const MOST_PIECE: i64 = 256 << 20;

/// What all versions have in common.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

impl WorkPlan {
    /// The plan as JSON, indented. O(plan).
    pub fn to_json(&self) -> String {
        // Numbers and texts cannot fail to serialise.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads a plan from JSON. It need not be trusted: applying it does nothing that the space does not
    /// allow, and the books balance afterwards. O(plan).
    ///
    /// # Errors
    /// [`PlanError::Unreadable`], [`PlanError::TooNew`].
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let head: Head = serde_json::from_slice(json).map_err(unreadable)?;
        if head.format != FORMAT {
            return Err(unreadable(format_args!("its format is {:?}, not {FORMAT:?}", head.format)).into());
        }
        match head.version {
            VERSION => {}
            0 => return Err(unreadable("there is no version 0").into()),
            version => return Err(PlanError::TooNew { version, most: VERSION }.into()),
        }
        let plan: Self = serde_json::from_slice(json).map_err(unreadable)?;
        plan.check()?;
        Ok(plan)
    }

    /// The SHA-256 of the plan, by which the events of its slices name it. O(plan).
    pub fn digest(&self) -> ObjectId {
        let mut hasher = Hasher::new(Kind::Bytes);
        // The same however the text that it was read from is formatted.
        hasher.update(&serde_json::to_vec(self).unwrap_or_default());
        hasher.finish()
    }

    /// Refuses what no valid plan says.
    pub(super) fn check(&self) -> Result<()> {
        if self.evict.is_some() != (self.work == WorkKind::Evict) {
            return Err(unreadable("`evict` and a `work` that evicts belong together").into());
        }
        for (index, slice) in self.slices.iter().enumerate() {
            slice
                .check()
                .map_err(|why| unreadable(format_args!("slice {}: {why}", index + 1)))?;
        }
        Ok(())
    }
}

impl PlanSlice {
    fn check(&self) -> Result<(), String> {
        let moves = !(self.new_pools.is_empty() && self.new_blocks.is_empty() && self.moves.is_empty());
        if moves && !self.frees.is_empty() {
            return Err("it frees objects and moves others".into());
        }
        if has_twice(&self.blocks) || has_twice(&self.pools) || has_twice(&self.arenas) {
            return Err("it removes something twice".into());
        }
        for block in &self.new_blocks {
            if matches!(block.of, InPool::NewPool(index) if index >= self.new_pools.len()) {
                return Err("a new block is in a new pool that it does not have".into());
            }
        }
        self.moves.iter().try_for_each(|moved| {
            if matches!(moved.to, MoveTo::NewBlock(index) if index >= self.new_blocks.len()) {
                return Err("a piece goes to a new block that it does not have".into());
            }
            moved.check()
        })
    }
}

impl PlanMove {
    fn check(&self) -> Result<(), String> {
        let joins = self.from.len() > 1;
        let sizes = self.from.iter().map(|piece| piece.bytes);
        if self.from.is_empty() || sizes.clone().any(|bytes| !(1..=MOST_PIECE).contains(&bytes)) {
            return Err(format!("a move of pieces of 1 to {MOST_PIECE} bytes was expected"));
        }
        let count = i64::try_from(self.from.len()).ok();
        let end = count.and_then(|count| self.stored_object_id.0.checked_add(self.seq)?.checked_add(count));
        if self.seq < 0 || self.stored_object_id.0 < 0 || end.is_none() || (joins && self.seq != 0) {
            return Err("a move begins with a piece that no object has".into());
        }
        if joins && sizes.fold(0, i64::saturating_add) > MOST_JOINED {
            return Err(format!("pieces of more than {MOST_JOINED} bytes are never joined"));
        }
        Ok(())
    }
}

fn has_twice<I: Eq + Hash>(ids: &[I]) -> bool {
    let mut seen = HashSet::new();
    !ids.iter().all(|id| seen.insert(id))
}

fn unreadable(why: impl std::fmt::Display) -> PlanError {
    PlanError::Unreadable { why: why.to_string() }
}
