//! What `put` is to store: files, folders, pipes, standard input.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// Something that a path led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Standard input
    Stdin,
    /// A file, and its size
    File(PathBuf, u64),
    /// Something that can be read once: a pipe or a device
    Stream(PathBuf),
    /// Left out on purpose
    Skipped(PathBuf, &'static str),
    /// Cannot be stored
    Failed(PathBuf, String),
}

/// Finds what there is to store, in the order of the arguments and below a folder in
/// the order of names: the same tree always gives the same layout.
pub struct Sources {
    recursive: bool,
    /// The heap itself and its side files, which grow while they would be read.
    heap: Vec<PathBuf>,
}

impl Sources {
    pub fn new(recursive: bool, db: &Path) -> Self {
        let heap = ["", "-wal", "-shm", "-journal"].map(|suffix| {
            let mut path = db.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        });
        let heap = heap.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
        Self { recursive, heap }
    }

    /// What one argument leads to.
    pub fn find<'a>(&'a self, path: &'a Path) -> Box<dyn Iterator<Item = Found> + 'a> {
        if path.as_os_str() == "-" {
            return Box::new(std::iter::once(Found::Stdin));
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() && self.recursive => Box::new(self.below(path)),
            Ok(found) if found.is_dir() => Box::new(std::iter::once(failed(path, "is a directory; use -r"))),
            Ok(_) if self.is_heap(path) => Box::new(std::iter::once(failed(path, "is the heap itself"))),
            Ok(found) if found.is_file() => Box::new(std::iter::once(Found::File(path.into(), found.len()))),
            Ok(_) => Box::new(std::iter::once(Found::Stream(path.into()))),
            Err(error) => Box::new(std::iter::once(failed(path, &error.to_string()))),
        }
    }

    fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = Found> + 'a {
        let entries = WalkDir::new(folder).sort_by_file_name().into_iter();
        entries.filter_map(|entry| match entry {
            Ok(entry) => self.entry(entry),
            Err(error) => {
                let path = error.path().unwrap_or(folder);
                let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                Some(failed(path, &why))
            }
        })
    }

    fn entry(&self, entry: DirEntry) -> Option<Found> {
        let kind = entry.file_type();
        if kind.is_dir() {
            return None;
        }
        let path = entry.path().to_owned();
        Some(match entry.metadata() {
            _ if kind.is_symlink() => Found::Skipped(path, "a symbolic link"),
            _ if !kind.is_file() => Found::Skipped(path, "not a regular file"),
            _ if self.is_heap(&path) => Found::Skipped(path, "the heap itself"),
            Ok(found) => Found::File(path, found.len()),
            Err(error) => Found::Failed(path, error.to_string()),
        })
    }

    fn is_heap(&self, path: &Path) -> bool {
        // Comparing names first spares a system call per file.
        let same_name = self.heap.iter().any(|heap| heap.file_name() == path.file_name());
        let same_file = || fs::canonicalize(path).is_ok_and(|path| self.heap.contains(&path));
        (same_name || path.is_symlink()) && same_file()
    }
}

fn failed(path: &Path, why: &str) -> Found {
    Found::Failed(path.to_owned(), why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_order_and_the_heap_in_it_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("b")).unwrap();
        for name in ["c", "b/x", "a", "heap.db", "heap.db-wal"] {
            fs::write(path(name), name).unwrap();
        }
        let sources = Sources::new(true, &path("heap.db"));
        let found: Vec<_> = sources.find(folder.path()).collect();
        assert_eq!(
            found,
            [
                Found::File(path("a"), 1),
                Found::File(path("b/x"), 3),
                Found::File(path("c"), 1),
                Found::Skipped(path("heap.db"), "the heap itself"),
                Found::Skipped(path("heap.db-wal"), "the heap itself"),
            ]
        );
    }
}
