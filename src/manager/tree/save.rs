//! Writes what names are bound to as a tree of files.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::folder::{TreeFolder, Unwritten};
use super::path_name::path_of_name;
use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::models::StoredObjectId;
use crate::store::queries::names::{NameInfo, NameRange};
use crate::store::{ReadTx, queries};
use crate::value::{Hasher, Kind};

/// Options of [`MemManager::save_tree_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SaveTreeOptions {
    /// Whether files that exist are replaced. Otherwise they are left alone.
    pub replace: bool,
}

impl SaveTreeOptions {
    /// Sets whether files that exist are replaced.
    #[must_use]
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }
}

/// The result of [`MemManager::save_tree`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct SavedTree {
    /// Files written.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Names for which no file was written.
    pub skipped: Vec<UnsavedName>,
}

/// A name for which no file was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnsavedName {
    /// The name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Names that are read at once, and the bytes of their objects.
const NAMES: i64 = 500;
const BYTES: u64 = 8 * 1024 * 1024;
/// Objects up to this size are read together.
const SMALL: u64 = 512 * 1024;

impl MemManager {
    /// Writes the object of each name below `prefix`, which is each that begins with `prefix` and `/`, as a file
    /// into the folder `to`: `photos/2026/a.jpg` below `photos` as `to/2026/a.jpg`. With an empty prefix it
    /// writes all names. It is the way back from names that [`name_of_path`](crate::name_of_path) made.
    ///
    /// The folder and those in it are created, unless they exist, and if there is a name to write. All files are
    /// of the state of one commit, and verified; each appears only when it is complete, with the permissions of
    /// any new file. What is written until then is in a folder `.heapledger-…` in `to`; if the process is killed,
    /// the next call for that folder removes the remains. The files are not synced to the disk.
    ///
    /// Nothing is written outside `to`, whatever the names are and whoever creates links in it at the same time.
    /// Some names are skipped and reported: those that are [no path](crate::NotAPath), or whose file or folder
    /// cannot be there because something else is (`a` and `a/b`, a link, a file that exists); and those of
    /// damaged objects. O(names + content), in constant memory but for what is skipped.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be written; [`Error::Damaged`] if a name is not UTF-8;
    /// [`Error::Interrupted`] after [`interrupt`](crate::interrupt); what [any call](MemManager#errors) fails
    /// with. Files written before stay.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// # let to = folder.path().join("copy");
    /// use heapledger::Hold;
    ///
    /// memory.store_bytes(b"a cat", Hold::Name("photos/cat"))?;
    /// memory.store_bytes(b"a trick", Hold::Name("photos/../trick"))?;
    /// let saved = memory.save_tree("photos", &to)?;
    /// assert_eq!(std::fs::read(to.join("cat")).unwrap(), b"a cat");
    /// assert_eq!((saved.files, saved.skipped[0].name.as_str()), (1, "photos/../trick"));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn save_tree(&self, prefix: &str, to: impl AsRef<Path>) -> Result<SavedTree> {
        self.save_tree_with(prefix, to, SaveTreeOptions::default(), &mut |_, _| {})
    }

    /// Like [`Self::save_tree`]; `progress` gets the bytes written, and a total of 0, because it is not known.
    ///
    /// # Errors
    /// Those of [`Self::save_tree`].
    pub fn save_tree_with(
        &self,
        prefix: &str,
        to: impl AsRef<Path>,
        options: SaveTreeOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<SavedTree> {
        let prefix = below(prefix);
        let range = NameRange::of(&prefix);
        let space = self.inner.space;
        let mut saving = Saving {
            to: to.as_ref(),
            options,
            prefix: prefix.len(),
            folder: None,
            done: SavedTree::default(),
        };
        self.inner.readers.snapshot_once(|tx| {
            let mut after = None;
            loop {
                let names = queries::names::page(tx, space, &range, after.as_deref(), NAMES)?;
                let Some(last) = names.last() else { break };
                after = Some(last.name.clone());
                saving.names(tx, &names, progress)?;
            }
            Ok(saving.done)
        })
    }
}

/// What the names below a prefix begin with.
fn below(prefix: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    }
}

struct Saving<'t> {
    to: &'t Path,
    options: SaveTreeOptions,
    /// Bytes of the prefix.
    prefix: usize,
    /// Made for the first file.
    folder: Option<TreeFolder>,
    done: SavedTree,
}

impl Saving<'_> {
    fn names(&mut self, tx: &mut ReadTx<'_>, names: &[NameInfo], progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let mut rest = names;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|name| {
                let before = bytes;
                bytes += small(name).map_or(0, |_| name.size);
                before < BYTES
            });
            let (now, later) = rest.split_at(fits.count());
            rest = later;
            let keys: Vec<_> = now.iter().filter_map(small).collect();
            let contents: HashMap<_, _> = queries::entries::in_one_piece(tx, &keys)?.into_iter().collect();
            for name in now {
                self.name(tx, name, contents.get(&name.stored_object_id).map(Vec::as_slice))?;
                progress(self.done.bytes, 0);
            }
        }
        Ok(())
    }

    fn name(&mut self, tx: &mut ReadTx<'_>, name: &NameInfo, content: Option<&[u8]>) -> Result<()> {
        match self.file(tx, name, content) {
            Ok(()) => {
                self.done.files += 1;
                self.done.bytes += name.size;
                Ok(())
            }
            Err(Unwritten::Failed(error)) => Err(error),
            Err(Unwritten::Skipped(why)) => {
                let name = name.name.clone();
                self.done.skipped.push(UnsavedName { name, why });
                Ok(())
            }
        }
    }

    fn file(&mut self, tx: &mut ReadTx<'_>, name: &NameInfo, content: Option<&[u8]>) -> Result<(), Unwritten> {
        let below = name.name.get(self.prefix..).unwrap_or_default();
        let path = path_of_name(below).map_err(|why| Unwritten::Skipped(why.to_string()))?;
        if name.kind == Kind::Unknown {
            let why = "its object is of a kind that this version does not know";
            return Err(Unwritten::Skipped(why.to_owned()));
        }
        let folder = match &mut self.folder {
            Some(folder) => folder,
            None => self.folder.insert(TreeFolder::make(self.to, self.options.replace)?),
        };
        let cannot = || Error::io(format!("{} cannot be written", self.to.join(&path).display()));
        folder.write(&path, |file| {
            let mut hasher = Hasher::new(name.kind);
            let mut write = |file: &mut File, part: &[u8]| {
                hasher.update(part);
                file.write_all(part).map_err(cannot())
            };
            match content {
                Some(content) => write(file, content)?,
                None => queries::entries::each_piece(tx, name.stored_object_id, |part| write(file, &part))?,
            }
            match hasher.finish() {
                found if found == name.object_id => Ok(()),
                _ => Err(Unwritten::Skipped("its object is damaged".to_owned())),
            }
        })
    }
}

/// The key of an object that is read together with others.
fn small(name: &NameInfo) -> Option<StoredObjectId> {
    (name.size <= SMALL).then_some(name.stored_object_id)
}
