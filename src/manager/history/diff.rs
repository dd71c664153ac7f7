//! Differences between two moments of a space, or between two spaces.

mod found;
mod merge;
mod rewind;

pub use found::{ClassDiff, Diff, ObjectSize};

use found::{Classes, Side};
use merge::merge;
use rewind::Rewind;

use crate::error::Result;
use crate::manager::{MemManager, Moment};
use crate::store::queries;
use crate::store::queries::events;

impl MemManager {
    /// The difference between two moments, computed from the events between them. If `to` is
    /// before `from`, objects added in between count as freed. O(events since the earlier
    /// moment); memory for the objects that differ.
    ///
    /// # Errors
    /// Like [`Self::layout_at`].
    pub fn diff(&self, from: Moment, to: Moment) -> Result<Diff> {
        self.inner.readers.snapshot(|tx| {
            let (first, second) = (self.mark(tx, from)?.id, self.mark(tx, to)?.id);
            let (earlier, moment) = if first < second { (first, from) } else { (second, to) };
            let now = queries::spaces::classes(tx, self.inner.space)?;
            let mut rewind = Rewind::new(now, first.max(second));
            events::each_back_to(tx, self.inner.space, earlier, |event| rewind.undo(&event, moment))?;
            let diff = rewind.diff();
            Ok(if first <= second { diff } else { diff.reversed() })
        })
    }

    /// The difference between the current state of this space and that of another manager's
    /// space, in another file or in the same one. O(entries of both); memory for the objects
    /// that differ.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) on either manager fails with; [`crate::Error::Reentered`] if both
    /// are the same [`Self::snapshot`].
    pub fn diff_files(&self, other: &Self) -> Result<Diff> {
        let (one, two) = (&self.inner, &other.inner);
        one.readers.snapshot(|before| {
            two.readers.snapshot(|after| {
                let mut classes = Classes::default();
                classes.add(queries::spaces::classes(before, one.space)?, Side::Before);
                classes.add(queries::spaces::classes(after, two.space)?, Side::After);
                let mut diff = merge(before, one.space, after, two.space)?;
                diff.classes = classes.0.into_values().collect();
                Ok(diff.sorted())
            })
        })
    }
}
