//! The interface of a compared store.

use std::path::Path;

use anyhow::Result;

/// What a completed write survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum Durability {
    /// Power loss.
    Full,
    /// A crash of the program.
    Normal,
}

/// A content-addressed store. The key is the SHA-256 of the content, computed within the
/// measured time. Known content is not stored again.
pub trait Store: Send + Sync + Sized + 'static {
    const NAME: &'static str;
    /// Whether a write can survive power loss.
    const HAS_FULL: bool = true;
    /// Whether several reads can share a transaction.
    const HAS_READ_TX: bool = true;
    /// Limit on objects per round, for stores that would take minutes. Figures are per operation,
    /// so they stay comparable.
    const AT_MOST: usize = usize::MAX;

    type Key: Clone + Send + Sync;

    fn open(dir: &Path, durability: Durability) -> Result<Self>;
    /// Removes what `open` created.
    fn discard(dir: &Path) -> Result<()> {
        Ok(std::fs::remove_dir_all(dir)?)
    }
    fn put(&self, content: &[u8]) -> Result<Self::Key>;
    fn put_batch(&self, contents: &[Vec<u8>]) -> Result<Vec<Self::Key>>;
    fn get(&self, key: &Self::Key) -> Result<Vec<u8>>;
    /// Gets all in one read transaction, and returns their total bytes.
    fn get_in_one_read(&self, keys: &[Self::Key]) -> Result<usize>;
    fn free(&self, key: &Self::Key) -> Result<()>;
    fn free_batch(&self, keys: &[Self::Key]) -> Result<()>;
}

/// A store that `growth` measures.
pub trait Growing: Store {
    /// The key of `content`, stored or not.
    fn key_of(content: &[u8]) -> Self::Key;
    /// Adds up all that is stored.
    fn stats(&self) -> Result<()>;
}
