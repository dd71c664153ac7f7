//! What a compaction may do.

use crate::manager::report::sparse::NEARLY_EMPTY;

/// Options of [`MemManager::compact`](crate::MemManager::compact).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactOptions {
    /// An arena is emptied if less than this share of its bytes is used, in percent. Nothing else decides
    /// whether that pays: at most this many bytes are moved for each 100 that the space gets back.
    pub under: u8,
    /// At most this many bytes are moved.
    pub most: Option<u64>,
    /// Whether objects in several pieces are joined wherever they are, not only where one has to be moved anyway.
    pub join: bool,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            under: NEARLY_EMPTY,
            most: None,
            join: false,
        }
    }
}

impl CompactOptions {
    /// Sets the used share, in percent, below which an arena is emptied. The default is 25: at least four bytes
    /// come back for each that is moved. Above 50, hardly any more arenas can be emptied than at 50.
    #[must_use]
    pub fn under(mut self, percent: u8) -> Self {
        self.under = percent;
        self
    }

    /// Sets how many bytes are moved at most.
    #[must_use]
    pub fn most(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.most = bytes.into();
        self
    }

    /// Sets whether objects are joined wherever they are. This has to look at every entry of the ledger.
    #[must_use]
    pub fn join(mut self, join: bool) -> Self {
        self.join = join;
        self
    }

    /// Counts bytes that were moved.
    pub(in crate::manager) fn spend(&mut self, bytes: i64) {
        self.most = self.most.map(|most| most.saturating_sub(bytes.unsigned_abs()));
    }
}
