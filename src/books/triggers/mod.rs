//! Pure functions that run for every [`Change`] and compute what else has to change.
//!
//! A trigger sees the change and adds [`Effects`]; it has no connection. The store writes the
//! effects as one UPDATE per row just before COMMIT. These are the listeners of the original design
//! (there, SQLAlchemy events).

mod counters;
mod free_flags;
mod history;
mod totals;

use super::change::Change;
use super::effects::Effects;
use crate::error::Error;

/// A trigger. An error rolls back the whole unit of work.
pub(crate) type Trigger = fn(&Change<'_>, &mut Effects) -> Result<(), Error>;

/// All triggers, in the order in which they run: first a block's flag, then the totals of its
/// parents, then the counters, then the event that records it all.
pub(crate) const ALL: &[Trigger] = &[free_flags::run, totals::run, counters::run, history::run];

/// The triggers for a repair, which records itself in one event.
pub(crate) const WITHOUT_HISTORY: &[Trigger] = &[free_flags::run, totals::run, counters::run];

#[cfg(test)]
mod tests;
