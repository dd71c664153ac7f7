//! Content that is read once, from front to back, and hashed on the way.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};

use super::place::Source;
use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::temporary::{Storing, go_on};
use crate::value::{Hasher, Kind, ObjectId};

/// Bytes of a large object that are stored in one transaction, so that others write in between and
/// the log stays short.
const PART: usize = 8 << 20;
/// Below a ceiling of the file, a part is at most this share of it, so that little room is lost to
/// the log.
const PART_OF_CEILING: u64 = 32;
/// The smallest parts, in bytes.
pub(in crate::manager) const LEAST_PART: usize = 256 << 10;
/// Bytes per read.
const CHUNK: usize = 256 * 1024;

impl MemManager {
    /// Bytes of a part of a large object.
    pub(in crate::manager) fn part_size(&self) -> Result<usize> {
        let (writer, _) = self.writer()?;
        Ok(part_below(writer.max_file()))
    }
}

/// Bytes of a part below a ceiling of the file, or without one.
pub(in crate::manager) fn part_below(max_file: Option<u64>) -> usize {
    let part = max_file.and_then(|bytes| usize::try_from(bytes / PART_OF_CEILING).ok());
    part.map_or(PART, |part| part.clamp(LEAST_PART, PART))
}

/// The part of some content that was read and is not stored yet.
pub(in crate::manager) struct Parts<'r> {
    reader: &'r mut dyn Read,
    /// Bytes of a part.
    part: usize,
    hash: Hash,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are stored.
    taken: usize,
    /// Bytes read in all.
    pub total: u64,
    /// Whether the buffer has the last byte.
    pub at_end: bool,
    /// It ends soon when the program is interrupted, unless its source blocks.
    _storing: Storing,
}

enum Hash {
    Of(Hasher),
    Known(ObjectId),
}

impl<'r> Parts<'r> {
    pub fn new(reader: &'r mut dyn Read, kind: Kind, part: usize) -> Self {
        Self::of(reader, Hash::Of(Hasher::new(kind)), part)
    }

    /// Content in memory, whose id is known.
    pub fn known(reader: &'r mut dyn Read, id: ObjectId, part: usize) -> Self {
        Self::of(reader, Hash::Known(id), part)
    }

    fn of(reader: &'r mut dyn Read, hash: Hash, part: usize) -> Self {
        Self {
            reader,
            part,
            hash,
            buffer: Vec::new(),
            taken: 0,
            total: 0,
            at_end: false,
            _storing: Storing::new(),
        }
    }

    /// Reads until there is more than a part, or nothing more.
    pub fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        while !self.at_end && self.buffer.len() <= self.part {
            self.read()?;
        }
        Ok(())
    }

    /// Reads to the end, or until there are more than `most` bytes, and keeps nothing.
    pub fn skip_to_end(&mut self, most: u64) -> Result<()> {
        while !self.at_end && self.total <= most {
            self.buffer.clear();
            self.taken = 0;
            self.read()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        go_on()?;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let space = self.buffer.get_mut(filled..).unwrap_or_default();
        let count = match self.reader.read(space) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.buffer.truncate(filled);
                return Ok(());
            }
            Err(error) => {
                self.buffer.truncate(filled);
                return Err(Error::io("the content cannot be read")(error));
            }
        };
        if let Hash::Of(hasher) = &mut self.hash {
            hasher.update(space.get(..count).unwrap_or_default());
        }
        self.buffer.truncate(filled + count);
        self.total += count as u64;
        self.at_end = count == 0;
        Ok(())
    }

    /// What was read and not stored.
    pub fn rest(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// The id of everything that was read.
    pub fn id(&self) -> ObjectId {
        match &self.hash {
            Hash::Of(hasher) => hasher.clone().finish(),
            Hash::Known(id) => *id,
        }
    }
}

impl Source for Parts<'_> {
    fn take(&mut self, count: usize) -> Result<Cow<'_, [u8]>> {
        let piece = self.buffer.get(self.taken..self.taken + count);
        self.taken += count;
        piece.map(Cow::Borrowed).ok_or_else(|| Error::Damaged {
            what: "a piece would be longer than its content".into(),
        })
    }
}
