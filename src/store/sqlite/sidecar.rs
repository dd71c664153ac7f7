//! The files that SQLite keeps next to the heap.

use std::path::{Path, PathBuf};

/// The path of such a file: `-wal`, `-shm` or `-journal` is behind the name of the heap.
pub(in crate::store) fn sidecar(heap: &Path, suffix: &str) -> PathBuf {
    let mut path = heap.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
