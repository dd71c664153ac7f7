//! Storing a file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::allocate::store_spooled;
use super::announced::Announced;
use super::hold::HoldWith;
use super::parts::Parts;
use super::spool::{Spooled, rest_of};
use crate::error::{Error, Result};
use crate::manager::{Allocation, MemManager, Phase};
use crate::store::{FileLocation, queries};
use crate::value::Kind;

impl MemManager {
    /// Stores a file from its position to its end. If an object of its size is stored already, or it does not
    /// fit, it is read once to compute its id, before its bytes are stored. A file that by its size can neither
    /// fit nor be already stored is refused unread. After an error the file is at the position where it was before.
    /// Otherwise like [`Self::store_from`].
    ///
    /// # Errors
    /// Also [`Error::Io`] if the file changes between the two reads, or if it belongs to a heap
    /// that this process has open. Closing such a file drops the locks of the heap, so check
    /// [`Self::has_open`] before opening one.
    pub fn store_file<'h>(&self, file: &mut File, hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        self.store_file_with(file, hold, &mut |_, _, _| {})
    }

    /// Like [`Self::store_file`]; `progress` gets the [`Phase`], the bytes hashed and then the bytes
    /// stored, and the total.
    ///
    /// # Errors
    /// Like [`Self::store_file`].
    pub fn store_file_with<'h>(
        &self,
        file: &mut File,
        hold: impl Into<HoldWith<'h>>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        let hold = &hold.into();
        read(file, |file| self.store_rest(file, hold, progress))
    }

    fn store_rest(
        &self,
        file: &mut File,
        hold: &HoldWith<'_>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        self.check_hold(hold)?;
        let size = rest_of(file)?;
        let may_be_stored = self.may_be_stored(size)?;
        let part = self.part_size()?;
        // A file of size 0 may still have content, as in /proc.
        if size <= part as u64 {
            return self.store_stream(file, hold, progress);
        }
        let id = if may_be_stored {
            let memram = self.memram()?;
            let mut spooled = Spooled::file(file, &memram, progress)?;
            let id = spooled.id();
            if self.contains(&id)? || spooled.size() > memram.attainable() {
                let whole = self.whole_object(&id)?;
                return self.write_apart(|tx| store_spooled(tx, &mut spooled, whole, hold));
            }
            Some(id)
        } else {
            None
        };
        let reader: &mut dyn Read = file;
        let mut parts = Parts::new(reader, Kind::Bytes, part);
        parts.fill()?;
        self.upload(Announced::bytes(Some(size), id), &mut parts, hold, None, progress)
    }

    /// Whether content of this size may be stored already, so that it is hashed before its bytes are
    /// stored; always if it does not fit.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if it can neither fit nor be stored.
    fn may_be_stored(&self, size: u64) -> Result<bool> {
        let mut memram = self.memram()?;
        if size > memram.available() {
            self.make_room(size)?;
            memram = self.memram()?;
        }
        let available = memram.attainable();
        if size > available && size > memram.mem {
            return self.refuse_unread(size);
        }
        let space = self.inner.space;
        let is_stored = self
            .inner
            .readers
            .single(|tx| queries::reservations::is_size_stored(tx, space, size))?;
        Ok(is_stored || size > available)
    }
}

/// Runs work that reads a file, unless it belongs to an open heap. After an error the file is where it was, so that a
/// second attempt does not find it at its end and store nothing.
pub(in crate::manager) fn read<R>(file: &mut File, work: impl FnOnce(&mut File) -> Result<R>) -> Result<R> {
    refuse_open_heap(file)?;
    let start = file.stream_position();
    let done = work(file);
    if let (Err(_), Ok(start)) = (&done, start) {
        // If this fails, the next attempt to read the file reports it.
        let _ = file.seek(SeekFrom::Start(start));
    }
    done
}

/// Bytes of a heap file that are read without SQLite may belong to different commits.
fn refuse_open_heap(file: &File) -> Result<()> {
    let heap = file.metadata().ok().and_then(|file| FileLocation::of_open_file(&file));
    heap.map_or(Ok(()), |heap| {
        let why = format!(
            "it belongs to the heap {}, which is open here; store a backup",
            heap.display()
        );
        let refused = std::io::Error::new(std::io::ErrorKind::InvalidInput, why);
        Err(Error::io("the file cannot be stored")(refused))
    })
}
