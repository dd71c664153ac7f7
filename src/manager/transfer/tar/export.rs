//! Exports a space as a tar.

use std::io::Write;

use super::write::{Member, TarWriter, What};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::manager::MemManager;
use crate::manager::transfer::export::{Exported, describe, each_object, each_part, has_tags};
use crate::manager::transfer::manifest::{Line, MANIFEST};
use crate::models::{MemRamId, StoredObject, Timestamp};
use crate::store::ReadTx;

/// Permissions, as in the folder of an export.
const PRIVATE: u32 = 0o600;

impl MemManager {
    /// Writes the contents of the space, in the state of one commit, as a tar: the files that [`Self::export`]
    /// writes into a folder, `manifest.jsonl` first, and then the contents in its order, which is what
    /// [`Self::import_tar`] reads. Unpacked, it is the folder of an export. The time of a file is when its object
    /// was stored, so the same state always gives the same bytes. `progress` gets the bytes of content
    /// written, and the total.
    ///
    /// Contents are hashed as they are written. A tar that was not written to its end lacks the mark of the
    /// end, and is refused. Writing it is one long read of one state, so a slow receiver lets the log of the
    /// heap grow to its limit. O(content), in constant memory except for the names of an object.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// # let other = heapledger::MemManager::open(folder.path().join("other.db"))?;
    /// use heapledger::{ImportOptions, TarStream};
    ///
    /// memory.set("greeting", "hello")?;
    /// let mut tar = Vec::new();
    /// memory.export_tar(&mut tar, &mut |_, _| {})?;
    /// other.import_tar(TarStream::open(&*tar)?, ImportOptions::default(), &mut |_, _| {})?;
    /// assert_eq!(other.get_by_name::<String>("greeting")?.as_deref(), Some("hello"));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written; [`Error::Damaged`] if content does not match its id or is invalid for its
    /// kind: repair first; [`Error::Interrupted`] after [`interrupt`](crate::interrupt); what
    /// [any call](MemManager#errors) fails with.
    pub fn export_tar(&self, to: impl Write, progress: &mut dyn FnMut(u64, u64)) -> Result<Exported> {
        let (space, total) = (self.inner.space, self.memram()?.mem);
        let mut tar = TarWriter::new(to);
        let done = self.inner.readers.snapshot_once(|tx| {
            let mut done = manifest(tx, space, &mut tar)?;
            each_object(tx, space, |tx, object| {
                let file = Line::file_of(&object.object_id.to_hex());
                tar.begin(&private(&file, object.size, object.created_at))?;
                each_part(tx, object, &mut |part| tar.data(part))?;
                tar.end()?;
                done.bytes += object.size;
                progress(done.bytes, total);
                Ok(())
            })?;
            Ok(done)
        })?;
        tar.finish()?;
        Ok(done)
    }
}

fn private(path: &str, size: u64, at: Timestamp) -> Member<'_> {
    Member {
        path: path.as_bytes(),
        what: What::File(size),
        mode: PRIVATE,
        at,
    }
}

/// Writes the manifest, which is read twice: its size comes before it.
fn manifest<W: Write>(tx: &mut ReadTx<'_>, space: MemRamId, tar: &mut TarWriter<W>) -> Result<Exported> {
    let has_tags = has_tags(tx, space)?;
    let (mut done, mut size, mut newest) = (Exported::default(), 0, Timestamp::default());
    let mut measure = |tx: &mut ReadTx<'_>, object: &StoredObject| {
        done.objects += 1;
        newest = newest.max(object.created_at);
        done.names += describe(tx, object, has_tags, &mut |line| {
            size += line.len() as u64;
            Ok(())
        })?;
        Ok(())
    };
    each_object(tx, space, &mut measure)?;
    tar.begin(&private(MANIFEST, size, newest))?;
    each_object(tx, space, |tx, object| {
        describe(tx, object, has_tags, &mut |line| tar.data(line)).map(drop)
    })?;
    tar.end()?;
    Ok(done)
}
