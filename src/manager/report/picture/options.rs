//! What a report covers, and how large it may be.

use crate::manager::Moment;

/// Options of [`MemManager::report`](crate::MemManager::report).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportOptions {
    /// The moment that it shows; `None` for now.
    pub at: Option<Moment>,
    /// Where its history begins; `None` for as early as it is known.
    pub since: Option<Moment>,
    /// About how many cells the map has at most.
    pub cells: usize,
    /// The most moments at which it shows the space.
    pub frames: usize,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            at: None,
            since: None,
            cells: 4096,
            frames: 200,
        }
    }
}

impl ReportOptions {
    /// Sets the moment that the report shows; the default is now.
    #[must_use]
    pub fn at(mut self, moment: impl Into<Option<Moment>>) -> Self {
        self.at = moment.into();
        self
    }

    /// Sets where the history of the report begins. The default is the last opening or repair, and it never
    /// begins before that. An earlier time means the same; an earlier event is refused.
    #[must_use]
    pub fn since(mut self, moment: impl Into<Option<Moment>>) -> Self {
        self.since = moment.into();
        self
    }

    /// Sets about how many cells the map has at most. The default is 4,096.
    #[must_use]
    pub fn cells(mut self, cells: usize) -> Self {
        self.cells = cells;
        self
    }

    /// Sets at how many moments the report shows the space at most. The default is 200. With many cells there
    /// are fewer: at most 262,144 cells in all, but at least two frames.
    #[must_use]
    pub fn frames(mut self, frames: usize) -> Self {
        self.frames = frames;
        self
    }
}
