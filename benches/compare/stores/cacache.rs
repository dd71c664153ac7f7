//! cacache: a file per content, named by its digest, as in npm's cache. It never calls fsync,
//! so it is left out where a write must survive power loss. It verifies every read.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use cacache::Integrity;

use crate::store::{Durability, Store};

/// The folder of the cache.
pub struct Cacache(PathBuf);

impl Store for Cacache {
    const NAME: &'static str = "cacache";
    const HAS_FULL: bool = false;
    const HAS_READ_TX: bool = false;
    const AT_MOST: usize = 200;
    type Key = Integrity;

    fn open(dir: &Path, durability: Durability) -> Result<Self> {
        if durability == Durability::Full {
            bail!("cacache has no durable writes");
        }
        std::fs::create_dir_all(dir)?;
        Ok(Self(dir.to_owned()))
    }

    fn put(&self, content: &[u8]) -> Result<Integrity> {
        Ok(cacache::write_hash_sync(&self.0, content)?)
    }

    fn put_batch(&self, contents: &[Vec<u8>]) -> Result<Vec<Integrity>> {
        contents.iter().map(|content| self.put(content)).collect()
    }

    fn get(&self, key: &Integrity) -> Result<Vec<u8>> {
        Ok(cacache::read_hash_sync(&self.0, key)?)
    }

    fn get_in_one_read(&self, _: &[Integrity]) -> Result<usize> {
        bail!("cacache has no transactions")
    }

    fn free(&self, key: &Integrity) -> Result<()> {
        Ok(cacache::remove_hash_sync(&self.0, key)?)
    }

    fn free_batch(&self, keys: &[Integrity]) -> Result<()> {
        keys.iter().try_for_each(|key| self.free(key))
    }
}
