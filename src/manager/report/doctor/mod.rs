//! Why a space is full, fragmented or large on disk, and what fixes it.

mod examine;
mod finding;
mod rules;

pub use finding::{Figure, Finding, Remedy, Severity};

use crate::error::Result;
use crate::manager::MemManager;

impl MemManager {
    /// Why the space is full, fragmented or large on disk, in words and figures, and
    /// which call fixes it. What asks for action comes first. When nothing does, the
    /// first finding is `healthy`, and shows the figures that say so.
    ///
    /// | code | what it says | asks for action |
    /// | --- | --- | --- |
    /// | `nearly_full` | 90 % of the capacity is used | yes |
    /// | `nothing_to_carve` | arenas that hold nothing keep the last bytes of the space | yes |
    /// | `garbage` | arenas or many blocks hold nothing | no |
    /// | `scattered` | objects have more pieces than their sizes ask for | no |
    /// | `sparse_blocks` | the blocks of a class are mostly room | no |
    /// | `free_pages` | a quarter of the file, and a mebibyte, is free pages | yes |
    /// | `large_log` | the write-ahead log is larger than it may stay | yes |
    /// | `large_file` | the file has twice the bytes that are stored | no |
    /// | `healthy` | nothing asks for action | no |
    ///
    /// Every number in a sentence is one of the figures of its finding. Whether the books
    /// balance is another question: see [`Self::check`].
    ///
    /// O(classes + arenas + log n) from counters; also O(names) when the space is nearly
    /// full, and O(objects) when it is so without any object of 4 KiB, or when the
    /// counters leave open whether objects are scattered.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn doctor(&self) -> Result<Vec<Finding>> {
        let figures = self.examine()?;
        Ok(rules::findings(&figures))
    }
}
