//! heapledger through its public interface.

use std::hint::black_box;
use std::path::Path;

use anyhow::Result;
use heapledger::{History, MemManager, ObjectId};

use crate::store::{Durability, Growing, Store};

/// heapledger, one space of 1 TiB, standard geometry; with its history, which is the
/// default, or without.
pub struct Heap<const HISTORY: bool = true>(MemManager);

impl<const HISTORY: bool> Heap<HISTORY> {
    pub fn bounded(dir: &Path, durability: Durability, max_mem: u64) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let durability = match durability {
            Durability::Full => heapledger::Durability::Full,
            Durability::Normal => heapledger::Durability::Normal,
        };
        let options = MemManager::options().max_mem(max_mem).durability(durability);
        let memory = options.open(dir.join("heap.db"))?;
        if !HISTORY {
            memory.set_history(History::Off)?;
        }
        Ok(Self(memory))
    }
}

impl<const HISTORY: bool> Store for Heap<HISTORY> {
    const NAME: &'static str = if HISTORY { "heapledger" } else { "no history" };
    type Key = ObjectId;

    fn open(dir: &Path, durability: Durability) -> Result<Self> {
        Self::bounded(dir, durability, 1 << 40)
    }

    fn put(&self, content: &[u8]) -> Result<ObjectId> {
        Ok(self.0.allocate_bytes(content)?)
    }

    fn put_batch(&self, contents: &[Vec<u8>]) -> Result<Vec<ObjectId>> {
        Ok(self
            .0
            .batch(|b| contents.iter().map(|content| b.allocate_bytes(content)).collect())?)
    }

    fn get(&self, id: &ObjectId) -> Result<Vec<u8>> {
        Ok(self.0.get_bytes(id)?)
    }

    fn get_in_one_read(&self, ids: &[ObjectId]) -> Result<usize> {
        Ok(self
            .0
            .read(|s| ids.iter().map(|id| s.get_bytes(id).map(|content| content.len())).sum())?)
    }

    fn free(&self, id: &ObjectId) -> Result<()> {
        self.0.free(id)?;
        Ok(())
    }

    fn free_batch(&self, ids: &[ObjectId]) -> Result<()> {
        Ok(self.0.batch(|b| ids.iter().try_for_each(|id| b.free(id).map(drop)))?)
    }
}

impl Growing for Heap<true> {
    fn key_of(content: &[u8]) -> ObjectId {
        ObjectId::of_bytes(content)
    }

    fn stats(&self) -> Result<()> {
        black_box(self.0.stats()?);
        Ok(())
    }
}
