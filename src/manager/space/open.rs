//! Opening a heap.

use std::path::Path;

use crate::error::Result;
use crate::geometry::Geometry;
use crate::manager::{MemManager, Options};
use crate::models::MemRamId;
use crate::store::FileLocation;

impl MemManager {
    /// Opens the space `main` of a heap file, and creates them if missing: the file with mode 0600,
    /// the space with 1 GiB and the standard geometry.
    ///
    /// # Errors
    /// Those of [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Options for opening a heap.
    pub fn options() -> Options {
        Options::default()
    }

    /// The absolute path of the heap file, with links resolved.
    pub fn path(&self) -> &Path {
        self.inner.location.path()
    }

    /// Whether the file at `path` is a heap that any manager of this process has open, or a side
    /// file of one. Links are followed.
    ///
    /// A program that opens files it did not choose itself, such as all files in a folder, should
    /// skip these, because closing one would drop [the locks](crate#one-file-one-sqlite) of the
    /// heap.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("heap.db");
    /// use heapledger::MemManager;
    ///
    /// let memory = MemManager::open(&path)?;
    /// assert!(MemManager::has_open(&path));
    /// drop(memory);
    /// assert!(!MemManager::has_open(&path));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn has_open(path: impl AsRef<Path>) -> bool {
        FileLocation::of_open_path(path.as_ref()).is_some()
    }

    /// The name that the space had when it was opened. If it may have been [renamed](Self::rename_space) since,
    /// [`Self::memram`] has the current one.
    pub fn space(&self) -> &str {
        &self.inner.name
    }

    /// The key of the space, which is part of the ids of its rows.
    pub fn space_id(&self) -> MemRamId {
        self.inner.space
    }

    /// The sizes of the space.
    pub fn geometry(&self) -> &Geometry {
        &self.inner.geometry
    }
}
