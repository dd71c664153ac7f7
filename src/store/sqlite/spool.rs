//! Bytes that a unit of work sets aside.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use tempfile::SpooledTempFile;

use super::ceiling::{Ceiling, reserve};
use crate::error::{Error, Result};

/// Up to this many bytes stay in memory; more go to a temporary file next to the heap.
const IN_MEMORY: usize = 1 << 20;

/// Bytes that are written once and then read once. What is on disk counts below the ceiling of the heap.
pub(crate) struct Spool {
    bytes: SpooledTempFile,
    length: u64,
    ceiling: Option<Arc<Ceiling>>,
    /// Bytes of it that count.
    counted: u64,
    may_use_reserve: bool,
}

impl Spool {
    /// For the unit of work that has the write lock of the heap, so that nothing else grows on disk.
    pub(in crate::store) fn new(heap: &Path, ceiling: Arc<Ceiling>, may_use_reserve: bool) -> Self {
        let folder = heap.parent().filter(|folder| !folder.as_os_str().is_empty());
        Self {
            bytes: tempfile::spooled_tempfile_in(IN_MEMORY, folder.unwrap_or(Path::new("."))),
            length: 0,
            ceiling: Some(ceiling),
            counted: 0,
            may_use_reserve,
        }
    }

    /// For a heap that is not in a file: in the folder for temporary files, without a limit.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn anywhere() -> Self {
        Self {
            bytes: tempfile::spooled_tempfile(IN_MEMORY),
            length: 0,
            ceiling: None,
            counted: 0,
            may_use_reserve: false,
        }
    }

    /// # Errors
    /// [`Error::FileFull`]; [`Error::Io`], which begins with `what`.
    pub fn write(&mut self, part: &[u8], what: &'static str) -> Result<()> {
        let length = self.length + part.len() as u64;
        if length > IN_MEMORY as u64 {
            self.count(length)?;
        }
        self.bytes.write_all(part).map_err(Error::io(what))?;
        self.length = length;
        Ok(())
    }

    /// Counts all of it, before it is written.
    fn count(&mut self, length: u64) -> Result<()> {
        let Some(ceiling) = &self.ceiling else { return Ok(()) };
        let more = length - self.counted;
        if let Some(max_file) = ceiling.max_file() {
            let now = ceiling.on_disk();
            let reserve = reserve(max_file) / if self.may_use_reserve { 2 } else { 1 };
            if now.total() + more + reserve > max_file {
                return Err(now.full(more, reserve, max_file));
            }
        }
        ceiling.spool(more);
        self.counted = length;
        Ok(())
    }

    /// Lets it be read from the start.
    pub fn rewind(&mut self) -> std::io::Result<()> {
        self.bytes.seek(SeekFrom::Start(0)).map(drop)
    }
}

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Some(ceiling) = &self.ceiling {
            ceiling.unspool(self.counted);
        }
    }
}
