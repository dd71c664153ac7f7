//! What several errors have in common, for callers who do the same about them.

use super::{Error, ServerError};

impl Error {
    /// Whether there is no room: in the space, within the quota of an owner, in carved levels or in the file.
    /// Nothing was changed, and the same call works once enough has been freed.
    ///
    /// ```
    /// use heapledger::{Hold, MemManager};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let memory = MemManager::options().max_mem(64 * 1024).open(folder.path().join("heap.db"))?;
    /// let old = memory.store_bytes(&[1; 40_000], Hold::Anonymous)?.id;
    /// let new = [2; 40_000];
    /// match memory.store_bytes(&new, Hold::Anonymous) {
    ///     Err(error) if error.is_out_of_room() => {
    ///         memory.free(&old)?;
    ///         memory.store_bytes(&new, Hold::Anonymous)?;
    ///     }
    ///     stored => panic!("{stored:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_out_of_room(&self) -> bool {
        matches!(
            self,
            Self::OutOfMemory { .. } | Self::QuotaExceeded(_) | Self::NoRoom { .. } | Self::FileFull { .. }
        )
    }

    /// Whether others were in the way, or a connection was lost, and nothing was changed: the same call may work
    /// a moment later.
    ///
    /// [`ServerError::CommitUnknown`] is not among these, because the call may have worked, nor is
    /// [`ServerError::Unreachable`], because a wrong password is refused each time.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::LogHeld(_)
                | Self::ChangedWhileRead
                | Self::Server(ServerError::Lost { .. } | ServerError::Moved { .. } | ServerError::Conflict { .. })
        )
    }
}
