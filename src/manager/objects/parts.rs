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
pub(in crate::manager) const CHUNK: usize = 256 * 1024;

impl MemManager {
    /// Bytes of a part of a large object.
    pub(in crate::manager) fn part_size(&self) -> Result<usize> {
        let (writer, _) = self.group()?;
        Ok(part_below(writer.max_file()))
    }
}

/// Bytes of a part below a ceiling of the file, or without one.
pub(in crate::manager) fn part_below(max_file: Option<u64>) -> usize {
    let part = max_file.and_then(|bytes| usize::try_from(bytes / PART_OF_CEILING).ok());
    part.map_or(PART, |part| part.clamp(LEAST_PART, PART))
}

/// The part of some content that is at hand and not stored yet.
pub(in crate::manager) struct Part {
    /// Bytes of a whole part.
    size: usize,
    hash: Hash,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are stored.
    taken: usize,
    /// Bytes of the content so far.
    pub total: u64,
    /// Whether the buffer has the last byte.
    pub at_end: bool,
}

/// The content of a reader, part by part.
pub(in crate::manager) struct Parts<'r> {
    reader: &'r mut dyn Read,
    pub part: Part,
    /// Tells an interruption that content is being read; that then ends soon, unless the source blocks.
    _storing: Storing,
}

enum Hash {
    Of(Hasher),
    Known(ObjectId),
}

impl Part {
    /// An empty part, of content whose id is not known.
    pub fn new(kind: Kind, size: usize) -> Self {
        Self::of(Hash::Of(Hasher::new(kind)), size)
    }

    fn of(hash: Hash, size: usize) -> Self {
        Self {
            size,
            hash,
            buffer: Vec::new(),
            taken: 0,
            total: 0,
            at_end: false,
        }
    }

    /// Whether there is more than a part, so that one can be stored without the last byte.
    pub fn is_full(&self) -> bool {
        self.rest().len() > self.size
    }

    /// Adds some of these bytes and returns how many, at least one.
    pub fn push(&mut self, data: &[u8]) -> usize {
        let count = data.len().min(CHUNK);
        let data = data.get(..count).unwrap_or_default();
        self.forget_stored();
        self.buffer.extend_from_slice(data);
        self.added(count);
        count
    }

    fn forget_stored(&mut self) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
    }

    fn read(&mut self, reader: &mut dyn Read) -> Result<()> {
        go_on()?;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let space = self.buffer.get_mut(filled..).unwrap_or_default();
        let count = match reader.read(space) {
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
        self.buffer.truncate(filled + count);
        self.added(count);
        self.at_end = count == 0;
        Ok(())
    }

    /// Counts and hashes the last bytes of the buffer.
    fn added(&mut self, count: usize) {
        if let Hash::Of(hasher) = &mut self.hash {
            let start = self.buffer.len() - count;
            hasher.update(self.buffer.get(start..).unwrap_or_default());
        }
        self.total += count as u64;
    }

    /// What is not stored.
    pub fn rest(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// Bytes of the buffer that are stored.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Sets back how many bytes of the buffer are stored, because a transaction was rolled back.
    pub fn take_back(&mut self, taken: usize) {
        self.taken = taken;
    }

    /// The id of the content so far.
    pub fn id(&self) -> ObjectId {
        match &self.hash {
            Hash::Of(hasher) => hasher.clone().finish(),
            Hash::Known(id) => *id,
        }
    }
}

impl<'r> Parts<'r> {
    pub fn new(reader: &'r mut dyn Read, kind: Kind, size: usize) -> Self {
        Self::of(reader, Part::new(kind, size))
    }

    /// Content in memory, whose id is known.
    pub fn known(reader: &'r mut dyn Read, id: ObjectId, size: usize) -> Self {
        Self::of(reader, Part::of(Hash::Known(id), size))
    }

    fn of(reader: &'r mut dyn Read, part: Part) -> Self {
        Self {
            reader,
            part,
            _storing: Storing::new(),
        }
    }

    /// Reads until there is more than a part, or nothing more.
    pub fn fill(&mut self) -> Result<()> {
        self.part.forget_stored();
        while !self.part.at_end && !self.part.is_full() {
            self.part.read(self.reader)?;
        }
        Ok(())
    }

    /// Reads to the end, or until there are more than `most` bytes, and keeps nothing.
    pub fn skip_to_end(&mut self, most: u64) -> Result<()> {
        while !self.part.at_end && self.part.total <= most {
            self.part.buffer.clear();
            self.part.taken = 0;
            self.part.read(self.reader)?;
        }
        Ok(())
    }
}

impl Source for Part {
    fn take(&mut self, count: usize) -> Result<Cow<'_, [u8]>> {
        let piece = self.buffer.get(self.taken..self.taken + count);
        self.taken += count;
        piece.map(Cow::Borrowed).ok_or_else(|| Error::Damaged {
            what: "a piece would be longer than its content".into(),
        })
    }
}
