//! Writes a tar in the format of GNU tar, which all programs read: any name, any size.

use std::io::{BufWriter, Write};

use tar::{EntryType, Header};

use crate::error::{Error, Result};
use crate::models::Timestamp;
use crate::temporary::go_on;

/// Bytes of a block.
const BLOCK: usize = 512;
/// Bytes of the fields for a name and for the target of a link.
const MOST_NAME: usize = 100;
/// Where the target of a link is in a header.
const LINK: usize = 157;
const BUFFER: usize = 256 * 1024;

/// What is to be written to a tar next.
pub(in crate::manager) struct Member<'a> {
    pub path: &'a [u8],
    pub what: What<'a>,
    pub mode: u32,
    /// When it was stored.
    pub at: Timestamp,
}

/// What it is.
pub(in crate::manager) enum What<'a> {
    /// A file of this size, in bytes.
    File(u64),
    /// A folder; its path ends with `/`.
    Folder,
    /// A symbolic link to this target.
    Link(&'a [u8]),
}

/// A tar that is being written. It is complete only with [`Self::finish`].
pub(in crate::manager) struct TarWriter<W: Write> {
    out: BufWriter<W>,
    /// Bytes that the current file has, and those that are written.
    size: u64,
    written: u64,
}

impl<W: Write> TarWriter<W> {
    pub fn new(out: W) -> Self {
        Self {
            out: BufWriter::with_capacity(BUFFER, out),
            size: 0,
            written: 0,
        }
    }

    /// Writes what comes before the content.
    pub fn begin(&mut self, member: &Member<'_>) -> Result<()> {
        let (kind, size, target) = match member.what {
            What::File(size) => (EntryType::Regular, size, None),
            What::Folder => (EntryType::Directory, 0, None),
            What::Link(target) => (EntryType::Symlink, 0, Some(target)),
        };
        if let Some(target) = target {
            self.long(EntryType::GNULongLink, target)?;
        }
        self.long(EntryType::GNULongName, member.path)?;
        let mut header = header(kind, size);
        header.set_mode(member.mode);
        header.set_mtime(u64::try_from(member.at.as_micros() / 1_000_000).unwrap_or(0));
        fill(&mut header, 0, member.path);
        fill(&mut header, LINK, target.unwrap_or_default());
        header.set_cksum();
        (self.size, self.written) = (size, 0);
        self.raw(header.as_bytes())
    }

    /// Writes a part of the content.
    ///
    /// # Errors
    /// [`Error::Damaged`] if there is more than was announced.
    pub fn data(&mut self, part: &[u8]) -> Result<()> {
        go_on()?;
        self.written += part.len() as u64;
        if self.written > self.size {
            return Err(self.other_size());
        }
        self.raw(part)
    }

    /// Fills the last block of the content.
    ///
    /// # Errors
    /// [`Error::Damaged`] if there is less than was announced.
    pub fn end(&mut self) -> Result<()> {
        if self.written < self.size {
            return Err(self.other_size());
        }
        let used = usize::try_from(self.size % BLOCK as u64).unwrap_or(0);
        self.raw([0; BLOCK].get(..(BLOCK - used) % BLOCK).unwrap_or_default())
    }

    /// Writes the mark of the end.
    pub fn finish(mut self) -> Result<()> {
        self.raw(&[0; 2 * BLOCK])?;
        self.out.flush().map_err(Error::io(CANNOT))
    }

    /// A name that does not fit in its field is written before the header.
    fn long(&mut self, kind: EntryType, name: &[u8]) -> Result<()> {
        if name.len() <= MOST_NAME {
            return Ok(());
        }
        let mut header = header(kind, name.len() as u64 + 1);
        fill(&mut header, 0, b"././@LongLink");
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        self.raw(header.as_bytes())?;
        (self.size, self.written) = (name.len() as u64 + 1, name.len() as u64 + 1);
        self.raw(name)?;
        self.raw(&[0])?;
        self.end()
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::io(CANNOT))
    }

    fn other_size(&self) -> Error {
        Error::Damaged {
            what: format!("a content of {} bytes has another size", self.size),
        }
    }
}

const CANNOT: &str = "the tar cannot be written";

/// The header of something that belongs to nobody in particular.
fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Writes as much as fits into a field for names.
fn fill(header: &mut Header, at: usize, name: &[u8]) {
    let field = header.as_mut_bytes().iter_mut().skip(at).take(MOST_NAME);
    for (byte, from) in field.zip(name) {
        *byte = *from;
    }
}
