//! Writes what names are bound to as a tree of files.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::attributes::{FileAttributes, FileType, leads_outside, path_of_bytes};
use super::folder::Unwritten;
use super::path_name::path_of_name;
use super::target::{Content, FolderTarget, Target};
use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::models::{MemRamId, StoredObjectId};
use crate::store::queries::names::{NameInfo, NameRange};
use crate::store::{ReadTx, queries};
use crate::value::Kind;

/// Options of [`MemManager::save_tree_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SaveTreeOptions {
    /// Whether files that exist are replaced. Otherwise they are left alone.
    pub replace: bool,
    /// Whether the permissions of files, links and empty folders are made as they were
    /// [stored](crate::FileAttributes). Otherwise files get those of any new file, and the others are skipped.
    pub attributes: bool,
    /// Whether links that may lead out of the folder are made, too.
    pub any_links: bool,
}

impl SaveTreeOptions {
    /// Sets whether files that exist are replaced.
    #[must_use]
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Sets whether permissions, links and empty folders are made as they were stored.
    #[must_use]
    pub fn attributes(mut self, attributes: bool) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets whether links that may lead out of the folder are made, too.
    #[must_use]
    pub fn any_links(mut self, any_links: bool) -> Self {
        self.any_links = any_links;
        self
    }
}

/// The result of [`MemManager::save_tree`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct SavedTree {
    /// Files written.
    pub files: u64,
    /// Links made.
    pub links: u64,
    /// Folders made that were stored as empty ones.
    pub folders: u64,
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
    /// The folder and those in it are created if there is a name to write, unless they exist. All files are from
    /// the state of one commit, and verified; each appears only when it is complete, with the permissions of any
    /// new file. What is written until then is in a folder `.heapledger-…` in `to`; if the process is killed, the
    /// next call for that folder removes the remains. The files are not synced to the disk.
    ///
    /// Nothing is written outside `to`, whatever the names are and whoever creates links in it at the same time. Some
    /// names are skipped and reported: those that are [no path](crate::NotAPath), or whose file or folder cannot be
    /// there because something else is (`a` and `a/b`, a link, a file that exists); and those of damaged objects. With
    /// [attributes](SaveTreeOptions), links are made last, and those that are absolute or have `..` in them that may
    /// lead out of `to` are skipped, too. O(names + content), in constant memory except for what is skipped.
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
        let to = to.as_ref();
        let mut target = FolderTarget::new(to, options.replace);
        self.save_into(prefix, &mut target, options, progress)
    }

    /// Writes what is below a prefix into a folder or a tar.
    pub(super) fn save_into(
        &self,
        prefix: &str,
        target: &mut dyn Target,
        options: SaveTreeOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<SavedTree> {
        let prefix = below(prefix);
        let range = NameRange::of(&prefix);
        let space = self.inner.space;
        let mut saving = Saving {
            target,
            options,
            space,
            prefix: prefix.len(),
            pass: Pass::Files,
            has: Vec::new(),
            done: SavedTree::default(),
        };
        self.inner.readers.snapshot_once(|tx| {
            for pass in [Pass::Files, Pass::Links, Pass::Folders] {
                if pass != Pass::Files && !saving.has.contains(&pass) {
                    continue;
                }
                saving.pass = pass;
                saving.target.start_over();
                let mut after = None;
                loop {
                    let names = queries::names::page(tx, space, &range, after.as_deref(), NAMES)?;
                    let Some(last) = names.last() else { break };
                    after = Some(last.name.clone());
                    saving.names(tx, &names, progress)?;
                }
            }
            Ok(saving.done)
        })
    }
}

/// What the names below a prefix begin with.
pub(super) fn below(prefix: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    }
}

/// What one pass through all names makes: links after everything that they could be in the way of, and the
/// permissions of folders after everything that could be in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Files,
    Links,
    Folders,
}

impl Pass {
    /// The pass that makes this.
    fn of(attributes: &FileAttributes) -> Self {
        match attributes.file_type {
            FileType::File => Self::Files,
            FileType::Link => Self::Links,
            FileType::Folder => Self::Folders,
        }
    }
}

/// Limit of the target of a link, as on Linux.
const MOST_TARGET: u64 = 4095;

struct Saving<'t> {
    target: &'t mut dyn Target,
    options: SaveTreeOptions,
    space: MemRamId,
    /// Bytes of the prefix.
    prefix: usize,
    pass: Pass,
    /// Passes for which something was found.
    has: Vec<Pass>,
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
            let pass = self.pass;
            let needed = now
                .iter()
                .filter(|name| pass == Pass::Files || Pass::of(&(&name.tags).into()) == pass);
            let keys: Vec<_> = needed.filter_map(small).collect();
            let contents: HashMap<_, _> = match queries::entries::in_one_piece(tx, &keys) {
                // One of them cannot be read, so each is read on its own.
                Err(Error::Damaged { .. }) => HashMap::new(),
                read => read?.into_iter().collect(),
            };
            for name in now {
                let content = contents.get(&name.stored_object_id).map(Vec::as_slice);
                let made = self.name(tx, name, content);
                self.settle(name, made)?;
                progress(self.done.bytes, 0);
            }
        }
        Ok(())
    }

    fn settle(&mut self, name: &NameInfo, made: Result<(), Unwritten>) -> Result<()> {
        match made {
            Ok(()) => Ok(()),
            Err(Unwritten::Failed(error)) => Err(error),
            Err(Unwritten::Skipped(why)) => {
                let name = name.name.clone();
                self.done.skipped.push(UnsavedName { name, why });
                Ok(())
            }
        }
    }

    fn name(&mut self, tx: &mut ReadTx<'_>, name: &NameInfo, whole: Option<&[u8]>) -> Result<(), Unwritten> {
        let below = name.name.get(self.prefix..).unwrap_or_default();
        let path = match path_of_name(below) {
            Ok(path) if name.kind != Kind::Unknown => path,
            _ if self.pass != Pass::Files => return Ok(()),
            Ok(_) => return skipped("its object is of a kind that this version does not know"),
            Err(why) => return skipped(&why.to_string()),
        };
        let attributes: FileAttributes = (&name.tags).into();
        let mode = attributes.mode.filter(|_| self.options.attributes);
        let content = Content { tx, name, whole };
        match (self.pass, attributes.file_type) {
            (Pass::Files, FileType::File) => {
                self.target.file(&path, name, mode, content)?;
                self.done.files += 1;
                self.done.bytes += name.size;
            }
            (Pass::Files, _) if !self.options.attributes => {
                return skipped("it is a link or an empty folder, and these were not asked for");
            }
            (Pass::Files, FileType::Link) => self.needs(Pass::Links),
            (Pass::Files, FileType::Folder) => {
                self.target.folder(&path, name, mode)?;
                self.done.folders += 1;
                if mode.is_some() {
                    self.needs(Pass::Folders);
                }
            }
            (Pass::Links, FileType::File) => self.target.again(name),
            (Pass::Links, FileType::Link) => self.link(&path, content)?,
            (Pass::Folders, FileType::Folder) => {
                if let Some(mode) = mode {
                    self.target.permit(&path, mode)?;
                }
            }
            (Pass::Links | Pass::Folders, _) => {}
        }
        Ok(())
    }

    fn needs(&mut self, pass: Pass) {
        if !self.has.contains(&pass) {
            self.has.push(pass);
        }
    }

    fn link(&mut self, path: &Path, content: Content<'_, '_>) -> Result<(), Unwritten> {
        let name = content.name;
        if name.size > MOST_TARGET {
            return skipped("its target is too long for a link");
        }
        let beneath = NameRange::of(&format!("{}/", name.name));
        let has_below = !queries::names::page(content.tx, self.space, &beneath, None, 1)?.is_empty();
        let mut target = Vec::new();
        content.each(&mut |part| {
            target.extend_from_slice(part);
            Ok(())
        })?;
        let target = path_of_bytes(&target).filter(|_| !target.is_empty() && !target.contains(&0));
        let Some(target) = target else {
            return skipped("its content is not the target of a link");
        };
        if !self.options.any_links && leads_outside(path, &target) {
            return skipped("it is a link that may lead outside");
        }
        self.target.link(path, name, &target, has_below)?;
        self.done.links += 1;
        Ok(())
    }
}

fn skipped(why: &str) -> Result<(), Unwritten> {
    Err(Unwritten::Skipped(why.to_owned()))
}

/// The key of an object that is read together with others.
fn small(name: &NameInfo) -> Option<StoredObjectId> {
    (name.size <= SMALL).then_some(name.stored_object_id)
}
