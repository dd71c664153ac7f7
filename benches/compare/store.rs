//! What a store must be able to do to be compared.

use std::path::Path;

use anyhow::Result;

/// What a finished write survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum Durability {
    /// Power loss.
    Full,
    /// A crash of the program.
    Normal,
}

/// A content-addressed store: the SHA-256 of the content is its key, and the store
/// computes it on the clock. A content that is there already is not stored again.
pub trait Store: Send + Sync + Sized + 'static {
    const NAME: &'static str;
    /// Can a write be made to survive power loss?
    const HAS_FULL: bool = true;
    /// Can several reads share one transaction?
    const HAS_READ_TX: bool = true;
    /// Most objects in a round, for stores that would take minutes. What is reported is the
    /// cost of one operation, so the figures stay comparable.
    const AT_MOST: usize = usize::MAX;

    type Key: Clone + Send + Sync;

    fn open(dir: &Path, durability: Durability) -> Result<Self>;
    fn put(&self, content: &[u8]) -> Result<Self::Key>;
    fn put_batch(&self, contents: &[Vec<u8>]) -> Result<Vec<Self::Key>>;
    fn get(&self, key: &Self::Key) -> Result<Vec<u8>>;
    /// Gets each, all in one read transaction, and returns how many bytes there were.
    fn get_in_one_read(&self, keys: &[Self::Key]) -> Result<usize>;
    fn free(&self, key: &Self::Key) -> Result<()>;
    fn free_batch(&self, keys: &[Self::Key]) -> Result<()>;
}

/// A store whose growth is watched.
pub trait Growing: Store {
    /// The key of `content`, which need not be stored.
    fn key_of(content: &[u8]) -> Self::Key;
    /// Adds up all that is stored.
    fn stats(&self) -> Result<()>;
}
