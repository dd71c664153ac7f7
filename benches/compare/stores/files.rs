//! Plain files: the digest is the name, in 16 folders. A durable put writes a
//! temporary file, syncs it, renames it and syncs the folder; a batch syncs each
//! folder once.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::store::{Durability, Store};

/// The folder of the files.
pub struct Files {
    root: PathBuf,
    durability: Durability,
    temporary: AtomicU64,
}

impl Files {
    fn path_of(&self, digest: &str) -> Result<(PathBuf, PathBuf)> {
        let (shard, name) = digest.split_at_checked(1).context("a digest has 64 digits")?;
        let folder = self.root.join(shard);
        let path = folder.join(name);
        Ok((folder, path))
    }

    /// Moves the file to its place and returns the folder that is still to be synced.
    fn place(&self, content: &[u8]) -> Result<(String, Option<PathBuf>)> {
        let digest = const_hex::encode(Sha256::digest(content));
        let (folder, path) = self.path_of(&digest)?;
        if path.exists() {
            return Ok((digest, None));
        }
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.root.join(format!("temporary-{number}"));
        let mut file = File::create_new(&temporary)?;
        file.write_all(content)?;
        if self.durability == Durability::Full {
            file.sync_all()?;
        }
        fs::rename(&temporary, &path)?;
        Ok((digest, Some(folder)))
    }

    fn sync<'a>(&self, folders: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
        if self.durability == Durability::Full {
            for folder in folders {
                File::open(folder)?.sync_all()?;
            }
        }
        Ok(())
    }
}

impl Store for Files {
    const NAME: &'static str = "files";
    const HAS_READ_TX: bool = false;
    const AT_MOST: usize = 200;
    type Key = String;

    fn open(dir: &Path, durability: Durability) -> Result<Self> {
        for shard in 0..16 {
            fs::create_dir_all(dir.join(format!("{shard:x}")))?;
        }
        Ok(Self {
            root: dir.to_owned(),
            durability,
            temporary: AtomicU64::new(0),
        })
    }

    fn put(&self, content: &[u8]) -> Result<String> {
        let (digest, folder) = self.place(content)?;
        self.sync(&folder)?;
        Ok(digest)
    }

    fn put_batch(&self, contents: &[Vec<u8>]) -> Result<Vec<String>> {
        let mut digests = Vec::new();
        let mut folders = BTreeSet::new();
        for content in contents {
            let (digest, folder) = self.place(content)?;
            digests.push(digest);
            folders.extend(folder);
        }
        self.sync(&folders)?;
        Ok(digests)
    }

    fn get(&self, digest: &String) -> Result<Vec<u8>> {
        Ok(fs::read(self.path_of(digest)?.1)?)
    }

    fn get_in_one_read(&self, _: &[String]) -> Result<usize> {
        bail!("files have no transactions")
    }

    fn free(&self, digest: &String) -> Result<()> {
        self.free_batch(std::slice::from_ref(digest))
    }

    fn free_batch(&self, digests: &[String]) -> Result<()> {
        let mut folders = BTreeSet::new();
        for digest in digests {
            let (folder, path) = self.path_of(digest)?;
            fs::remove_file(path)?;
            folders.insert(folder);
        }
        self.sync(&folders)
    }
}
