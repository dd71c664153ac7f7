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
    /// | `nothing_to_carve` | empty arenas reserve the last bytes of the space | yes |
    /// | `garbage` | arenas, or many blocks, are empty | no |
    /// | `scattered` | objects have more pieces than their sizes need | no |
    /// | `sparse_blocks` | the blocks of a class are mostly room | no |
    /// | `free_pages` | at least a quarter of the file, and a mebibyte, is free pages | yes |
    /// | `large_log` | the write-ahead log is over its limit | yes |
    /// | `large_file` | the file is twice as large as the stored bytes | no |
    /// | `healthy` | nothing needs action | no |
    ///
    /// Every number in a sentence is one of the figures of its finding. Whether the books
    /// balance is another question: see [`Self::check`].
    ///
    /// O(classes + arenas + log n) from counters; also O(names) if the space is nearly full, and
    /// O(objects) if it is nearly full without an object of at least 4 KiB, or if the counters do
    /// not tell whether objects are scattered.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn doctor(&self) -> Result<Vec<Finding>> {
        let figures = self.examine()?;
        Ok(rules::findings(&figures))
    }
}
