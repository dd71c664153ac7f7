//! Says what was evicted for something that was stored.

use anyhow::Result;
use heapledger::MemManager;

use crate::cli::exit;
use crate::cli::output::text::{Sizes, counted};

/// What a space had evicted before.
pub struct Evicted {
    objects: u64,
    bytes: u64,
}

impl Evicted {
    /// `None` in a space that evicts nothing, so that nothing is read afterwards.
    pub fn before(memory: &MemManager) -> Result<Option<Self>> {
        let memram = memory.memram()?;
        let (objects, bytes) = (memram.evictions, memram.evicted_mem);
        Ok(memram.evict.map(|_| Self { objects, bytes }))
    }

    /// Says what has been evicted since, whoever made it necessary.
    pub fn tell(&self, memory: &MemManager, sizes: Sizes) -> Result<()> {
        let now = memory.memram()?;
        let objects = now.evictions.saturating_sub(self.objects);
        if objects > 0 {
            let bytes = sizes.phrase(now.evicted_mem.saturating_sub(self.bytes));
            exit::note(&format!(
                "evicted {} ({bytes}) to make room; `heapledger log --kind evict` lists them",
                counted(objects, "object")
            ));
        }
        Ok(())
    }
}
