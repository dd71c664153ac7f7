//! Storing an object piece by piece, as it is made.

use std::io::{self, Write};

use super::allocate::store_as;
use super::announced::Announced;
use super::hold::HoldWith;
use super::parts::Part;
use super::upload::Upload;
use crate::error::{Error, Result};
use crate::manager::{Allocation, MemManager};
use crate::temporary::{Storing, go_on};
use crate::value::{Encoded, Kind};

/// Stores what is written to it, in constant memory; made by [`MemManager::writer`].
///
/// Nobody sees the object before [`finish`](Self::finish). If it is dropped before, nothing is stored. It
/// holds no transaction: others read and write in between.
///
/// A failed [`write`](Write::write) has given everything back (or, if the heap is busy, the next write of this process
/// does). Its error has the [`Error`] as its source ([`io::Error::downcast`]), and the kind
/// [`StorageFull`](io::ErrorKind::StorageFull) or [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) if there is no room.
/// [`flush`](Write::flush) does nothing.
#[must_use = "nothing is stored until `finish`"]
pub struct ObjectWriter<'h> {
    upload: Upload<'static>,
    hold: HoldWith<'h>,
    part: Part,
    /// Whether nothing is left to give back.
    is_over: bool,
}

impl MemManager {
    /// Stores an object piece by piece, as a program makes it: the result implements [`Write`]. For content that
    /// comes from a reader, there is [`Self::store_from`].
    ///
    /// Up to 8 MiB are in memory; more is stored in parts, as [`Self::allocate_from`] says. So a space
    /// without room refuses a part before all is written, even if the whole is stored already.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use std::io::Write;
    /// use heapledger::Hold;
    ///
    /// let mut writer = memory.writer(Hold::Name("report"))?;
    /// for line in 1..=1000 {
    ///     writeln!(writer, "line {line}")?;
    /// }
    /// let stored = writer.finish()?;
    /// assert_eq!(memory.reader(&stored.id)?.size(), 8893);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::NameIsId`] and [`Error::NulInName`] for an invalid name, [`Error::NameTaken`] for
    /// a new name that is taken, and the error for anything else that is wrong with the hold, its tags or its expiry;
    /// what [any call](MemManager#errors) fails with.
    pub fn writer<'h>(&self, hold: impl Into<HoldWith<'h>>) -> Result<ObjectWriter<'h>> {
        let hold = hold.into();
        self.check_hold(&hold)?;
        Ok(ObjectWriter {
            upload: Upload::new(self, Announced::bytes(None, None), None),
            hold,
            part: Part::new(Kind::Bytes, self.part_size()?),
            is_over: false,
        })
    }
}

impl<'h> ObjectWriter<'h> {
    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.part.total
    }

    /// Stores the object and takes its hold, or finds that it is stored already. The object is durable when this
    /// returns, as after any other call.
    ///
    /// # Errors
    /// Like [`MemManager::store_from`]; [`Error::Io`] if a write has failed. Nothing is stored then.
    pub fn finish(mut self) -> Result<Allocation> {
        self.check()?;
        self.part.at_end = true;
        if self.upload.has_begun() {
            let stored = self.in_upload(Upload::finish)?;
            self.is_over = true;
            return Ok(stored);
        }
        let (part, hold) = (&self.part, &self.hold);
        let encoded = Encoded::bytes(part.rest());
        let memory = &self.upload.memory;
        memory.write_content(part.total, |tx| store_as(tx, &encoded, part.id(), hold))
    }

    fn check(&self) -> Result<()> {
        if self.is_over {
            return Err(Error::Io {
                what: "nothing was stored, because an earlier write failed".into(),
                source: io::ErrorKind::BrokenPipe.into(),
            });
        }
        go_on()
    }

    fn write_some(&mut self, data: &[u8]) -> Result<usize> {
        self.check()?;
        let count = self.part.push(data);
        if self.part.is_full() {
            self.in_upload(Upload::store_part)?;
        }
        Ok(count)
    }

    /// A step of the upload; after an error it is given up.
    fn in_upload<R>(
        &mut self,
        step: impl FnOnce(&mut Upload<'static>, &mut Part, &HoldWith<'h>) -> Result<R>,
    ) -> Result<R> {
        let storing = Storing::new();
        let done = step(&mut self.upload, &mut self.part, &self.hold);
        drop(storing);
        done.or_else(|error| {
            self.give_up();
            let memory = &self.upload.memory;
            if matches!(error, Error::OutOfMemory { .. }) {
                // What this upload had is free by now.
                return memory.refuse_unread(self.part.total);
            }
            memory.record_error(&error, None)?;
            Err(error)
        })
    }

    fn give_up(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.upload.give_up();
        }
    }
}

impl Write for ObjectWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        self.write_some(data).map_err(|error| {
            // Never `Interrupted`, after which `write_all` would try again.
            let kind = match error {
                Error::OutOfMemory { .. } | Error::FileFull { .. } | Error::DiskFull => io::ErrorKind::StorageFull,
                Error::QuotaExceeded(_) => io::ErrorKind::QuotaExceeded,
                _ => io::ErrorKind::Other,
            };
            io::Error::new(kind, error)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ObjectWriter<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl std::fmt::Debug for ObjectWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectWriter")
            .field("written", &self.written())
            .finish_non_exhaustive()
    }
}
