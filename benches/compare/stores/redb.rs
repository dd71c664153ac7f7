//! redb: a copy-on-write B-tree in one file, keyed by the 32 bytes of the digest.

use std::path::Path;

use anyhow::{Context, Result};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use sha2::{Digest, Sha256};

use crate::store::{Durability, Store};

/// `Full` is `Durability::Immediate`. For `Normal` there is only `Durability::None`, which
/// promises less than SQLite: a crash of the program loses commits that no immediate commit
/// followed.
pub struct Redb {
    database: Database,
    durability: redb::Durability,
}

const OBJECTS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("objects");

type Digest32 = [u8; 32];

impl Redb {
    fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        let mut tx = self.database.begin_write()?;
        tx.set_durability(self.durability)?;
        let result = work(&tx)?;
        tx.commit()?;
        Ok(result)
    }
}

fn put_all<'a>(tx: &WriteTransaction, contents: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Digest32>> {
    let mut table = tx.open_table(OBJECTS)?;
    let mut digests = Vec::new();
    for content in contents {
        let digest = Digest32::from(Sha256::digest(content));
        if table.get(digest)?.is_none() {
            table.insert(digest, content)?;
        }
        digests.push(digest);
    }
    Ok(digests)
}

impl Store for Redb {
    const NAME: &'static str = "redb";
    type Key = Digest32;

    fn open(dir: &Path, durability: Durability) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let database = Database::create(dir.join("store.redb"))?;
        let setup = database.begin_write()?;
        setup.open_table(OBJECTS)?;
        setup.commit()?;
        let durability = match durability {
            Durability::Full => redb::Durability::Immediate,
            Durability::Normal => redb::Durability::None,
        };
        Ok(Self { database, durability })
    }

    fn put(&self, content: &[u8]) -> Result<Digest32> {
        let digests = self.write(|tx| put_all(tx, std::iter::once(content)))?;
        digests.first().copied().context("one content has one digest")
    }

    fn put_batch(&self, contents: &[Vec<u8>]) -> Result<Vec<Digest32>> {
        self.write(|tx| put_all(tx, contents.iter().map(Vec::as_slice)))
    }

    fn get(&self, digest: &Digest32) -> Result<Vec<u8>> {
        let table = self.database.begin_read()?.open_table(OBJECTS)?;
        let content = table.get(digest)?.context("not stored")?;
        Ok(content.value().to_vec())
    }

    fn get_in_one_read(&self, digests: &[Digest32]) -> Result<usize> {
        let table = self.database.begin_read()?.open_table(OBJECTS)?;
        let mut bytes = 0;
        for digest in digests {
            let content = table.get(digest)?.context("not stored")?.value().to_vec();
            bytes += std::hint::black_box(content).len();
        }
        Ok(bytes)
    }

    fn free(&self, digest: &Digest32) -> Result<()> {
        self.free_batch(std::slice::from_ref(digest))
    }

    fn free_batch(&self, digests: &[Digest32]) -> Result<()> {
        self.write(|tx| {
            let mut table = tx.open_table(OBJECTS)?;
            for digest in digests {
                table.remove(digest)?;
            }
            Ok(())
        })
    }
}
