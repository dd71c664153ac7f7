//! The sources of `put`: files, folders, pipes, standard input.

use std::fs;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use heapledger::{Hasher, Kind, MemManager, ObjectId};
use walkdir::{DirEntry, WalkDir};

/// Something found at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Standard input
    Stdin,
    /// A file, and its size
    File(PathBuf, u64),
    /// Something that can be read once: a pipe or a device
    Stream(PathBuf),
    /// A symbolic link, and its target
    Link(PathBuf, PathBuf),
    /// An empty folder
    Folder(PathBuf),
    /// Skipped on purpose
    Skipped(PathBuf, &'static str),
    /// Cannot be stored
    Failed(PathBuf, String),
}

impl Found {
    /// Where it was found.
    pub fn path(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("-"),
            Self::File(path, _) | Self::Stream(path) | Self::Skipped(path, _) | Self::Failed(path, _) => path,
            Self::Link(path, _) | Self::Folder(path) => path,
        }
    }
}

/// Finds what to store, in the order of the arguments and, in folders, in the order of names, so
/// that the same tree always gives the same layout. An open heap and its side files are skipped,
/// because they would grow while they are read, and so are temporary folders of heapledger.
#[derive(Default)]
pub struct Sources {
    /// Whether the contents of folders are found.
    pub recursive: bool,
    /// Whether links and empty folders are found, too.
    pub attributes: bool,
}

impl Sources {
    /// What one argument refers to.
    pub fn find<'a>(&'a self, path: &'a Path) -> Box<dyn Iterator<Item = Found> + 'a> {
        if path.as_os_str() == "-" {
            return Box::new(std::iter::once(Found::Stdin));
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() && self.recursive => Box::new(self.below(path)),
            Ok(found) if found.is_dir() => Box::new(std::iter::once(failed(path, "is a directory; use -r"))),
            Ok(_) if MemManager::has_open(path) => Box::new(std::iter::once(failed(path, "is the heap itself"))),
            Ok(found) if found.is_file() => Box::new(std::iter::once(Found::File(path.into(), found.len()))),
            Ok(_) => Box::new(std::iter::once(Found::Stream(path.into()))),
            Err(error) => Box::new(std::iter::once(failed(path, &error.to_string()))),
        }
    }

    fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = Found> + 'a {
        let mut entries = WalkDir::new(folder).sort_by_file_name().into_iter();
        std::iter::from_fn(move || {
            loop {
                let found = match entries.next()? {
                    Ok(entry) if is_being_made(&entry) => {
                        entries.skip_current_dir();
                        Some(Found::Skipped(entry.into_path(), "a temporary file of heapledger"))
                    }
                    Ok(entry) => self.entry(entry),
                    Err(error) => {
                        let path = error.path().unwrap_or(folder);
                        let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                        Some(failed(path, &why))
                    }
                };
                if found.is_some() {
                    return found;
                }
            }
        })
    }

    fn entry(&self, entry: DirEntry) -> Option<Found> {
        let kind = entry.file_type();
        let path = entry.path().to_owned();
        if kind.is_dir() {
            let is_wanted = self.attributes && entry.depth() > 0;
            return (is_wanted && is_empty_folder(&path)).then_some(Found::Folder(path));
        }
        Some(match entry.metadata() {
            _ if kind.is_symlink() && self.attributes => match fs::read_link(&path) {
                Ok(target) => Found::Link(path, target),
                Err(error) => Found::Failed(path, error.to_string()),
            },
            _ if kind.is_symlink() => Found::Skipped(path, "a symbolic link"),
            _ if !kind.is_file() => Found::Skipped(path, "not a regular file"),
            _ if MemManager::has_open(&path) => Found::Skipped(path, "the heap itself"),
            Ok(found) => Found::File(path, found.len()),
            Err(error) => Found::Failed(path, error.to_string()),
        })
    }
}

/// Whether a folder is there, and has nothing in it.
pub fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether it is a folder in which heapledger is writing a backup, an export or a heap, or left
/// one when it was killed (`.heapledger-SYSTEM-RANDOM`). It would change while it is read, and
/// disappear soon. It can still be given as an argument.
fn is_being_made(entry: &DirEntry) -> bool {
    if entry.depth() == 0 || !entry.file_type().is_dir() {
        return false;
    }
    let name = entry.file_name().to_str();
    let parts = name.and_then(|name| name.strip_prefix(".heapledger-")?.split_once('-'));
    parts.is_some_and(|(system, random)| system.len() == 8 && random.len() == 6)
}

fn failed(path: &Path, why: &str) -> Found {
    Found::Failed(path.to_owned(), why.to_owned())
}

/// The id of a content, and its size.
pub fn hash(mut content: impl Read) -> io::Result<(ObjectId, u64)> {
    let mut hasher = Hasher::new(Kind::Bytes);
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(count) => {
                hasher.update(buffer.get(..count).unwrap_or_default());
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

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

/// Some files in /proc can only be read in multiples of a certain size, so reads are buffered.
pub fn whole_reads(file: File) -> BufReader<File> {
    BufReader::with_capacity(512 * 1024, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_order_without_the_heap_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("b")).unwrap();
        for name in ["c", "b/x", "a", "other.db-wal"] {
            fs::write(path(name), name).unwrap();
        }
        let heap = MemManager::open(path("b/heap.db")).unwrap();
        heap.allocate("it").unwrap();
        fs::hard_link(path("b/heap.db-shm"), path("index")).unwrap();
        let sources = Sources {
            recursive: true,
            attributes: false,
        };
        let found: Vec<_> = sources.find(folder.path()).collect();
        let heap_itself = |name| Found::Skipped(path(name), "the heap itself");
        assert_eq!(
            found,
            [
                Found::File(path("a"), 1),
                heap_itself("b/heap.db"),
                heap_itself("b/heap.db-shm"),
                heap_itself("b/heap.db-wal"),
                Found::File(path("b/x"), 3),
                Found::File(path("c"), 1),
                heap_itself("index"),
                Found::File(path("other.db-wal"), 12),
            ]
        );
    }
}
