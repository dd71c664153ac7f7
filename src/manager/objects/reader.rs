//! Reading an object piece by piece.

use std::io::{self, Read, Seek, SeekFrom};

use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::models::{StoredObject, StoredObjectId};
use crate::store::queries::entries::RUN;
use crate::store::{ReadTx, WriteTx, queries};

/// Reads an object's content in constant memory; made by [`MemManager::reader`].
///
/// It holds no transaction: if the object is freed in the meantime, the next read of another
/// piece fails with [`io::ErrorKind::NotFound`]. It never sees other content, because keys are
/// not reused, and if its pieces are [joined](MemManager::compact) it goes on in the joined one.
pub struct ObjectReader {
    memory: MemManager,
    cursor: Cursor,
}

impl ObjectReader {
    pub(in crate::manager) fn new(memory: MemManager, object: &StoredObject) -> Self {
        let cursor = Cursor::new(object);
        Self { memory, cursor }
    }

    /// Bytes of the object.
    pub fn size(&self) -> u64 {
        self.cursor.size
    }
}

/// Reads the content of an object inside a batch, in constant memory; made by
/// [`Batch::reader`](crate::manager::Batch::reader). It sees what the batch has stored.
pub struct BatchReader<'r, 'w> {
    tx: &'r mut WriteTx<'w>,
    cursor: Cursor,
}

impl<'r, 'w> BatchReader<'r, 'w> {
    pub(in crate::manager) fn new(tx: &'r mut WriteTx<'w>, object: &StoredObject) -> Self {
        let cursor = Cursor::new(object);
        Self { tx, cursor }
    }

    /// Bytes of the object.
    pub fn size(&self) -> u64 {
        self.cursor.size
    }
}

/// A position in an object, and the pieces around it.
struct Cursor {
    object: StoredObjectId,
    size: u64,
    position: u64,
    loaded: Loaded,
}

/// One or several pieces in a row.
#[derive(Default)]
struct Loaded {
    start: u64,
    data: Vec<u8>,
    /// The piece that follows.
    next: i64,
    /// The average length of the pieces.
    length: usize,
}

impl Loaded {
    fn end(&self) -> u64 {
        self.start + self.data.len() as u64
    }
}

impl Cursor {
    fn new(object: &StoredObject) -> Self {
        Self {
            object: object.id,
            size: object.size,
            position: 0,
            loaded: Loaded {
                // Until a length is known, that of pieces in the largest blocks. A short object is read
                // at once anyway.
                length: if object.size > RUN as u64 { 256 * 1024 } else { 1 },
                ..Loaded::default()
            },
        }
    }

    fn is_at_hand(&self) -> bool {
        (self.loaded.start..self.loaded.end()).contains(&self.position)
    }

    /// Whether the next piece to read follows the loaded ones, which takes only one lookup.
    fn follows(&self) -> bool {
        self.position == self.loaded.end()
    }

    /// Loads the piece that contains `position`, and some that follow if loading just one would cost as much.
    fn load(&mut self, tx: &mut ReadTx<'_>) -> Result<()> {
        if self.load_next(tx)? {
            return Ok(());
        }
        if let Some((seq, start)) = self.locate(tx)?
            && self.load_from(tx, seq, start)?
        {
            return Ok(());
        }
        Err(self.missing(tx)?)
    }

    /// The error if there is no piece with `position`.
    fn missing(&self, tx: &mut ReadTx<'_>) -> Result<Error> {
        if queries::objects::size(tx, self.object)?.is_none() {
            return Ok(Error::Io {
                what: "the object was freed while it was read".into(),
                source: io::ErrorKind::NotFound.into(),
            });
        }
        let (id, _) = queries::objects::spelled(tx, self.object)?;
        let what = format!("the bytes of object {id} from {} on are missing", self.position);
        Ok(Error::Damaged { what })
    }

    /// The same, if that piece follows the loaded ones. It may be missing, because it was joined with
    /// those before it: then all pieces of the object are one.
    fn load_next(&mut self, tx: &mut ReadTx<'_>) -> Result<bool> {
        Ok(self.follows() && self.load_from(tx, self.loaded.next, self.position)?)
    }

    fn load_from(&mut self, tx: &mut ReadTx<'_>, seq: i64, start: u64) -> Result<bool> {
        let run = queries::entries::run(tx, self.object, seq, self.loaded.length)?;
        let Some((data, count)) = run.filter(|(data, _)| !data.is_empty()) else {
            return Ok(false);
        };
        self.loaded = Loaded {
            start,
            next: seq.saturating_add(count),
            length: data.len() / count.max(1) as usize,
            data,
        };
        Ok(true)
    }

    /// Finds the piece that contains `position`, and where it starts. Each entry tells where it
    /// starts, so this takes O(log pieces) lookups, which read no content.
    fn locate(&self, tx: &mut ReadTx<'_>) -> Result<Option<(i64, u64)>> {
        let mut low = 0;
        let mut high = queries::entries::last_seq(tx, self.object)?;
        while low <= high {
            let seq = low + (high - low) / 2;
            let found = queries::entries::extent(tx, self.object, seq)?;
            // In a damaged file the numbers may be anything, but the search still ends.
            let extent = found.and_then(|(start, length)| {
                let start = u64::try_from(start).ok()?;
                Some((start, start.checked_add(u64::try_from(length).ok()?)?))
            });
            let Some((start, end)) = extent else { break };
            if self.position < start {
                high = seq - 1;
            } else if self.position >= end {
                let Some(next) = seq.checked_add(1) else { break };
                low = next;
            } else {
                return Ok(Some((seq, start)));
            }
        }
        Ok(None)
    }

    /// Reads from the loaded pieces, after `load` has loaded the right one if necessary.
    fn read(&mut self, buffer: &mut [u8], load: impl FnOnce(&mut Self) -> Result<()>) -> io::Result<usize> {
        if self.position >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        if !self.is_at_hand() {
            load(self).map_err(|error| match error {
                Error::Io { ref source, .. } => io::Error::new(source.kind(), error),
                error => io::Error::other(error),
            })?;
        }
        let from = usize::try_from(self.position - self.loaded.start).unwrap_or(usize::MAX);
        let rest = self.loaded.data.get(from..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.position += count as u64;
        Ok(count)
    }

    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a position before the start of the object"))?;
        Ok(self.position)
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let readers = &self.memory.inner.readers;
        self.cursor.read(buffer, |cursor| {
            if cursor.follows() && readers.single(|tx| cursor.load_next(tx))? {
                return Ok(());
            }
            readers.snapshot(|tx| cursor.load(tx))
        })
    }
}

impl Read for BatchReader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let tx = &mut *self.tx;
        self.cursor.read(buffer, |cursor| tx.read_rows(|tx| cursor.load(tx)))
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.cursor.seek(to)
    }
}

impl Seek for BatchReader<'_, '_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.cursor.seek(to)
    }
}

impl std::fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectReader").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for BatchReader<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchReader").finish_non_exhaustive()
    }
}
