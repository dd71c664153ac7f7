//! Copies the whole file while it is in use.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result, TransferError};
use crate::manager::{CheckOptions, MemManager, Phase};
use crate::store::queries::audit::Violation;
use crate::temporary::{Temporary, folder_of};

/// The result of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Backup {
    /// Bytes of the backup.
    pub file_size: u64,
    /// Violations found in the backup, because the heap itself was damaged; at most 1,000. Empty
    /// for a backup of an intact heap.
    pub violations: Vec<Violation>,
}

impl MemManager {
    /// Copies the whole file with all its spaces to `to`, in the state of one commit; writers and
    /// readers continue. The copy is an ordinary heap file with mode 0600 and without free pages. It
    /// is checked in full, and appears under its name only when it is complete and on disk. Until
    /// then it is in a folder `.heapledger-…` next to `to`; if the process is killed, the next
    /// backup to the same folder removes the remains.
    ///
    /// O(file). While it runs, the write-ahead log cannot shrink.
    ///
    /// # Errors
    /// [`TransferError::Exists`]: nothing is overwritten. [`Error::Io`] and [`Error::Database`]
    /// if the copy cannot be written; [`Error::Interrupted`] after
    /// [`interrupt`](crate::interrupt); what [any call](MemManager#errors) fails with.
    ///
    /// # Through the sqlite3 shell
    /// `.dump` writes the rows but not the marks of a heap file, so set those first:
    ///
    /// ```sh
    /// sqlite3 heap.db .dump > heap.sql
    /// sqlite3 new.db 'PRAGMA auto_vacuum = INCREMENTAL' 'PRAGMA application_id = 1749836903' \
    ///     "PRAGMA user_version = $(sqlite3 heap.db 'PRAGMA user_version')" \
    ///     'PRAGMA journal_mode = WAL' '.read heap.sql'
    /// ```
    ///
    /// [`Self::check`] of the new file shows whether it is complete.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// # let to = folder.path().join("backup.db");
    /// assert!(memory.backup(&to)?.violations.is_empty());
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<Backup> {
        self.backup_with(to, &mut |_, _, _| {})
    }

    /// Like [`Self::backup`]; `progress` gets the [`Phase`], the bytes copied and an estimate of the
    /// total, and then those of the check.
    ///
    /// # Errors
    /// Like [`Self::backup`].
    pub fn backup_with(&self, to: impl AsRef<Path>, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<Backup> {
        let to = to.as_ref();
        let heap = self.inner.location.file(
            "a copy of the file",
            "copy the heap with MemManager::copy_to, or dump its schema with pg_dump",
        )?;
        // Checked again when the copy gets its name; this avoids useless work.
        if to.symlink_metadata().is_ok() {
            return Err(TransferError::Exists { path: to.to_owned() }.into());
        }
        let cannot = || format!("{} cannot be written", to.display());
        let temporary = Temporary::within(folder_of(to), cannot)?;
        let copy = temporary.path(COPY);
        drop(temporary.file(COPY)?.map_err(Error::io(cannot()))?);
        let copying = &mut |done, total| progress(Phase::Copying, done, total);
        heap.copy_to(&copy, to, &cannot, copying)?;
        let violations = self.check_copy(&copy, progress)?;
        progress(Phase::Syncing, 0, 0);
        let file_size = synced_size(&copy).map_err(Error::io(cannot()))?;
        temporary.persist_new(COPY, to)?.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => TransferError::Exists { path: to.to_owned() }.into(),
            _ => Error::io(cannot())(error),
        })?;
        sync_folder(folder_of(to)).map_err(Error::io(cannot()))?;
        Ok(Backup { file_size, violations })
    }

    fn check_copy(&self, copy: &Path, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<Vec<Violation>> {
        let open = |space: &str| MemManager::options().space(space).read_only(true).open(copy);
        let copy = match open(self.space()) {
            // It may have been renamed.
            Err(Error::UnknownSpace { known, .. }) if !known.is_empty() => open(known.first().map_or("", |name| name))?,
            opened => opened?,
        };
        let mut violations = Vec::new();
        copy.check_each(CheckOptions::default(), progress, &mut |violation| {
            violations.push(violation);
            if violations.len() < MOST_VIOLATIONS {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(violations)
    }
}

/// The temporary name of a backup.
const COPY: &str = "heap.db";

/// Violations reported at most.
const MOST_VIOLATIONS: usize = 1000;

/// Syncs a copy, and returns its bytes. SQLite has closed it, and nobody else has it open, so this drops nobody's
/// locks.
pub(super) fn synced_size(copy: &Path) -> std::io::Result<u64> {
    let file = File::open(copy)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// Syncs a folder, so that a new name in it survives power loss.
pub(in crate::manager) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
