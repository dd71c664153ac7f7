//! Opening a heap.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;

use super::connect::{Reader, transaction};
use super::engine::SqliteEngine;
use super::migrations::in_memory;
use super::open_files::{OpenFile, SUFFIXES, find, has_one_name};
use super::readers::FileReaders;
use crate::error::Result;
use crate::store::new_space::{SpaceToMake, make};
use crate::store::read::ReadTx;
use crate::store::settings::Access;
use crate::store::sqlite::location::FileLocation;

/// An open file whose space is still to be found or created.
pub(crate) struct FileOpening {
    location: FileLocation,
    access: Access,
    connected: Reader,
}

impl FileLocation {
    /// The path of the heap to which a file belongs, if this process has that heap open: the
    /// file is the heap itself or one that SQLite keeps next to it, whatever its name.
    pub fn of_open_file(file: &Metadata) -> Option<PathBuf> {
        find(file, true)
    }

    /// The same for the file to which a path leads.
    pub fn of_open_path(path: &Path) -> Option<PathBuf> {
        let file = path.symlink_metadata().ok()?;
        if file.is_symlink() {
            return Self::of_open_file(&path.metadata().ok()?);
        }
        // Looking at the files next to each open heap would take longer than everything else.
        let name = path.as_os_str().as_encoded_bytes();
        let may_be_sidecar =
            has_one_name(&file, path).is_err() || SUFFIXES.iter().any(|suffix| name.ends_with(suffix.as_bytes()));
        find(&file, may_be_sidecar)
    }

    /// Whether there is no heap yet: no file, or an empty one.
    pub fn is_new(&self) -> bool {
        self.path.metadata().map_or(true, |file| file.len() == 0)
    }

    /// Opens the heap; for writing, creates it if missing, and migrates it.
    pub fn open(mut self, access: Access) -> Result<FileOpening> {
        self.prepare(access)?;
        self.file = OpenFile::register(&self.path);
        let mut connected = match access {
            Access::Read => self.connect_to_read()?,
            Access::Write => Reader::new(self.connect(access)?),
        };
        self.check_parts(&mut connected.conn, access)?;
        if access == Access::Write {
            self.bound_by_file(&mut connected.conn, true)?;
        }
        Ok(FileOpening {
            location: self,
            access,
            connected,
        })
    }
}

impl FileLocation {
    /// An engine without constraints, for repair.
    pub(in crate::store) fn engine_for_repair(&self) -> Result<SqliteEngine> {
        let mut conn = self.connect(Access::Write)?;
        // Every rule is checked again before the commit.
        conn.batch_execute("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;")?;
        Ok(SqliteEngine::new(self.clone(), conn))
    }
}

impl FileOpening {
    pub fn location(&self) -> &FileLocation {
        &self.location
    }

    pub fn read(&mut self) -> ReadTx<'_> {
        ReadTx::new(&mut self.connected.conn)
    }

    /// Creates a space in a separate transaction. Returns `false` if its name is taken.
    pub fn make_space(&mut self, space: SpaceToMake<'_>) -> Result<bool> {
        let location = &self.location;
        transaction(&mut self.connected.conn, location, |conn| {
            location.bound_by_file(conn, true)?;
            make(conn, space)
        })
    }

    /// The readers of the heap and, if it was opened for writing, the engine of a writer. To drop a space, it
    /// does not look up foreign keys: no index has the rows of a space, so SQLite would read those of all spaces
    /// to remove one row of `memram`.
    pub(in crate::store) fn finish(self, drops: bool) -> Result<(FileLocation, FileReaders, Option<SqliteEngine>)> {
        let Self {
            mut location,
            access,
            mut connected,
        } = self;
        if let (Access::Write, Some(file)) = (access, &location.file) {
            file.watch_log();
        }
        location.settings.opening = None;
        location.set_busy_timeout(&mut connected.conn)?;
        if drops {
            connected.conn.batch_execute("PRAGMA foreign_keys = OFF")?;
        }
        let (reader, engine) = match access {
            Access::Read => (Some(connected), None),
            Access::Write => (None, Some(SqliteEngine::new(location.clone(), connected.conn))),
        };
        Ok((location.clone(), FileReaders::new(location, reader), engine))
    }
}

impl ReadTx<'_> {
    /// Creates a space in memory for the duration of `work`.
    pub fn with_space_in_memory<R>(
        space: SpaceToMake<'_>,
        work: impl FnOnce(&mut ReadTx<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut conn = in_memory()?;
        make(&mut conn, space)?;
        work(&mut ReadTx::new(&mut conn))
    }
}
