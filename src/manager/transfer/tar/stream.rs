//! Reads a tar from front to back, whoever made it, in constant memory.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::PathBuf;
use std::rc::Rc;

use tar::{Archive, Entries, Entry, EntryType, Header};

use crate::error::{Error, Result, TransferError, grouped};
#[cfg(doc)]
use crate::manager::MemManager;
use crate::temporary::go_on;

/// Bytes of a block.
const BLOCK: u64 = 512;
/// Most bytes of headers before a content. The `tar` crate keeps the names in them in memory, however long.
const MOST_HEADERS: u64 = 1024 * 1024;
/// Bytes after the end that are read, so that whoever writes them is not killed by a closed pipe.
const HEARD_OUT: u64 = 1024 * 1024;
const BUFFER: usize = 256 * 1024;

/// A tar to be read once, from front to back: standard input, for example. See [`MemManager::import_tar`] and
/// [`MemManager::store_tar`].
pub struct TarStream<R> {
    reader: Chain<Cursor<Vec<u8>>, R>,
}

impl<R: Read> TarStream<R> {
    /// Reads the first block, before anything else happens.
    ///
    /// # Errors
    /// [`TransferError::BadExport`] if no tar begins with that block, for example because it is
    /// compressed; [`Error::Io`].
    pub fn open(mut reader: R) -> Result<Self> {
        let mut first = Vec::new();
        let read = (&mut reader).take(BLOCK).read_to_end(&mut first);
        read.map_err(Error::io("the tar cannot be read"))?;
        match not_a_tar(&first) {
            Some(why) => Err(bad(THE_TAR, why)),
            None => Ok(Self {
                reader: Cursor::new(first).chain(reader),
            }),
        }
    }

    /// Reads its members.
    pub(in crate::manager) fn read<T>(
        self,
        work: impl FnOnce(&mut Members<'_, Chain<Cursor<Vec<u8>>, R>>) -> Result<T>,
    ) -> Result<T> {
        let state = Rc::new(State::default());
        let guard = Guard {
            reader: BufReader::with_capacity(BUFFER, self.reader),
            state: Rc::clone(&state),
        };
        let mut archive = Archive::new(guard);
        let entries = archive.entries().map_err(Error::io("the tar cannot be read"))?;
        let done = work(&mut Members {
            entries,
            state: Rc::clone(&state),
        })?;
        let guard = archive.into_inner();
        state.allowance.set(u64::MAX);
        let _ = io::copy(&mut guard.take(HEARD_OUT), &mut io::sink());
        Ok(done)
    }
}

impl<R> fmt::Debug for TarStream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarStream").finish_non_exhaustive()
    }
}

/// The path in errors about the tar as a whole.
const THE_TAR: &str = "the tar";

pub(in crate::manager) fn bad(path: impl Into<PathBuf>, why: impl Into<String>) -> Error {
    let (path, why) = (path.into(), why.into());
    TransferError::BadExport { path, why }.into()
}

/// How compressed files begin, and the program that decompresses them.
const COMPRESSED: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP", "lzip"),
];

/// Why no tar begins with this block, if none does.
fn not_a_tar(first: &[u8]) -> Option<String> {
    if first.is_empty() {
        return Some("it is empty".into());
    }
    if let Some((_, with)) = COMPRESSED.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Some(format!("it is compressed; pass it through `{with} -dc`"));
    }
    let is_header = || {
        let sum = first.iter().enumerate().map(|(at, byte)| match at {
            148..156 => u32::from(b' '),
            _ => u32::from(*byte),
        });
        Header::from_byte_slice(first)
            .cksum()
            .is_ok_and(|told| told == sum.sum::<u32>())
    };
    let is_tar = first.len() as u64 == BLOCK && (first.iter().all(|byte| *byte == 0) || is_header());
    (!is_tar).then(|| "it is not a tar".into())
}

/// The members of a tar.
pub(in crate::manager) struct Members<'a, R: Read + 'a> {
    entries: Entries<'a, Guard<R>>,
    state: Rc<State>,
}

/// What is known about what was read.
struct State {
    /// Bytes that may be read.
    allowance: Cell<u64>,
    position: Cell<u64>,
    /// Whether there is nothing more.
    at_end: Cell<bool>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            allowance: Cell::new(u64::MAX),
            position: Cell::new(0),
            at_end: Cell::new(false),
        }
    }
}

impl State {
    /// What an error of the crate means.
    fn bad(&self, error: io::Error) -> Error {
        let at = grouped(self.position.get());
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(_) if self.at_end.get() => bad(THE_TAR, format!("it ends too early, after {at} bytes")),
            Err(_) if self.allowance.get() == 0 => bad(THE_TAR, format!("a name in it is too long, before byte {at}")),
            Err(error) => bad(THE_TAR, format!("it is damaged before byte {at}: {error}")),
        }
    }
}

/// Bounds what is read.
pub(in crate::manager) struct Guard<R> {
    reader: BufReader<R>,
    state: Rc<State>,
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowance = self.state.allowance.get();
        let most = buffer.len().min(usize::try_from(allowance).unwrap_or(usize::MAX));
        if most == 0 && !buffer.is_empty() {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let count = loop {
            go_on().map_err(io::Error::other)?;
            match self.reader.read(buffer.get_mut(..most).unwrap_or_default()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io::Error::other(Error::io("the tar cannot be read")(error))),
                Ok(count) => break count,
            }
        };
        self.state.at_end.set(count == 0 && most > 0);
        self.state.position.set(self.state.position.get() + count as u64);
        if allowance != u64::MAX {
            self.state.allowance.set(allowance - count as u64);
        }
        Ok(count)
    }
}

impl<'a, R: Read> Members<'a, R> {
    /// The next member. All of the last one must have been read.
    ///
    /// # Errors
    /// [`TransferError::BadExport`] if the tar is damaged or truncated.
    pub fn next(&mut self) -> Result<Option<Member<'a, R>>> {
        loop {
            self.state.allowance.set(MOST_HEADERS);
            let next = self.entries.next().transpose();
            let entry = next.map_err(|error| self.state.bad(error))?;
            self.state.allowance.set(u64::MAX);
            match entry {
                Some(mut entry) => {
                    let what = MemberKind::of(&mut entry).map_err(|error| self.state.bad(error))?;
                    let mut member = Member {
                        path: entry.path_bytes().into_owned(),
                        what,
                        mode: entry.header().mode().unwrap_or(0) & 0o777,
                        left: entry.size(),
                        size: entry.size(),
                        entry,
                        state: Rc::clone(&self.state),
                    };
                    if member.what != MemberKind::Comment {
                        return Ok(Some(member));
                    }
                    member.skip()?;
                }
                None if self.state.at_end.get() => {
                    return Err(self.state.bad(ErrorKind::UnexpectedEof.into()));
                }
                None => return Ok(None),
            }
        }
    }
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::manager) enum MemberKind {
    File,
    Folder,
    /// A symbolic link to this target.
    Link(Vec<u8>),
    /// Another name of an earlier member.
    Again(Vec<u8>),
    /// Information about the members that follow.
    Comment,
    /// None of these; described in words.
    Other(&'static str),
    /// What cannot be read, and why.
    Unknown(&'static str),
}

impl MemberKind {
    fn of<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Self> {
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                match extension {
                    Ok(extension) if !extension.key_bytes().starts_with(b"GNU.sparse.") => {}
                    Ok(_) => return Ok(Self::Unknown("it has holes; make the tar without --sparse")),
                    // The crate reads them by lines, so its path may be wrong.
                    Err(_) => {
                        return Ok(Self::Unknown(
                            "there is a line break in its name; make the tar with --format=gnu",
                        ));
                    }
                }
            }
        }
        let target = |entry: &Entry<'_, R>| entry.link_name_bytes().unwrap_or_default().into_owned();
        Ok(match entry.header().entry_type() {
            EntryType::Directory => Self::Folder,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => match entry.path_bytes().last() {
                // Very old programs write folders like this.
                Some(b'/') => Self::Folder,
                _ => Self::File,
            },
            EntryType::Symlink => Self::Link(target(entry)),
            EntryType::Link => Self::Again(target(entry)),
            EntryType::XGlobalHeader => Self::Comment,
            EntryType::Char | EntryType::Block => Self::Other("it is a device"),
            EntryType::Fifo => Self::Other("it is a pipe"),
            _ => Self::Other("it is neither a file nor a folder nor a link"),
        })
    }
}

/// A member, and its content to be read.
pub(in crate::manager) struct Member<'a, R: Read + 'a> {
    pub path: Vec<u8>,
    pub what: MemberKind,
    /// Its permissions.
    pub mode: u32,
    pub size: u64,
    left: u64,
    entry: Entry<'a, Guard<R>>,
    state: Rc<State>,
}

impl<R: Read> Member<'_, R> {
    /// Reads the rest of its content.
    pub fn skip(&mut self) -> Result<()> {
        let skipped = io::copy(self, &mut io::sink());
        skipped.map(drop).map_err(|error| self.state.bad(error))
    }

    /// What an error of reading its content means.
    pub fn bad(&self, error: io::Error) -> Error {
        self.state.bad(error)
    }
}

impl<R: Read> Read for Member<'_, R> {
    /// Fails at an end that comes too early, which the crate takes for the end of the content.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.entry.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other(self.state.bad(ErrorKind::UnexpectedEof.into())));
        }
        Ok(count)
    }
}
