//! What a tree is written to: a folder or a tar.

use std::io::Write;
use std::path::Path;

use super::folder::{TreeFolder, Unwritten};
use crate::error::{Error, Result};
use crate::store::queries::names::NameInfo;
use crate::store::{ReadTx, queries};
use crate::value::Hasher;

/// Where a tree is written to.
pub(super) trait Target {
    fn file(
        &mut self,
        path: &Path,
        name: &NameInfo,
        mode: Option<u32>,
        content: Content<'_, '_>,
    ) -> Result<(), Unwritten>;

    fn folder(&mut self, path: &Path, name: &NameInfo, mode: Option<u32>) -> Result<(), Unwritten>;

    /// `has_below` is whether other names are below this one.
    fn link(&mut self, path: &Path, name: &NameInfo, target: &Path, has_below: bool) -> Result<(), Unwritten>;

    /// Changes the permissions of a folder, after all that may be in it was written.
    fn permit(&mut self, _: &Path, _: u32) -> Result<(), Unwritten> {
        Ok(())
    }

    /// The names come again, beginning with the first.
    fn start_over(&mut self) {}

    /// A file that was written before.
    fn again(&mut self, _: &NameInfo) {}
}

/// A folder, made when the first file comes.
pub(super) struct FolderTarget<'t> {
    to: &'t Path,
    replace: bool,
    folder: Option<TreeFolder>,
}

impl<'t> FolderTarget<'t> {
    pub fn new(to: &'t Path, replace: bool) -> Self {
        Self {
            to,
            replace,
            folder: None,
        }
    }

    fn made(&mut self) -> Result<&mut TreeFolder> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => TreeFolder::make(self.to, self.replace)?,
        };
        Ok(self.folder.insert(folder))
    }
}

impl Target for FolderTarget<'_> {
    fn file(
        &mut self,
        path: &Path,
        _: &NameInfo,
        mode: Option<u32>,
        content: Content<'_, '_>,
    ) -> Result<(), Unwritten> {
        let cannot = format!("{} cannot be written", self.to.join(path).display());
        self.made()?.write(path, mode, |file| {
            content.each(&mut |part| file.write_all(part).map_err(Error::io(cannot.as_str())))
        })
    }

    fn folder(&mut self, path: &Path, _: &NameInfo, _: Option<u32>) -> Result<(), Unwritten> {
        self.made()?.folder(path)
    }

    fn link(&mut self, path: &Path, _: &NameInfo, target: &Path, _: bool) -> Result<(), Unwritten> {
        self.made()?.link(path, target)
    }

    fn permit(&mut self, path: &Path, mode: u32) -> Result<(), Unwritten> {
        self.made()?.permit_folder(path, mode)
    }
}

/// The content of a name, to be read.
pub(super) struct Content<'r, 'c> {
    pub tx: &'r mut ReadTx<'c>,
    pub name: &'r NameInfo,
    /// All of it, if it was read with others.
    pub whole: Option<&'r [u8]>,
}

impl Content<'_, '_> {
    /// Passes it to `take` in parts. If it is in memory it is verified before, otherwise after.
    pub fn each(self, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<(), Unwritten> {
        let mut hasher = Hasher::new(self.name.kind);
        let damaged = || Unwritten::Skipped(DAMAGED.to_owned());
        if let Some(whole) = self.whole {
            hasher.update(whole);
            return match hasher.finish() == self.name.object_id {
                true => Ok(take(whole)?),
                false => Err(damaged()),
            };
        }
        let take = |part: Vec<u8>| {
            hasher.update(&part);
            take(&part)
        };
        queries::entries::each_piece_or(self.tx, self.name.stored_object_id, take, damaged)?;
        match hasher.finish() == self.name.object_id {
            true => Ok(()),
            false => Err(damaged()),
        }
    }
}

const DAMAGED: &str = "its object is damaged";

impl Unwritten {
    /// The error for a file that can no longer be skipped.
    pub fn or_damaged(self, name: &NameInfo) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Skipped(why) => Error::Damaged {
                what: format!("the file of {:?} cannot be written: {why}", name.name),
            },
        }
    }
}
