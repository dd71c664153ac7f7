//! Whether the write-ahead log next to a file is the log of that file.
//!
//! A killed writer leaves its log behind, and SQLite applies that log to whatever file has the
//! name the next time: a copy that somebody put there would be destroyed. SQLite's format ties
//! the two together in only one way. A writer of page 1 gives it a change counter (offset
//! 24) that is one more than the one it read, so a later page 1 never has a smaller one. A log
//! starts on a file that has everything before it, and is only copied into that file. So the
//! counter in the file is that of a page 1 in the log, or one less than the first of them. This
//! holds whenever a process is killed or the power fails, whatever program wrote the log:
//! <https://sqlite.org/fileformat.html#walformat>.
//!
//! Two more things make this catch other files. The first commit in each log writes page 1
//! (see `Writer::write`). And new heaps and backups start at a random number (see
//! [`randomize_change_counter`]).

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::sidecar::sidecar;
use super::vfs::DatabaseFile;
use crate::error::{Error, Result};

/// Refuses a file whose log belongs to another file, before SQLite sees them. O(log), and
/// mostly O(1).
///
/// # Errors
/// [`Error::ForeignLog`].
pub(in crate::store) fn check(path: &Path, named: &Path) -> Result<()> {
    let log = sidecar(path, "-wal");
    for _ in 0..ATTEMPTS {
        let Some(before) = Headers::of(path, &log) else {
            return Ok(());
        };
        if before.belongs(&log) {
            return Ok(());
        }
        // A user of the heap may have written both in the meantime.
        if Headers::of(path, &log).is_some_and(|after| after == before) {
            return Err(Error::ForeignLog { path: named.to_owned() });
        }
    }
    Ok(())
}

/// Refuses to create a file next to a log with commits in it.
///
/// # Errors
/// [`Error::ForeignLog`].
pub(in crate::store) fn check_no_log(path: &Path, named: &Path) -> Result<()> {
    let has_commits = Frames::open(&sidecar(path, "-wal")).is_some_and(|mut frames| frames.any(|frame| frame.commits));
    if has_commits && !path.metadata().is_ok_and(|file| file.len() > 0) {
        return Err(Error::ForeignLog { path: named.to_owned() });
    }
    Ok(())
}

/// How often files that change while they are read are read again.
const ATTEMPTS: u32 = 5;

/// What must not change while the log is read.
#[derive(PartialEq)]
struct Headers {
    counter: u32,
    log: [u8; LOG_HEADER],
}

impl Headers {
    /// `None` if there is no log, or if SQLite will report the problem.
    fn of(path: &Path, log: &Path) -> Option<Self> {
        let mut log_header = [0; LOG_HEADER];
        File::open(log).ok()?.read_exact(&mut log_header).ok()?;
        let mut header = [0; 100];
        DatabaseFile::open(path).ok()?.read_start(&mut header).ok()?;
        Some(Self {
            counter: number(&header, 24)?,
            log: log_header,
        })
    }

    fn belongs(&self, log: &Path) -> bool {
        let Some(frames) = Frames::open(log) else { return true };
        let (mut first, mut pending) = (None, Vec::new());
        for frame in frames {
            pending.extend(frame.counter);
            if !frame.commits {
                continue;
            }
            for counter in pending.drain(..) {
                let first = *first.get_or_insert(counter);
                if self.counter == counter || self.counter == first.wrapping_sub(1) {
                    return true;
                }
            }
        }
        // Without a page 1, the log cannot be attributed.
        first.is_none()
    }
}

const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The frames of a log that SQLite would take for valid.
struct Frames {
    log: BufReader<File>,
    page: Vec<u8>,
    salts: [u8; 8],
    big_endian: bool,
    sum: (u32, u32),
}

struct Frame {
    /// The change counter, on page 1.
    counter: Option<u32>,
    commits: bool,
}

impl Frames {
    fn open(path: &Path) -> Option<Self> {
        let mut log = BufReader::with_capacity(1 << 18, File::open(path).ok()?);
        let mut header = [0; LOG_HEADER];
        log.read_exact(&mut header).ok()?;
        let big_endian = match number(&header, 0)? {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return None,
        };
        let size = number(&header, 8)?;
        if !(512..=65_536).contains(&size) || !size.is_power_of_two() {
            return None;
        }
        let mut frames = Self {
            log,
            page: vec![0; usize::try_from(size).ok()?],
            salts: header.get(16..24)?.try_into().ok()?,
            big_endian,
            sum: (0, 0),
        };
        frames.add(header.get(..24)?);
        (frames.sum == (number(&header, 24)?, number(&header, 28)?)).then_some(frames)
    }

    /// Adds to the checksum.
    fn add(&mut self, bytes: &[u8]) {
        let (mut a, mut b) = self.sum;
        let mut words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok());
        let read = |word| match self.big_endian {
            true => u32::from_be_bytes(word),
            false => u32::from_le_bytes(word),
        };
        while let (Some(x), Some(y)) = (words.next(), words.next()) {
            a = a.wrapping_add(read(x)).wrapping_add(b);
            b = b.wrapping_add(read(y)).wrapping_add(a);
        }
        self.sum = (a, b);
    }

    fn read(&mut self) -> Option<Frame> {
        let mut header = [0; FRAME_HEADER];
        self.log.read_exact(&mut header).ok()?;
        if header.get(8..16)? != self.salts {
            return None;
        }
        self.log.read_exact(&mut self.page).ok()?;
        self.add(header.get(..8)?);
        let page = std::mem::take(&mut self.page);
        self.add(&page);
        self.page = page;
        if self.sum != (number(&header, 16)?, number(&header, 20)?) {
            return None;
        }
        let is_first = number(&header, 0)? == 1;
        Some(Frame {
            counter: if is_first { number(&self.page, 24) } else { None },
            commits: number(&header, 4)? != 0,
        })
    }
}

impl Iterator for Frames {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        self.read()
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Starts the change counter of a file at a random number, so that no two files have the same
/// one by chance. SQLite only compares and increments it. Nobody may have the file open.
pub(crate) fn randomize_change_counter(path: &Path) -> io::Result<()> {
    let random = std::hash::RandomState::new().build_hasher().finish();
    let counter = (u32::try_from(random >> 33).unwrap_or(1)).max(1).to_be_bytes();
    let mut file = File::options().write(true).open(path)?;
    // The second number tells for which counter the size in the header is valid.
    for at in [24, 92] {
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&counter)?;
    }
    Ok(())
}
