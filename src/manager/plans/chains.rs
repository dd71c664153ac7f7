//! Pieces that a plan moves more than once: a later slice may empty the arena that they were moved to, or join them.

use std::collections::HashMap;

use super::found::State;
use super::work_plan::{PlanMove, WorkPlan};
use crate::models::LedgerId;

/// The slices that move a piece, in their order, for pieces that are moved by several.
pub(in crate::manager) struct Chains(HashMap<LedgerId, Vec<usize>>);

impl Chains {
    /// O(moves).
    pub(super) fn of(plan: &WorkPlan) -> Self {
        let mut slices: HashMap<_, Vec<_>> = HashMap::new();
        for (index, slice) in plan.slices.iter().enumerate() {
            for piece in slice.moves.iter().flat_map(PlanMove::keys) {
                slices.entry(piece).or_default().push(index);
            }
        }
        slices.retain(|_, slices| slices.len() > 1);
        Self(slices)
    }

    fn slices_of(&self, moved: &PlanMove) -> impl Iterator<Item = usize> {
        moved.keys().filter_map(|piece| self.0.get(&piece)).flatten().copied()
    }
}

/// Where a slice is in its plan.
pub(in crate::manager) struct InPlan<'p> {
    pub chains: &'p Chains,
    pub index: usize,
    /// Which of the slices before it are done. `None` if it is its turn: all of them.
    pub done: Option<&'p [bool]>,
}

impl InPlan<'_> {
    /// Whether a slice that comes first, and is not done, moves some of these pieces.
    pub(super) fn waits(&self, moved: &PlanMove) -> bool {
        let is_open = |index: usize| self.done.is_some_and(|done| done.get(index) == Some(&false));
        self.chains.slices_of(moved).any(is_open)
    }

    /// The state of a move whose pieces are neither where they were nor where they would be: it is done if a slice
    /// that follows moves them on.
    pub(super) fn moved_on(&self, moved: &PlanMove) -> Option<State> {
        let follows = self.chains.slices_of(moved).any(|index| index > self.index);
        follows.then_some(State::After)
    }
}
