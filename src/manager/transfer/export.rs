//! Exports a space as ordinary files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::backup::sync_folder;
use super::manifest::{Line, MANIFEST, MOST_LINE, OBJECTS};
use super::whole::Check;
use crate::error::{Error, Result, TransferError};
use crate::manager::MemManager;
use crate::models::{MemRamId, StoredObject, StoredObjectId, Stripe, Timestamp};
use crate::store::queries::names::KeptName;
use crate::store::queries::tags::TagsByHold;
use crate::store::{ReadTx, queries};
use crate::temporary::{Temporary, folder_of, private_file, rename_new, sweep};

/// The result of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Exported {
    /// Objects exported.
    pub objects: u64,
    /// Names exported.
    pub names: u64,
    /// Bytes of content exported.
    pub bytes: u64,
}

impl MemManager {
    /// Writes the contents of the space, in the state of one commit, as files into the new folder
    /// `to`: `objects/2c/2cf24d…` has the content of an object (so `sha256sum` verifies those of
    /// kind `bytes`), and each line of `manifest.jsonl` describes an object in JSON: `object_id`,
    /// `kind`, `type_name`, `size`, `names`, `held`, `file`; and if they expire, `expires` (a time in
    /// microseconds by name) and `held_until`. What has expired is left out.
    ///
    /// It has no history and no [reservations](Self::reserve).
    ///
    /// Contents are hashed as they are written. A new folder appears under its name only when it is
    /// complete, with mode 0700; files have mode 0600. An existing empty folder, such as a mounted
    /// disk, is filled: its `manifest.jsonl` appears last, and a folder without one is not an
    /// export. Until it is complete, the export is in a folder `.heapledger-…` next to a new folder
    /// or in an empty one; if the process is killed, the next export to that place removes the
    /// remains. O(content), in constant memory except for the names of an object.
    ///
    /// # Errors
    /// [`TransferError::Exists`] unless `to` is new or an empty folder (`lost+found` in it does not count);
    /// [`Error::Damaged`] if content does not match its id or is invalid for its kind: repair first;
    /// [`Error::Io`]; [`Error::Interrupted`] after [`interrupt`](crate::interrupt); what
    /// [any call](MemManager#errors) fails with.
    pub fn export(&self, to: impl AsRef<Path>) -> Result<Exported> {
        self.export_with(to, &mut |_, _| {})
    }

    /// Like [`Self::export`]; `progress` gets the bytes of content exported, and the total.
    ///
    /// # Errors
    /// Those of [`Self::export`].
    pub fn export_with(&self, to: impl AsRef<Path>, progress: &mut dyn FnMut(u64, u64)) -> Result<Exported> {
        let to = to.as_ref();
        let what = || format!("{} cannot be written", to.display());
        let exists = || Error::from(TransferError::Exists { path: to.to_owned() });
        let fills = to.is_dir();
        let parent = if fills { to } else { folder_of(to) };
        if fills {
            sweep(to);
        }
        if to.symlink_metadata().is_ok() && !(fills && is_empty(to)) {
            return Err(exists());
        }
        let temporary = Temporary::within(parent, what)?;
        let exported = self.export_into(&temporary, progress)?;
        if fills {
            move_into(&temporary, to)?.map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => exists(),
                _ => Error::io(what())(error),
            })?;
        } else {
            // Replaces only an empty folder.
            let renamed = temporary.persist_folder(to)?;
            renamed.map_err(|error| {
                if to.exists() {
                    exists()
                } else {
                    Error::io(what())(error)
                }
            })?;
        }
        sync_folder(parent).map_err(Error::io(what()))?;
        Ok(exported)
    }

    fn export_into(&self, temporary: &Temporary, progress: &mut dyn FnMut(u64, u64)) -> Result<Exported> {
        let mut export = Export::new(temporary)?;
        let space = self.inner.space;
        let total = self.memram()?.mem;
        self.inner.readers.snapshot_once(|tx| {
            export.has_tags = has_tags(tx, space)?;
            each_object(tx, space, |tx, object| {
                export.object(tx, object)?;
                progress(export.done.bytes, total);
                Ok(())
            })
        })?;
        export.finish()
    }
}

/// Whether the holds of a space have tags.
pub(super) fn has_tags(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<bool> {
    Ok(queries::spaces::get(tx, space)?.tags > 0)
}

/// Objects read with one query.
const PAGE: i64 = 500;

/// Passes the objects of a space that have not expired to `visit`, in the order of keys.
pub(super) fn each_object(
    tx: &mut ReadTx<'_>,
    space: MemRamId,
    mut visit: impl FnMut(&mut ReadTx<'_>, &StoredObject) -> Result<()>,
) -> Result<()> {
    let mut after = StoredObjectId(Stripe::of(space).before());
    loop {
        let page = queries::transfer::objects_after(tx, space, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for object in page {
            if let Some(object) = object.seen_at(tx.now()) {
                visit(tx, &object)?;
            }
        }
    }
}

/// Whether a folder is empty, except for what a file system has in its root.
fn is_empty(folder: &Path) -> bool {
    let is_nothing = |entry: fs::DirEntry| entry.file_name() == "lost+found";
    fs::read_dir(folder).is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(is_nothing)))
}

/// Moves a complete export out of its temporary folder in `to` into `to` itself, the manifest last.
fn move_into(temporary: &Temporary, to: &Path) -> Result<io::Result<()>> {
    temporary.step(|| {
        // Each step fails if somebody has created the same name in the meantime.
        if temporary.path(OBJECTS).exists() {
            fs::rename(temporary.path(OBJECTS), to.join(OBJECTS))?;
        }
        sync_folder(to)?;
        rename_new(&temporary.path(MANIFEST), &to.join(MANIFEST))
    })
}

/// A running export.
struct Export<'t> {
    temporary: &'t Temporary,
    manifest: BufWriter<File>,
    done: Exported,
    has_tags: bool,
}

impl<'t> Export<'t> {
    fn new(temporary: &'t Temporary) -> Result<Self> {
        let manifest = temporary
            .file(MANIFEST)?
            .map_err(Error::io("the manifest cannot be written"))?;
        Ok(Self {
            temporary,
            manifest: BufWriter::new(manifest),
            done: Exported::default(),
            has_tags: false,
        })
    }

    fn object(&mut self, tx: &mut ReadTx<'_>, object: &StoredObject) -> Result<()> {
        self.content(tx, object)?;
        self.done.objects += 1;
        self.done.bytes += object.size;
        let (manifest, cannot) = (&mut self.manifest, || Error::io("the manifest cannot be written"));
        self.done.names += describe(tx, object, self.has_tags, &mut |line| {
            manifest.write_all(line).map_err(cannot())
        })?;
        Ok(())
    }

    fn content(&self, tx: &mut ReadTx<'_>, object: &StoredObject) -> Result<()> {
        let name = Line::file_of(&object.object_id.to_hex());
        let path = self.temporary.path(&name);
        let cannot = || Error::io(format!("{name} cannot be written"));
        let made = self.temporary.step(|| {
            private_folder(folder_of(&path))?;
            private_file(&path)
        });
        let mut file = made?.map_err(cannot())?;
        each_part(tx, object, &mut |part| file.write_all(part).map_err(cannot()))
    }

    fn finish(mut self) -> Result<Exported> {
        let cannot = || Error::io("the manifest cannot be written");
        self.manifest.flush().map_err(cannot())?;
        self.manifest.get_ref().sync_all().map_err(cannot())?;
        Ok(self.done)
    }
}

/// Passes the content of an object to `take`, and then fails unless it is whole: an export must be importable.
///
/// # Errors
/// [`Error::Damaged`].
pub(super) fn each_part(
    tx: &mut ReadTx<'_>,
    object: &StoredObject,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut check = Check::new(object);
    let unreadable = || Error::Damaged {
        what: format!("object {} cannot be read", object.object_id),
    };
    let take = |data: Vec<u8>| {
        check.update(&data);
        take(&data)
    };
    queries::entries::each_piece_or(tx, object.id, take, unreadable)?;
    check.finish(object)
}

/// Passes the lines of the manifest for an object to `write`. Returns how many names are in them.
pub(super) fn describe(
    tx: &mut ReadTx<'_>,
    object: &StoredObject,
    has_tags: bool,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let (mut names, now) = (queries::names::exact(tx, object.id)?, tx.now());
    names.retain(|name| !name.is_over(now));
    let mut tags = match has_tags {
        true => queries::tags::of_objects(tx, &[object.id])?,
        false => TagsByHold::new(),
    };
    for kept in &mut names {
        kept.tags = tags.remove(&(object.id, kept.name.clone())).unwrap_or_default();
    }
    let mut line = Line {
        object_id: object.object_id.to_hex(),
        kind: object.kind.to_string(),
        type_name: object.type_name.clone(),
        size: object.size,
        names: Vec::new(),
        expires: BTreeMap::new(),
        tags: BTreeMap::new(),
        held: object.held,
        held_until: object.held_until.map(Timestamp::as_micros),
        held_tags: tags.remove(&(object.id, String::new())).unwrap_or_default(),
        file: Line::file_of(&object.object_id.to_hex()),
    };
    // Names that do not fit in a line continue in another one for the same object.
    let mut rest = names.as_slice();
    loop {
        let (now, later) = rest.split_at(names_of_a_line(rest));
        line.names = now.iter().map(|kept| kept.name.clone()).collect();
        let expiring = now
            .iter()
            .filter_map(|kept| Some((kept.name.clone(), kept.expires_at?.as_micros())));
        line.expires = expiring.collect();
        let tagged = now.iter().filter(|kept| !kept.tags.is_empty());
        line.tags = tagged.map(|kept| (kept.name.clone(), kept.tags.clone())).collect();
        let mut text = serde_json::to_vec(&line)
            .map_err(io::Error::from)
            .map_err(Error::io("the manifest cannot be written"))?;
        text.push(b'\n');
        write(&text)?;
        rest = later;
        if rest.is_empty() {
            return Ok(names.len() as u64);
        }
    }
}

/// How many of these names fit into one line; in JSON, a byte takes up to six, and a name may be in it
/// three times.
fn names_of_a_line(names: &[KeptName]) -> usize {
    let mut bytes = 0;
    let fits = names.iter().take_while(|name| {
        let before = bytes;
        let tags = name.tags.iter().map(|(key, value)| key.len() + value.len() + 8);
        bytes += name.name.len() + tags.sum::<usize>();
        before < NAMES_OF_LINE
    });
    fits.count()
}

const NAMES_OF_LINE: usize = MOST_LINE as usize / 32;

fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
