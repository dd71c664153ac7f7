//! The ceiling of what the heap takes on disk.

use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::{DiskUse, MemManager, unsigned};
use crate::models::signed;
use crate::store::least_ceiling;

impl MemManager {
    /// Sets the ceiling of everything that the heap has on disk, with all its spaces: the file, its
    /// write-ahead log (`-wal`) and the index of the log (`-shm`); `None` for none. At no moment do they
    /// take more than this together, whatever is written, and whatever crashes. A unit of work that
    /// would exceed it is refused with [`Error::FileFull`], before it writes a byte too many. Sizes are
    /// those that the file system reports.
    ///
    /// While a unit of work commits, its bytes are in the log and are counted in the file as well, so
    /// the last bytes below the ceiling are only filled by small units. Near the ceiling, the log is
    /// copied and emptied more often, and units do not share commits.
    ///
    /// # The reserve
    /// A sixteenth of the ceiling, at least 256 KiB and at most 16 MiB, is only for what makes room:
    /// freeing, unbinding, releasing, collecting garbage, trimming the history, repairing, and this call.
    /// So these work in a full file. They leave half of it to their log, and work in steps that need less:
    /// freeing an object of up to 8 MiB takes 45 to 120 KB of log (measured), and what has very many
    /// pieces is given back some at a time. If the events of what is freed would fill the reserve, the
    /// oldest ones make room for them, whatever the history keeps. Only a repair of very many rows, a
    /// batch that frees very much, and freeing an object with hundreds of names at once can need more
    /// than there is, and are refused: raise the ceiling, or do it in smaller steps.
    ///
    /// # What it does not bound
    /// Programs that write to the file without this library, such as the `sqlite3` shell; other files,
    /// such as backups, exports, and the copy that [`Self::restore`] makes before it replaces the heap;
    /// and a [`Self::repair`] or a [`Self::batch`] only by refusing it.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// use heapledger::{Error, MemManager};
    ///
    /// # let path = folder.path().join("heap.db");
    /// let memory = MemManager::options().max_file(2 * 1024 * 1024).open(path)?;
    /// let refused = memory.allocate_bytes(&[7; 1024 * 1024]);
    /// assert!(matches!(refused, Err(Error::FileFull { .. })));
    /// assert!(memory.disk_use()?.total() <= 2 * 1024 * 1024);
    ///
    /// memory.set_max_file(Some(8 * 1024 * 1024))?;
    /// memory.allocate_bytes(&[7; 1024 * 1024])?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BadMaxFile`] if it is below what is there plus the reserve, or below 1 MiB. A higher
    /// ceiling than the current one is always possible. What [any write](MemManager#errors) fails with.
    pub fn set_max_file(&self, max_file: Option<u64>) -> Result<DiskUse> {
        let file = self
            .inner
            .location
            .file("a ceiling of the file", "MemManager::resize bounds each space")?;
        let lowers = |old: Option<u64>, new| old.is_none_or(|old| new < old);
        if let Some(wanted) = max_file
            && lowers(self.disk_use()?.max_file, wanted)
        {
            // What is in the log may be in the way of a lower ceiling. If somebody reads it, it stays and counts.
            let (writer, _) = self.group()?;
            writer.empty_log(file)?;
        }
        self.write_apart(|tx| {
            if let Some(wanted) = max_file
                && lowers(tx.read(|tx| tx.max_file())?, wanted)
            {
                let least = least_ceiling(tx.on_disk()?.total());
                if wanted < least {
                    let free = unsigned(tx.read(|tx| tx.file_sizes())?.free);
                    return Err(Error::BadMaxFile { wanted, least, free });
                }
            }
            let max_file = max_file.map(signed);
            tx.apply(Change::CeilingSet { max_file })
        })?;
        self.disk_use()
    }
}
