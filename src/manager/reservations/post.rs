//! Storing the content that bytes were reserved for.

use std::fs::File;
use std::io::Read;

use serde::Serialize;

use super::reservation::Reservation;
use crate::clock;
use crate::error::Result;
#[cfg(doc)]
use crate::error::{Error, ReservationError};
#[cfg(doc)]
use crate::manager::MemManager;
use crate::manager::objects::announced::Announced;
use crate::manager::objects::parts::Parts;
use crate::manager::objects::spool::rest_of;
use crate::manager::objects::{allocate, files, reclaim, reserved};
use crate::manager::{Allocation, HoldWith, Phase};
use crate::models::ReservationRow;
use crate::store::queries;
use crate::value::{Encoded, Kind, ObjectId};

impl Reservation {
    /// Stores a value of at most as many bytes as are reserved, and resolves the reservation; the bytes
    /// that it does not need are available again, or all of them if the content is stored already. It
    /// never fails for want of room in the space. O(size + log n).
    ///
    /// After an error nothing is stored, and the reservation is as before. If several callers post the
    /// same reservation at the same time, the one that began last wins.
    ///
    /// # Errors
    /// [`ReservationError::TooLarge`]; [`ReservationError::Posted`], [`ReservationError::Voided`],
    /// [`ReservationError::Lapsed`] if it is resolved, [`ReservationError::Unknown`] if it is forgotten;
    /// [`ReservationError::Superseded`]; otherwise like [`MemManager::store`].
    pub fn post<'h, T: Serialize + ?Sized>(&self, value: &T, hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        self.post_encoded(&Encoded::of(value)?, &hold.into())
    }

    /// Stores bytes. Otherwise like [`Self::post`].
    ///
    /// # Errors
    /// Like [`Self::post`].
    pub fn post_bytes<'h>(&self, content: &[u8], hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        self.post_encoded(&Encoded::bytes(content), &hold.into())
    }

    /// Stores all bytes of a reader, in constant memory. Otherwise like [`Self::post`].
    ///
    /// # Errors
    /// Like [`Self::post`]; [`Error::Io`] if the reader fails, [`Error::Interrupted`] after
    /// [`interrupt`](crate::interrupt). A reader with more bytes than are reserved is not read to its end.
    pub fn post_from<'h>(&self, reader: impl Read, hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        let hold = &hold.into();
        let row = self.prepare(hold, 0)?;
        let mut reader = reader;
        self.post_stream(&mut reader, row, hold, &mut |_, _, _| {})
    }

    /// Stores a file from its position to its end. Otherwise like [`Self::post_from`].
    ///
    /// # Errors
    /// Like [`Self::post_from`] and [`MemManager::store_file`].
    pub fn post_file<'h>(&self, file: &mut File, hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        self.post_file_with(file, hold, &mut |_, _, _| {})
    }

    /// Like [`Self::post_file`]; `progress` gets the [`Phase`], the bytes stored, and the total.
    ///
    /// # Errors
    /// Like [`Self::post_file`].
    pub fn post_file_with<'h>(
        &self,
        file: &mut File,
        hold: impl Into<HoldWith<'h>>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        let hold = &hold.into();
        files::read(file, |file| self.post_rest(file, hold, progress))
    }

    fn post_rest(
        &self,
        file: &mut File,
        hold: &HoldWith<'_>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        let size = rest_of(file)?;
        let row = self.prepare(hold, size)?;
        let part = self.memory.part_size()?;
        // A file of size 0 may still have content, as in /proc.
        if size <= part as u64 {
            return self.post_stream(file, row, hold, progress);
        }
        let reader: &mut dyn Read = file;
        let mut parts = Parts::new(reader, Kind::Bytes, part);
        parts.fill()?;
        let announced = Announced::bytes(Some(size), None);
        self.memory.upload(announced, &mut parts, hold, Some(row), progress)
    }

    fn post_stream(
        &self,
        reader: &mut dyn Read,
        row: ReservationRow,
        hold: &HoldWith<'_>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        // One byte more tells whether there is more than is reserved.
        let mut reader = reader.take(self.bytes.saturating_add(1));
        let mut parts = Parts::new(&mut reader, Kind::Bytes, self.memory.part_size()?);
        parts.fill()?;
        if parts.part.at_end {
            return self.post_whole(&Encoded::bytes(parts.part.rest()), parts.part.id(), hold);
        }
        let announced = Announced::bytes(None, None);
        self.memory.upload(announced, &mut parts, hold, Some(row), progress)
    }

    fn post_encoded(&self, encoded: &Encoded<'_>, hold: &HoldWith<'_>) -> Result<Allocation> {
        let (content, id) = (&*encoded.content, encoded.object_id());
        let row = self.prepare(hold, content.len() as u64)?;
        let part = self.memory.part_size()?;
        if content.len() <= part || self.memory.contains(&id)? {
            return self.post_whole(encoded, id, hold);
        }
        let mut reader = content;
        let mut parts = Parts::known(&mut reader, id, part);
        parts.fill()?;
        let (announced, progress) = (Announced::encoded(encoded, id), &mut |_, _, _| {});
        self.memory.upload(announced, &mut parts, hold, Some(row), progress)
    }

    /// Refuses what cannot be posted, before it is read, and gives back what an earlier call has left.
    fn prepare(&self, hold: &HoldWith<'_>, size: u64) -> Result<ReservationRow> {
        let memory = &self.memory;
        memory.group()?;
        memory.check_hold(hold)?;
        let (space, id) = (memory.inner.space, self.id);
        let read = || {
            memory
                .inner
                .readers
                .single(|tx| queries::reservations::get(tx, space, id))
        };
        let mut row = self.usable(read()?, clock::now())?;
        if row.key.is_none() {
            return Err(self.unknown());
        }
        reserved::check_size(&row, size)?;
        if row.written > 0 {
            memory.give_up(id, None)?;
            row = self.usable(read()?, clock::now())?;
        }
        Ok(row)
    }

    /// Stores content in one transaction.
    fn post_whole(&self, encoded: &Encoded<'_>, id: ObjectId, hold: &HoldWith<'_>) -> Result<Allocation> {
        let size = encoded.content.len() as u64;
        self.memory.write_content(size, |tx| {
            let row = self.current(tx)?;
            reserved::check_size(&row, size)?;
            // Somebody else may have begun to post it: gives their pieces back.
            let row = reclaim::without_pieces(tx, row)?;
            // First its promise ends, so that the content can have its bytes.
            reserved::posted(tx, &row, row.clone(), id)?;
            allocate::store_as(tx, encoded, id, hold)
        })
    }
}
