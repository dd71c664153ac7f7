//! The side files of SQLite next to the heap.

use std::path::{Path, PathBuf};

/// The path of a side file: the name of the heap followed by `-wal`, `-shm` or `-journal`.
pub(in crate::store) fn sidecar(heap: &Path, suffix: &str) -> PathBuf {
    let mut path = heap.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
