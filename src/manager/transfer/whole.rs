//! The content of an object that leaves a heap: it must match its id and be valid for its kind.

use std::io::{self, Read};
use std::vec;

use super::source::Source;
use crate::error::{Error, Result};
use crate::models::StoredObject;
use crate::store::queries::entries::StoredPiece;
use crate::value::{Hasher, Validator};

/// Refuses content that is not that of the object.
///
/// # Errors
/// [`Error::Damaged`].
pub(super) fn whole(object: &StoredObject, content: &[u8]) -> Result<()> {
    let mut check = Check::new(object);
    check.update(content);
    check.finish(object)
}

/// Pieces read in one query; 8 MiB with the largest blocks of the standard geometry.
const PIECES: i64 = 32;

/// Reads the content of an object in constant memory. The last read fails unless it is whole.
pub(super) struct Whole<'r, 's, 'c> {
    source: &'r mut Source<'s, 'c>,
    object: &'r StoredObject,
    /// The position of the next piece to read.
    seq: i64,
    pieces: vec::IntoIter<StoredPiece>,
    /// The rest of a piece.
    data: io::Cursor<Vec<u8>>,
    /// Taken when the content ends.
    check: Option<Check>,
}

impl<'r, 's, 'c> Whole<'r, 's, 'c> {
    pub fn new(source: &'r mut Source<'s, 'c>, object: &'r StoredObject) -> Self {
        Self {
            source,
            object,
            seq: 0,
            pieces: Vec::new().into_iter(),
            data: io::Cursor::default(),
            check: Some(Check::new(object)),
        }
    }

    /// The next piece; none at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.pieces.len() == 0 {
            let pieces = self.source.pieces(self.object, self.seq, PIECES)?;
            self.seq += pieces.len() as i64;
            self.pieces = pieces.into_iter();
        }
        Ok(self.pieces.next().map(|piece| piece.data))
    }

    fn fill(&mut self) -> Result<()> {
        match self.next()? {
            Some(data) => {
                if let Some(check) = &mut self.check {
                    check.update(&data);
                }
                self.data = io::Cursor::new(data);
                Ok(())
            }
            None => self.check.take().map_or(Ok(()), |check| check.finish(self.object)),
        }
    }
}

impl Read for Whole<'_, '_, '_> {
    /// An error of the heap is inside the error.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.data.read(buffer)? {
            0 if !buffer.is_empty() => {
                self.fill().map_err(io::Error::other)?;
                self.data.read(buffer)
            }
            count => Ok(count),
        }
    }
}

/// Compares content with the id of its object, part by part.
pub(super) struct Check {
    hasher: Hasher,
    validator: Validator,
}

impl Check {
    pub fn new(object: &StoredObject) -> Self {
        Self {
            hasher: Hasher::new(object.kind),
            validator: Validator::new(object.kind),
        }
    }

    pub fn update(&mut self, part: &[u8]) {
        self.hasher.update(part);
        self.validator.update(part);
    }

    pub fn finish(self, object: &StoredObject) -> Result<()> {
        if self.hasher.finish() != object.object_id {
            return Err(damaged(object));
        }
        // What leaves a heap must be accepted by another one.
        self.validator.finish().map_err(|why| Error::Damaged {
            what: format!("object {} has {why}", object.object_id),
        })
    }
}

pub(super) fn damaged(object: &StoredObject) -> Error {
    Error::Damaged {
        what: format!("the content of object {} does not match its id", object.object_id),
    }
}
