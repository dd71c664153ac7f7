//! heapledger through its public interface.

use std::hint::black_box;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::Result;
use heapledger::{History, MemManager, ObjectId, Options};

use crate::store::{Durability, Growing, Store};

/// heapledger, one space of 1 TiB, standard geometry.
pub struct Heap<V = Usual>(MemManager, PhantomData<V>);

/// How a heap is set up.
pub trait Variant: Send + Sync + 'static {
    const NAME: &'static str;
    const HISTORY: bool = true;

    fn options() -> Options {
        MemManager::options()
    }

    /// Where it is, for a store in `dir`.
    fn place(dir: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(dir)?;
        Ok(dir.join("heap.db"))
    }

    fn discard(dir: &Path) -> Result<()> {
        Ok(std::fs::remove_dir_all(dir)?)
    }
}

/// As it is by default.
pub struct Usual;
/// Without its history.
pub struct NoHistory;
/// Without the file system below SQLite.
pub struct PlainIo;

impl Variant for Usual {
    const NAME: &'static str = "heapledger";
}

impl Variant for NoHistory {
    const NAME: &'static str = "no history";
    const HISTORY: bool = false;
}

impl Variant for PlainIo {
    const NAME: &'static str = super::PLAIN;

    fn options() -> Options {
        MemManager::options().plain_io(true)
    }
}

impl<V: Variant> Heap<V> {
    pub fn bounded(dir: &Path, durability: Durability, max_mem: u64) -> Result<Self> {
        let durability = match durability {
            Durability::Full => heapledger::Durability::Full,
            Durability::Normal => heapledger::Durability::Normal,
        };
        let options = V::options().create(true).max_mem(max_mem).durability(durability);
        let memory = options.open(V::place(dir)?)?;
        if !V::HISTORY {
            memory.set_history(History::Off)?;
        }
        Ok(Self(memory, PhantomData))
    }
}

impl<V: Variant> Store for Heap<V> {
    const NAME: &'static str = V::NAME;
    type Key = ObjectId;

    fn open(dir: &Path, durability: Durability) -> Result<Self> {
        Self::bounded(dir, durability, 1 << 40)
    }

    fn discard(dir: &Path) -> Result<()> {
        V::discard(dir)
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

impl Growing for Heap {
    fn key_of(content: &[u8]) -> ObjectId {
        ObjectId::of_bytes(content)
    }

    fn stats(&self) -> Result<()> {
        black_box(self.0.stats()?);
        Ok(())
    }
}
