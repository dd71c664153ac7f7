//! Pure functions that run for every [`Change`] inside its transaction and say what
//! else has to change with it.
//!
//! A trigger sees the change and gathers [`Effects`]; it has no connection. The store
//! writes the effects as one UPDATE per touched row just before COMMIT. These are the
//! listeners of the original design (SQLAlchemy's `before_flush` events there).

mod counters;
mod free_flags;
mod history;
mod totals;

use super::change::Change;
use super::effects::Effects;
use crate::error::Error;

/// One trigger. An error undoes the whole unit of work.
pub(crate) type Trigger = fn(&Change<'_>, &mut Effects) -> Result<(), Error>;

/// All triggers, in the order in which they run: a block's flag first, then what
/// adds up its parents, then the counters, then the event that tells of it all.
pub(crate) const ALL: &[Trigger] = &[free_flags::run, totals::run, counters::run, history::run];

/// What keeps the totals right, for repair: its history is one event of its own.
pub(crate) const WITHOUT_HISTORY: &[Trigger] = &[free_flags::run, totals::run, counters::run];

#[cfg(test)]
mod tests;
