//! Explains why a space is full, fragmented or large on disk, and what helps.

mod examine;
mod finding;
mod on_disk;
mod quotas;
mod rules;

pub use finding::{Figure, Finding, Remedy, Severity};

use crate::error::Result;
use crate::manager::MemManager;

impl MemManager {
    /// Explains why the space is full, fragmented or large on disk, in words and figures, and
    /// which call helps. Findings that need action come first. If none does, the first finding is
    /// `healthy`, with the figures to show it.
    ///
    /// | code | meaning | needs action |
    /// | --- | --- | --- |
    /// | `nearly_full` | 90 % of the capacity is used, and nothing is evicted | yes |
    /// | `nearly_full_file` | seven eighths of the ceiling of the file is used or kept for freeing | yes |
    /// | `evicting` | the space evicts; what went in the last day, and whether that was more than all it can hold | no |
    /// | `quotas` | owners have all of their quota, which needs action, or more than a soft limit | |
    /// | `refused` | the newest events have a refusal of the last day | no |
    /// | `full_disk` | the disk of the file has less than 16 MiB left | yes |
    /// | `nothing_to_carve` | empty arenas reserve the last bytes of the space | yes |
    /// | `garbage` | arenas, or many blocks, are empty | no |
    /// | `scattered` | objects have more pieces than their sizes need | no |
    /// | `sparse_blocks` | the blocks of a class are mostly room | no |
    /// | `free_pages` | at least a quarter of the file, and a mebibyte, is free pages | yes |
    /// | `leftovers` | bytes of uploads that died, of large objects that were freed, or of what has expired, wait to be given back | no |
    /// | `old_uploads` | a large object began to be stored more than a day ago | no |
    /// | `large_log` | the write-ahead log is at its limit: after a large transaction, or because of a reader | yes |
    /// | `log_held` | the write-ahead log is at half of its limit, and somebody reads from it | no |
    /// | `large_file` | the file is twice as large as the stored bytes | no |
    /// | `large_history` | a history without a limit takes a quarter of the file, and a mebibyte | no |
    /// | `healthy` | nothing needs action | no |
    ///
    /// Every number in a sentence is one of the figures of its finding. Whether the books
    /// balance is another question: see [`Self::check`].
    ///
    /// O(classes + arenas + log n) from counters; also O(names) if the space is nearly full, and
    /// O(objects) if it is nearly full without an object of at least 4 KiB, or if the counters do
    /// not tell whether objects are scattered; O(events) if the space evicts.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn doctor(&self) -> Result<Vec<Finding>> {
        let figures = self.examine()?;
        Ok(rules::findings(&figures))
    }
}
