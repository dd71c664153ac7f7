//! What can go wrong with written plans.

use std::fmt;

use super::figures::grouped;

/// Why a [written plan](crate::WorkPlan) cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The text is not a plan, or one that nobody can have made.
    #[error("this is not a plan: {why}")]
    Unreadable {
        /// What is wrong.
        why: String,
    },
    /// The plan has a version that this one cannot read.
    #[error(
        "the plan has version {}, and this version of heapledger reads up to {most}",
        grouped(*.version)
    )]
    TooNew {
        /// The version of the plan.
        version: u64,
        /// The highest version that can be read.
        most: u64,
    },
    /// The plan is for another space.
    #[error("the plan is for space {planned:?}, not for {space:?}: {why}")]
    OtherSpace {
        /// That space.
        planned: String,
        /// The open one.
        space: String,
        /// How they differ.
        why: String,
    },
    /// What the plan depends on has changed since it was made. Slices that were carried out before
    /// that stay done; nothing of this slice or of those after it is done.
    #[error(fmt = stale)]
    Stale {
        /// Which slice, from 1; 0 if it is not about a single one.
        slice: u64,
        /// Slices of the plan.
        slices: u64,
        /// How many of them are done.
        done: u64,
        /// What has changed.
        why: String,
    },
}

impl PlanError {
    /// What to do, in terms of the library.
    pub(super) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Stale { .. } => Some("make another plan with `MemManager::plan_work`"),
            _ => None,
        }
    }
}

fn stale(slice: &u64, slices: &u64, done: &u64, why: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("the plan is stale: ")?;
    if *slice > 0 {
        write!(f, "slice {} of {}: ", grouped(*slice), grouped(*slices))?;
    }
    match done {
        0 => write!(f, "{why}; nothing was changed"),
        done => write!(f, "{why}; {} of {} slices are done", grouped(*done), grouped(*slices)),
    }
}
