//! Imports an export that is a tar.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::SpooledTempFile;

use super::stream::{Member, MemberKind, Members, TarStream, bad};
use crate::error::{Error, Result, TransferError};
use crate::manager::MemManager;
use crate::manager::transfer::import::{ImportOptions, Imported, Origin, Where, bad_content, is_of, other_size, unit};
use crate::manager::transfer::manifest::{Item, Lines, MANIFEST};
use crate::value::{Hasher, ObjectId, Validator};

/// Bytes that stay in memory; more go to a temporary file.
const IN_MEMORY: usize = 8 * 1024 * 1024;
/// Bytes per read.
const CHUNK: usize = 256 * 1024;

impl MemManager {
    /// Stores what [`Self::export_tar`] wrote, like [`Self::import_with`]: the manifest comes first, so errors
    /// in it and refused names are found before anything is stored; each content must match its id; a
    /// tar that is truncated or damaged is an error, and can be imported again. It is read once, from front to back,
    /// and never while a transaction is open. The manifest and objects of more than 8 MiB are in the folder
    /// for temporary files meanwhile; the rest is in constant memory.
    ///
    /// # Errors
    /// [`TransferError::NotAnExport`]; [`TransferError::BadExport`] also if its members are in another order, as in one
    /// that was made of the folder of an export; others as for [`Self::import`].
    pub fn import_tar(
        &self,
        from: TarStream<impl Read>,
        options: ImportOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Imported> {
        from.read(|members| {
            let (root, mut manifest) = manifest(members)?;
            let total = self.look_through(lines(&mut manifest)?, &Tar, options)?.bytes;
            let mut lines = lines(&mut manifest)?;
            let mut before: Option<ObjectId> = None;
            let mut next = || {
                unit(&mut lines, |item| {
                    if before.replace(item.id) == Some(item.id) {
                        return Ok(Where::Before);
                    }
                    self.refuse_too_large(item)?;
                    Ok(Where::Here(Box::new(content(members, &root, item)?)))
                })
            };
            let done = self.import_units(&Tar, options, &mut next, &mut |done| progress(done, total))?;
            match members.next()? {
                None => Ok(done),
                Some(more) => Err(bad(
                    path(&more.path),
                    "the manifest does not have it; all else is imported",
                )),
            }
        })
    }

    /// Refuses what can neither fit nor be already stored, before it is read.
    fn refuse_too_large(&self, item: &Item) -> Result<()> {
        let space = self.memram()?;
        match item.line.size > space.attainable() && item.line.size > space.mem {
            true => self.refuse_unread(item.line.size),
            false => Ok(()),
        }
    }
}

/// What errors call files in a tar.
struct Tar;

impl Origin for Tar {
    fn path(&self, file: &Path) -> PathBuf {
        file.to_owned()
    }

    fn file(&self, file: &Path) -> Result<File> {
        Err(bad(file, "it is in a tar"))
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn lines(manifest: &mut SpooledTempFile) -> Result<Lines<&mut SpooledTempFile>> {
    rewind(manifest)?;
    Ok(Lines::of(MANIFEST.into(), manifest))
}

fn rewind(file: &mut SpooledTempFile) -> Result<()> {
    let rewound = file.seek(SeekFrom::Start(0));
    rewound.map(drop).map_err(Error::io(CANNOT))
}

const CANNOT: &str = "a part of the tar cannot be set aside in the folder for temporary files";

/// The next member that is not a folder.
fn next_file<'a, R: Read>(members: &mut Members<'a, R>) -> Result<Option<Member<'a, R>>> {
    while let Some(mut member) = members.next()? {
        if member.what != MemberKind::Folder {
            return Ok(Some(member));
        }
        member.skip()?;
    }
    Ok(None)
}

/// The manifest, and the path before its name: a tar may contain the whole folder.
fn manifest<R: Read>(members: &mut Members<'_, R>) -> Result<(Vec<u8>, SpooledTempFile)> {
    let other = |begins_with| TransferError::NotAnExport { begins_with }.into();
    let Some(mut member) = next_file(members)? else {
        return Err(other(None));
    };
    let root = member.path.strip_suffix(MANIFEST.as_bytes());
    let root = root.filter(|root| member.what == MemberKind::File && matches!(root.last(), None | Some(b'/')));
    let Some(root) = root.map(<[u8]>::to_vec) else {
        return Err(other(Some(path(&member.path))));
    };
    let mut manifest = tempfile::spooled_tempfile(IN_MEMORY);
    each_part(&mut member, &mut |part| {
        manifest.write_all(part).map_err(Error::io(CANNOT))
    })?;
    Ok((root, manifest))
}

/// Passes the content of a member to `take`.
fn each_part<R: Read>(member: &mut Member<'_, R>, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let mut buffer = vec![0; CHUNK.min(usize::try_from(member.size).unwrap_or(CHUNK)).max(1)];
    let mut size = 0;
    loop {
        let count = member.read(&mut buffer).map_err(|error| member.bad(error))?;
        match buffer.get(..count) {
            Some(part) if count > 0 => take(part)?,
            _ => return Ok(size),
        }
        size += count as u64;
    }
}

/// The content of an object, which must be next.
fn content<R: Read>(members: &mut Members<'_, R>, root: &[u8], item: &Item) -> Result<SpooledTempFile> {
    let wrong = |why: &str| Err(bad_content(&Tar, item, why));
    let Some(mut member) = next_file(members)? else {
        return wrong("the tar ends before it");
    };
    if member.path.strip_prefix(root) != Some(item.line.file.as_bytes()) {
        let found = path(&member.path);
        return wrong(&format!(
            "{} is in its place; unpack the tar, and import the folder",
            found.display()
        ));
    }
    if member.what != MemberKind::File {
        return wrong("it is not a regular file");
    }
    if member.size != item.line.size {
        return wrong(&other_size(member.size, item.line.size));
    }
    let (mut hasher, mut validator) = (Hasher::new(item.kind), Validator::new(item.kind));
    let mut aside = tempfile::spooled_tempfile(IN_MEMORY);
    let size = each_part(&mut member, &mut |part| {
        hasher.update(part);
        validator.update(part);
        aside.write_all(part).map_err(Error::io(CANNOT))
    })?;
    is_of(item, hasher.finish(), size, validator).or_else(|why| wrong(&why).map(drop))?;
    rewind(&mut aside)?;
    Ok(aside)
}
