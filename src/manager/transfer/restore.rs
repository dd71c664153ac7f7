//! Replaces a heap with a backup.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::backup::{sync_folder, synced_size};
use crate::error::{Error, Result};
use crate::manager::report::check::check;
use crate::manager::{CheckOptions, MemManager, Phase};
use crate::store::{FileLocation, Location};
use crate::temporary::{Temporary, folder_of};

/// The result of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Restored {
    /// Bytes of the heap file.
    pub file_size: u64,
}

impl MemManager {
    /// Replaces the heap at `path`, which need not exist, with a copy of the heap file `backup`,
    /// with all its spaces. The old contents are lost, and so is the write-ahead log: if a file is
    /// merely copied over a heap, the old log would destroy it, which is why such a file is refused
    /// ([`Error::ForeignLog`]).
    ///
    /// The copy is checked in full before anything is replaced. `backup` does not change, and may be
    /// a heap in use. O(file).
    ///
    /// # Errors
    /// [`Error::InUse`] if anybody, this process included, has the heap at `path` open;
    /// [`Error::Damaged`] if the backup is; [`Error::NotAHeap`] if either file is something
    /// else; [`Error::NoFile`], [`Error::Io`], [`Error::Database`]. Nothing is changed then.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (heap, backup) = (folder.path().join("heap.db"), folder.path().join("backup.db"));
    /// use heapledger::MemManager;
    ///
    /// let memory = MemManager::open(&heap)?;
    /// memory.backup(&backup)?;
    /// drop(memory);
    /// MemManager::restore(&heap, &backup)?;
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn restore(path: impl AsRef<Path>, backup: impl AsRef<Path>) -> Result<Restored> {
        Self::restore_with(path, backup, &mut |_, _, _| {})
    }

    /// Like [`Self::restore`]; `progress` gets the [`Phase`], the bytes copied and an estimate of the
    /// total, and then those of the check.
    ///
    /// # Errors
    /// As [`Self::restore`].
    pub fn restore_with(
        path: impl AsRef<Path>,
        backup: impl AsRef<Path>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Restored> {
        let named = path.as_ref();
        let (heap, from) = (Location::at(named)?, Location::at(backup.as_ref())?);
        let instead = "copy a heap to it with MemManager::copy_to, or load a dump with pg_restore";
        let heap = heap.file(RESTORING, instead)?;
        let path = heap.path();
        let from = from.file(RESTORING, instead)?;
        from.check()?;
        let cannot = || format!("{} cannot be restored", named.display());
        if path == from.path() {
            let same = std::io::Error::new(std::io::ErrorKind::InvalidInput, "the backup is this file itself");
            return Err(Error::io(cannot())(same));
        }
        let temporary = Temporary::within(folder_of(path), cannot)?;
        drop(temporary.file(COPY)?.map_err(Error::io(cannot()))?);
        let copied = temporary.path(COPY);
        let copying = &mut |done, total| progress(Phase::Copying, done, total);
        let made = from.copy_to(&copied, from.named(), &cannot, copying)?;
        is_whole(&made, progress)?;
        if let Ok(old) = path.metadata() {
            std::fs::set_permissions(&copied, old.permissions()).map_err(Error::io(cannot()))?;
        }
        progress(Phase::Syncing, 0, 0);
        let file_size = synced_size(&copied).map_err(Error::io(cannot()))?;
        let aside = temporary.path("heap.db-wal");
        heap.replace(&aside, || temporary.persist(COPY, path))?;
        sync_folder(folder_of(path)).map_err(Error::io(cannot()))?;
        Ok(Restored { file_size })
    }
}

/// What errors call this, for a heap that is not in a file.
const RESTORING: &str = "a backup that replaces a heap";

/// The temporary name of the heap.
const COPY: &str = "heap.db";

fn is_whole(copy: &FileLocation, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<()> {
    let mut first = None;
    let _ = copy.read(|tx| {
        check(tx, CheckOptions::default(), progress, &mut |violation| {
            first = Some(violation);
            ControlFlow::Break(())
        })
    })?;
    first.map_or(Ok(()), |violation| {
        Err(Error::Damaged {
            what: format!("the backup: {violation}"),
        })
    })
}
