//! Stores the files of a tar under their paths.

use std::io::Read;
use std::mem;
use std::path::PathBuf;

use serde::Serialize;

use super::attributes::{FileAttributes, FileType, path_of_bytes};
use super::path_name::name_of_path;
use super::save::below;
#[cfg(doc)]
use crate::error::TransferError;
use crate::error::{Error, Result};
use crate::manager::transfer::tar::stream::{Member, MemberKind, Members, TarStream};
use crate::manager::{Allocation, Hold, HoldWith, MemManager, names};

/// Options of [`MemManager::store_tar`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreTarOptions {
    /// What names begin with, before a `/`.
    pub prefix: String,
    /// Whether permissions, symbolic links and empty folders are stored, too.
    pub attributes: bool,
}

impl StoreTarOptions {
    /// Sets what names begin with, before a `/`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets whether permissions, symbolic links and empty folders are stored, too.
    #[must_use]
    pub fn attributes(mut self, attributes: bool) -> Self {
        self.attributes = attributes;
        self
    }
}

/// The result of [`MemManager::store_tar`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct StoredTar {
    /// Names bound.
    pub names: u64,
    /// Of these, names of contents that were already stored.
    pub dedup_hits: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Members that were not to be stored: links and folders, devices, pipes.
    pub skipped: u64,
    /// Members that could not be stored.
    pub failed: u64,
}

/// A member of a tar that was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnstoredMember {
    /// Its path in the tar.
    pub path: PathBuf,
    /// Why.
    pub why: String,
    /// Whether it should have been stored.
    pub failed: bool,
}

/// Limit of a batch, which is in memory as a whole.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
const BATCH_FILES: usize = 500;
/// Bytes of a path that are reported.
const SHOWN: usize = 4096;

impl MemManager {
    /// Stores each file of a tar, and binds the [name of its path](crate::name_of_path); names that are already bound
    /// move. Small files are stored together, large ones in parts, like [`Self::store_from`]: the tar is read once,
    /// from front to back, in constant memory, and never while a transaction is open. A hard link gives the file it
    /// leads to another name. `report` gets each member that is not stored: absolute paths, `..`, devices; `progress`
    /// gets the bytes.
    ///
    /// # Errors
    /// [`TransferError::BadExport`] if the tar is damaged or truncated: files stored before it stay;
    /// what [`Self::store_from`] fails with.
    pub fn store_tar(
        &self,
        from: TarStream<impl Read>,
        options: &StoreTarOptions,
        report: &mut dyn FnMut(UnstoredMember),
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<StoredTar> {
        let mut storing = Storing {
            memory: self,
            options,
            prefix: below(&options.prefix),
            report,
            done: StoredTar::default(),
            folder: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
        };
        from.read(|members| {
            let stored = storing.all(members, progress);
            // Those before an error stay.
            let ended = storing.store_folder(None).and_then(|()| storing.store_waiting());
            stored.and(ended)
        })?;
        Ok(storing.done)
    }
}

/// A file to store with others.
struct Waiting {
    path: Vec<u8>,
    name: String,
    attributes: FileAttributes,
    content: Vec<u8>,
}

struct Storing<'s> {
    memory: &'s MemManager,
    options: &'s StoreTarOptions,
    prefix: String,
    report: &'s mut dyn FnMut(UnstoredMember),
    done: StoredTar,
    /// A folder that may be empty.
    folder: Option<Waiting>,
    waiting: Vec<Waiting>,
    waiting_bytes: u64,
}

impl Storing<'_> {
    fn all<R: Read>(&mut self, members: &mut Members<'_, R>, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        while let Some(mut member) = members.next()? {
            let stored = self.member(&mut member);
            self.settle(stored, &member.path)?;
            member.skip()?;
            progress(self.done.bytes, 0);
        }
        Ok(())
    }

    /// Reports what concerns one member alone.
    fn settle(&mut self, stored: Result<(), Unstored>, path: &[u8]) -> Result<()> {
        let (why, failed) = match stored {
            Ok(()) => return Ok(()),
            Err(Unstored::Skipped(why)) => (why.to_owned(), false),
            Err(Unstored::Failed(
                error @ (Error::KindConflict { .. }
                | Error::BadName { .. }
                | Error::NameIsId { .. }
                | Error::NulInName { .. }),
            )) => (error.to_string(), true),
            Err(Unstored::Failed(error)) => return Err(error),
            Err(Unstored::No(why)) => (why, true),
        };
        self.done.skipped += u64::from(!failed);
        self.done.failed += u64::from(failed);
        let path = path.get(..SHOWN).unwrap_or(path);
        let path = path_of_bytes(path).unwrap_or_else(|| String::from_utf8_lossy(path).into_owned().into());
        (self.report)(UnstoredMember { path, why, failed });
        Ok(())
    }

    fn member<R: Read>(&mut self, member: &mut Member<'_, R>) -> Result<(), Unstored> {
        match member.what {
            MemberKind::Other(why) => return Err(Unstored::Skipped(why)),
            MemberKind::Unknown(why) => return Err(Unstored::No(why.to_owned())),
            _ => {}
        }
        if is_root(&member.path) && member.what == MemberKind::Folder {
            return Ok(());
        }
        let name = self.name(&member.path)?;
        self.store_folder(Some(&name))?;
        names::validate(&name)?;
        let file_type = match member.what {
            MemberKind::Folder => FileType::Folder,
            MemberKind::Link(_) => FileType::Link,
            _ => FileType::File,
        };
        let mut file = Waiting {
            path: member.path.clone(),
            name,
            attributes: FileAttributes::new(file_type, self.options.attributes.then_some(member.mode)),
            content: Vec::new(),
        };
        match member.what.clone() {
            MemberKind::File => self.file(member, file),
            MemberKind::Again(target) => self.again(&target, &file.name),
            MemberKind::Folder if self.options.attributes => {
                self.folder = Some(file);
                Ok(())
            }
            MemberKind::Link(content) if self.options.attributes => {
                file.content = content;
                Ok(self.wait(file)?)
            }
            MemberKind::Link(_) => Err(Unstored::Skipped("a symbolic link")),
            _ => Ok(()),
        }
    }

    /// The name for a path.
    fn name(&self, path: &[u8]) -> Result<String, Unstored> {
        let path = path_of_bytes(path).ok_or_else(|| Unstored::No("its path is not UTF-8".into()))?;
        let Some(name) = name_of_path(&path) else {
            let why = match path {
                _ if path.is_absolute() || path.has_root() => "its path is absolute",
                _ if path.as_os_str().is_empty() => "its path is empty",
                _ => "its path has .. in it",
            };
            return Err(Unstored::No(why.into()));
        };
        Ok(format!("{}{name}", self.prefix))
    }

    fn file<R: Read>(&mut self, member: &mut Member<'_, R>, mut file: Waiting) -> Result<(), Unstored> {
        if member.size < BATCH_BYTES {
            let read = member.read_to_end(&mut file.content);
            read.map_err(|error| member.bad(error))?;
            return Ok(self.wait(file)?);
        }
        self.store_waiting()?;
        let space = self.memory.memram()?;
        if member.size > space.attainable() && member.size > space.mem {
            return Ok(self.memory.refuse_unread(member.size)?);
        }
        let tags = file.attributes.tags();
        let stored = self.memory.store_from(&mut *member, hold(&file.name, &tags))?;
        self.count(&stored);
        Ok(())
    }

    /// Gives an earlier file another name.
    fn again(&mut self, target: &[u8], name: &str) -> Result<(), Unstored> {
        self.store_waiting()?;
        let target = self.name(target)?;
        let Some(id) = self.memory.resolve(&target)? else {
            return Err(Unstored::No(format!("it is a link to {target}, which is not stored")));
        };
        let tags = self.memory.tags(&*target)?;
        self.memory.batch(|batch| {
            batch.bind(name, &id)?;
            tags.iter().try_for_each(|(key, value)| batch.tag(name, key, value))
        })?;
        self.done.names += 1;
        self.done.dedup_hits += 1;
        Ok(())
    }

    /// Stores the last folder, unless the next member is in it.
    fn store_folder(&mut self, next: Option<&str>) -> Result<()> {
        let is_below = |folder: &Waiting| {
            let below = next.and_then(|next| next.strip_prefix(folder.name.as_str()));
            below.is_some_and(|below| below.starts_with('/'))
        };
        match self.folder.take() {
            Some(folder) if !is_below(&folder) => self.wait(folder),
            _ => Ok(()),
        }
    }

    fn wait(&mut self, file: Waiting) -> Result<()> {
        self.waiting_bytes += file.content.len() as u64;
        self.waiting.push(file);
        match self.waiting.len() < BATCH_FILES && self.waiting_bytes < BATCH_BYTES {
            true => Ok(()),
            false => self.store_waiting(),
        }
    }

    fn store_waiting(&mut self) -> Result<()> {
        let files = mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if files.is_empty() {
            return Ok(());
        }
        let stored = self.memory.batch(|batch| {
            let stored = files.iter().map(|file| {
                let tags = file.attributes.tags();
                batch.store_bytes(&file.content, hold(&file.name, &tags))
            });
            stored.collect::<Result<Vec<_>>>()
        });
        match stored {
            Ok(stored) => stored.iter().for_each(|stored| self.count(stored)),
            // None was stored. One at a time, all that can be are stored, and an error is about one file.
            Err(Error::OutOfMemory { .. } | Error::QuotaExceeded { .. } | Error::KindConflict { .. }) => {
                for file in &files {
                    let tags = file.attributes.tags();
                    let stored = self.memory.store_bytes(&file.content, hold(&file.name, &tags));
                    let stored = stored.map(|stored| self.count(&stored));
                    self.settle(stored.map_err(Unstored::Failed), &file.path)?;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn count(&mut self, stored: &Allocation) {
        self.done.names += 1;
        self.done.dedup_hits += u64::from(stored.dedup);
        self.done.bytes += stored.size;
    }
}

/// Why a member is not stored.
enum Unstored {
    /// It was not to be stored.
    Skipped(&'static str),
    /// It cannot be stored.
    No(String),
    Failed(Error),
}

impl From<Error> for Unstored {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn hold<'h>(name: &'h str, tags: &'h [(&'static str, String)]) -> HoldWith<'h> {
    HoldWith::from(Hold::Name(name)).tags(tags.iter().map(|(key, value)| (*key, value.as_str())))
}

/// Whether it is the folder that everything is in.
fn is_root(path: &[u8]) -> bool {
    path_of_bytes(path).is_some_and(|path| path.components().all(|part| part == std::path::Component::CurDir))
}
