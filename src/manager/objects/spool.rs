//! Content whose length and id must be known before it is placed.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::place::Source;
use super::room::out_of_memory;
use crate::error::{Error, Result};
use crate::manager::Phase;
use crate::models::MemRam;
use crate::store::Spool;
use crate::temporary::{Storing, go_on};
use crate::value::{Hasher, Kind, ObjectId};

/// Content that has been read once, so that its id and size are known, and can be read again.
///
/// For what must be one transaction: the objects of a batch and of an import. Others are stored as they
/// are read, see [`Parts`](super::parts::Parts).
pub(in crate::manager) struct Spooled<'a> {
    content: Box<dyn Read + 'a>,
    id: ObjectId,
    size: u64,
    /// Hashes the second read of a file, which may have changed.
    again: Option<Hasher>,
    buffer: Vec<u8>,
    /// Set during the second read, which stores the content.
    storing: Option<Storing>,
    /// The callback for the bytes stored.
    progress: Option<&'a mut dyn FnMut(Phase, u64, u64)>,
    done: u64,
}

/// Bytes per read.
const CHUNK: usize = 256 * 1024;

impl<'a> Spooled<'a> {
    /// Spools a reader.
    ///
    /// # Errors
    /// [`Error::FileFull`]; [`Error::OutOfMemory`] as soon as the content is larger than the whole space, so that it
    /// cannot even be a duplicate.
    pub fn read(reader: impl Read, mut spool: Spool, space: &MemRam) -> Result<Spooled<'static>> {
        let max_mem = space.max_mem;
        let mut reader = reader.take(max_mem.saturating_add(1));
        let (id, size) = digest(&mut reader, Kind::Bytes, &mut |part| {
            spool.write(part, "the content cannot be spooled next to the heap")
        })?;
        if size > max_mem {
            return Err(out_of_memory(space, size));
        }
        spool
            .rewind()
            .map_err(Error::io("the spooled content cannot be read"))?;
        Ok(Spooled::known(spool, id, size))
    }

    /// Reads a file from its position to its end, and rewinds it to that position.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] before it is read, if by its size it can neither fit nor be already
    /// stored; otherwise as for [`Self::read`].
    pub fn file(file: &'a mut File, space: &MemRam, progress: &'a mut dyn FnMut(Phase, u64, u64)) -> Result<Self> {
        let (max_mem, available) = (space.max_mem, space.attainable());
        let refuse = |needed| out_of_memory(space, needed);
        let rest = rest_of(file)?;
        if rest > available && rest > space.mem {
            return Err(refuse(rest));
        }
        // A file of size 0 may still have content, as in /proc.
        let mut done = 0;
        let mut spooled = Self::file_of(file, Kind::Bytes, max_mem, &mut |part| {
            done += part.len() as u64;
            progress(Phase::Hashing, done, rest);
        })?;
        if spooled.size > max_mem {
            return Err(refuse(spooled.size));
        }
        progress(Phase::Waiting, 0, 0);
        spooled.progress = Some(progress);
        Ok(spooled)
    }

    /// The same for content of any kind; passes each part to `look`. Reads at most one byte more
    /// than `most`.
    pub fn file_of(file: &'a mut File, kind: Kind, most: u64, look: &mut dyn FnMut(&[u8])) -> Result<Self> {
        let start = file.stream_position().map_err(Error::io("the file cannot be read"))?;
        let see = &mut |part: &[u8]| {
            look(part);
            Ok(())
        };
        let (id, size) = digest(&mut file.take(most.saturating_add(1)), kind, see)?;
        file.seek(SeekFrom::Start(start))
            .map_err(Error::io("the file cannot be read twice"))?;
        Ok(Self {
            again: Some(Hasher::new(kind)),
            ..Self::known(file, id, size)
        })
    }

    /// Content that was hashed, and that nobody else can change.
    pub fn known(content: impl Read + 'a, id: ObjectId, size: u64) -> Self {
        Self {
            content: Box::new(content),
            id,
            size,
            again: None,
            buffer: Vec::new(),
            storing: None,
            progress: None,
            done: 0,
        }
    }

    pub fn id(&self) -> ObjectId {
        self.id
    }

    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Bytes from a file's position to its end, according to its size.
pub(in crate::manager) fn rest_of(file: &mut File) -> Result<u64> {
    let cannot = || Error::io("the file cannot be read");
    let size = file.metadata().map_err(cannot())?.len();
    Ok(size.saturating_sub(file.stream_position().map_err(cannot())?))
}

/// Hashes all bytes, and passes each part to `see`.
fn digest(reader: &mut impl Read, kind: Kind, see: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<(ObjectId, u64)> {
    let mut hasher = Hasher::new(kind);
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        go_on()?;
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("the content cannot be read")(error)),
        };
        let part = buffer.get(..count).unwrap_or_default();
        hasher.update(part);
        see(part)?;
        size += count as u64;
    }
}

impl Source for Spooled<'_> {
    fn take(&mut self, count: usize) -> Result<Cow<'_, [u8]>> {
        go_on()?;
        self.storing.get_or_insert_with(Storing::new);
        self.buffer.resize(count, 0);
        self.content
            .read_exact(&mut self.buffer)
            .map_err(Error::io("the content changed while it was read"))?;
        if let Some(again) = &mut self.again {
            again.update(&self.buffer);
        }
        self.done += count as u64;
        if let Some(progress) = &mut self.progress {
            progress(Phase::Storing, self.done, self.size);
        }
        Ok(Cow::Borrowed(&self.buffer))
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(progress) = &mut self.progress {
            progress(Phase::Syncing, 0, 0);
        }
        if self.again.take().is_some_and(|again| again.finish() != self.id) {
            return Err(Error::Io {
                what: "the content changed while it was read".into(),
                source: std::io::ErrorKind::InvalidData.into(),
            });
        }
        Ok(())
    }
}
