//! Writes what names are bound to as a tar of files.

use std::io::Write;
use std::path::Path;

use super::folder::Unwritten;
use super::save::{SaveTreeOptions, SavedTree};
use super::target::{Content, Target};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::manager::MemManager;
use crate::manager::transfer::tar::write::{Member, TarWriter, What};
use crate::store::queries::names::NameInfo;

/// Permissions that are not stored.
const FILE: u32 = 0o644;
const FOLDER: u32 = 0o755;
const LINK: u32 = 0o777;

impl MemManager {
    /// Writes the object of each name below `prefix` as a file into a tar, in the format of GNU tar: the files that
    /// [`Self::save_tree`] writes into a folder, in the order of their names, and then the links. The time of a file
    /// is when its object was stored, so the same state always gives the same bytes; it belongs to nobody in
    /// particular (user 0), and its permissions are 0644 unless they are stored.
    ///
    /// Names are skipped and reported in the same way. But a damaged object ends the tar with an error, without the
    /// mark of the end, because what is written cannot be taken back. O(names + content), in constant memory except
    /// for what is skipped.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written; [`Error::Damaged`]; [`Error::Interrupted`] after
    /// [`interrupt`](crate::interrupt); what [any call](MemManager#errors) fails with.
    pub fn save_tree_tar(
        &self,
        prefix: &str,
        to: impl Write,
        options: SaveTreeOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<SavedTree> {
        let mut tar = TreeTar {
            writer: TarWriter::new(to),
            above: Vec::new(),
        };
        let saved = self.save_into(prefix, &mut tar, options, progress)?;
        tar.writer.finish()?;
        Ok(saved)
    }
}

/// A tar of files that is being written.
struct TreeTar<W: Write> {
    writer: TarWriter<W>,
    /// The names of the last files that the next name begins with: it cannot be below one of them. Names come in order.
    above: Vec<String>,
}

impl<W: Write> TreeTar<W> {
    fn enter(&mut self, name: &NameInfo) -> Result<(), Unwritten> {
        self.above.retain(|above| name.name.starts_with(above.as_str()));
        let is_below = |above: &String| name.name.as_bytes().get(above.len()) == Some(&b'/');
        match self.above.iter().any(is_below) {
            true => Err(Unwritten::Skipped("a file or a link is where it needs a folder".into())),
            false => Ok(()),
        }
    }

    fn write(&mut self, path: &[u8], what: What<'_>, mode: u32, name: &NameInfo) -> Result<()> {
        let at = name.stored_at;
        self.writer.begin(&Member { path, what, mode, at })
    }
}

impl<W: Write> Target for TreeTar<W> {
    fn file(
        &mut self,
        path: &Path,
        name: &NameInfo,
        mode: Option<u32>,
        content: Content<'_, '_>,
    ) -> Result<(), Unwritten> {
        self.enter(name)?;
        self.above.push(name.name.clone());
        self.write(&in_tar(path), What::File(name.size), mode.unwrap_or(FILE), name)?;
        let written = content.each(&mut |part| self.writer.data(part));
        written.map_err(|error| error.or_damaged(name))?;
        Ok(self.writer.end()?)
    }

    fn folder(&mut self, path: &Path, name: &NameInfo, mode: Option<u32>) -> Result<(), Unwritten> {
        self.enter(name)?;
        let mut path = in_tar(path);
        path.push(b'/');
        Ok(self.write(&path, What::Folder, mode.unwrap_or(FOLDER), name)?)
    }

    fn link(&mut self, path: &Path, name: &NameInfo, target: &Path, has_below: bool) -> Result<(), Unwritten> {
        self.enter(name)?;
        if has_below {
            return Err(Unwritten::Skipped("a folder is there".into()));
        }
        self.above.push(name.name.clone());
        let target = target.as_os_str().as_encoded_bytes();
        Ok(self.write(&in_tar(path), What::Link(target), LINK, name)?)
    }

    /// Files were written in an earlier pass, but names below them must still be refused.
    fn again(&mut self, name: &NameInfo) {
        if self.enter(name).is_ok() {
            self.above.push(name.name.clone());
        }
    }

    fn start_over(&mut self) {
        self.above.clear();
    }
}

/// A path as it is in a tar, on any system.
fn in_tar(path: &Path) -> Vec<u8> {
    let parts: Vec<_> = path.iter().map(|part| part.as_encoded_bytes()).collect();
    parts.join(&b'/')
}
