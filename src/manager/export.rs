//! A space as ordinary files.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::backup::sync_folder;
use super::check::each_object;
use super::manifest::{Line, MANIFEST};
use super::{MemManager, unsigned};
use crate::error::{Error, Result};
use crate::models::StoredObject;
use crate::store::{Conn, queries};
use crate::value::{Hasher, Kind};

/// An export that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Exported {
    /// Objects exported.
    pub objects: u64,
    /// Names exported.
    pub names: u64,
    /// Bytes of content exported.
    pub bytes: u64,
}

impl MemManager {
    /// Writes the contents of the space as files into the new folder `to`, as they are at
    /// one commit: `objects/2c/2cf24d…` has the content of an object (so `sha256sum`
    /// proves those of kind `bytes`), and each line of `manifest.jsonl` is an object as JSON:
    /// `object_id`, `kind`, `type_name`, `size`, `names`, `held`, `file`.
    ///
    /// Each content is hashed on its way. The folder appears under its name only when it
    /// is complete. Folders have mode 0700 and files 0600. O(content), in constant memory.
    ///
    /// # Errors
    /// [`Error::Exists`] unless `to` is new or an empty folder; [`Error::Damaged`] if a
    /// content does not match its id: repair first; [`Error::Io`].
    pub fn export(&self, to: impl AsRef<Path>) -> Result<Exported> {
        self.export_with(to, &mut |_, _| {})
    }

    /// Like [`Self::export`]; `progress` gets the bytes of content exported, and of all.
    pub fn export_with(&self, to: impl AsRef<Path>, progress: &mut dyn FnMut(u64, u64)) -> Result<Exported> {
        let to = to.as_ref();
        let cannot = || Error::io(format!("{} cannot be written", to.display()));
        let exists = || Error::Exists { path: to.to_owned() };
        if to.symlink_metadata().is_ok() && !is_empty_folder(to) {
            return Err(exists());
        }
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let folder = private_tempdir(parent).map_err(cannot())?;
        let exported = self.export_into(folder.path(), progress)?;
        // Takes the place of an empty folder, and of nothing else.
        fs::rename(folder.path(), to).map_err(|error| if to.exists() { exists() } else { cannot()(error) })?;
        let _ = folder.keep();
        sync_folder(parent).map_err(cannot())?;
        Ok(exported)
    }

    fn export_into(&self, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Exported> {
        let mut export = Export::new(folder)?;
        let space = self.inner.space;
        let total = unsigned(self.memram()?.mem);
        self.inner.readers.snapshot(|conn| {
            each_object(conn, &mut |_, _| {}, |conn, object| {
                if object.memram_id == space {
                    export.object(conn, object)?;
                    progress(export.done.bytes, total);
                }
                Ok(ControlFlow::Continue(()))
            })
        })?;
        export.finish()
    }
}

fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// An export under way.
struct Export {
    folder: PathBuf,
    manifest: BufWriter<File>,
    done: Exported,
}

impl Export {
    fn new(folder: &Path) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            manifest: BufWriter::new(private_file(&folder.join(MANIFEST))?),
            done: Exported::default(),
        })
    }

    fn object(&mut self, conn: &mut Conn, object: &StoredObject) -> Result<()> {
        let names = queries::names::of_object(conn, object.id)?;
        let line = Line {
            object_id: object.object_id.clone(),
            kind: object.kind.clone(),
            type_name: object.type_name.clone(),
            size: unsigned(object.size),
            names: names.into_iter().map(|name| name.name).collect(),
            held: object.held,
            file: Line::file_of(&object.object_id),
        };
        self.content(conn, object, &line)?;
        let text = serde_json::to_string(&line).map_err(std::io::Error::from);
        let text = text.map_err(Error::io("the manifest cannot be written"))?;
        writeln!(self.manifest, "{text}").map_err(Error::io("the manifest cannot be written"))?;
        self.done.objects += 1;
        self.done.names += line.names.len() as u64;
        self.done.bytes += line.size;
        Ok(())
    }

    fn content(&self, conn: &mut Conn, object: &StoredObject, line: &Line) -> Result<()> {
        let damaged = || Error::Damaged {
            what: format!("the content of object {} is not what was stored", object.object_id),
        };
        // Before the id becomes a path: in a damaged file it may be anything.
        let id: crate::ObjectId = object.object_id.parse().map_err(|_| damaged())?;
        let mut hasher = Hasher::new(Kind::from_name(&object.kind).ok_or_else(damaged)?);
        let path = self.folder.join(&line.file);
        let cannot = || Error::io(format!("{} cannot be written", line.file));
        private_folder(path.parent().unwrap_or(&self.folder)).map_err(cannot())?;
        let mut file = private_file(&path)?;
        queries::entries::each_piece(conn, object.id, |data| {
            hasher.update(&data);
            file.write_all(&data).map_err(cannot())
        })?;
        if hasher.finish() == id { Ok(()) } else { Err(damaged()) }
    }

    fn finish(mut self) -> Result<Exported> {
        let cannot = || Error::io("the manifest cannot be written");
        self.manifest.flush().map_err(cannot())?;
        self.manifest.get_ref().sync_all().map_err(cannot())?;
        Ok(self.done)
    }
}

fn private_tempdir(parent: &Path) -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".heapledger-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(parent)
}

fn private_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(Error::io(format!("{} cannot be written", path.display())))
}

fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
