//! The content of an upload, from its beginning: what is in its pieces, then what is not stored yet.

use std::borrow::Cow;

use super::place::Source;
use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::models::StoredObjectId;
use crate::store::queries;

/// Reads an upload again, to repair an object with the same content. Its parts are committed, so any
/// reader sees them.
pub(in crate::manager) struct Again<'a> {
    memory: &'a MemManager,
    pieces: Option<StoredObjectId>,
    /// The next piece.
    seq: i64,
    /// Bytes of the pieces read so far that were not taken.
    buffer: Vec<u8>,
    rest: &'a [u8],
}

impl<'a> Again<'a> {
    pub fn new(memory: &'a MemManager, pieces: Option<StoredObjectId>, rest: &'a [u8]) -> Self {
        Self {
            memory,
            pieces,
            seq: 0,
            buffer: Vec::new(),
            rest,
        }
    }

    /// The next part, or nothing at the end.
    fn next(&mut self) -> Result<Vec<u8>> {
        if let Some(object) = self.pieces {
            let seq = self.seq;
            let read = &self.memory.inner.readers;
            if let Some(data) = read.single(|tx| queries::entries::piece(tx, object, seq))? {
                self.seq += 1;
                return Ok(data);
            }
            self.pieces = None;
        }
        Ok(std::mem::take(&mut self.rest).to_vec())
    }
}

impl Source for Again<'_> {
    fn take(&mut self, count: usize) -> Result<Cow<'_, [u8]>> {
        while self.buffer.len() < count {
            let next = self.next()?;
            if next.is_empty() {
                return Err(Error::Damaged {
                    what: "pieces of the upload are missing".into(),
                });
            }
            self.buffer.extend(next);
        }
        Ok(Cow::Owned(self.buffer.drain(..count).collect()))
    }
}
