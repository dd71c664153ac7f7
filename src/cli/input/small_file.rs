//! Files that are read whole.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::sources::whole_reads;

/// Files up to this size are stored in batches.
pub const SMALL: u64 = 1024 * 1024;

/// The content of a file that claims to be small.
pub enum Small {
    Whole(Vec<u8>),
    /// It has grown, or never had a size, as in /proc: its start, and a reader of the rest.
    More(Vec<u8>, BufReader<File>),
}

impl Small {
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut file = whole_reads(File::open(path)?);
        let mut content = Vec::new();
        (&mut file).take(SMALL + 1).read_to_end(&mut content)?;
        Ok(if content.len() as u64 > SMALL {
            Self::More(content, file)
        } else {
            Self::Whole(content)
        })
    }
}
