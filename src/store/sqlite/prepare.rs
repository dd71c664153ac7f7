//! Checks a file before it is opened, and creates new ones.

use std::cmp::Ordering;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;

use super::connect::transaction;
use super::exec;
use super::migrations::{FIRST_SETTINGS, empty_heap, run_migrations};
use super::open_files::{has_one_name, log_is_next_to};
use super::verify::{faults, restore_parts, verify_schema};
use super::vfs::DatabaseFile;
use super::{replace, stale_log};
use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::queries::audit::Violation;
use crate::store::schema_fault::Fault;
use crate::store::settings::Access;
use crate::store::sqlite::location::FileLocation;
use crate::temporary::{Temporary, folder_of, sweep};

/// `PRAGMA application_id`: "hLdg".
const APPLICATION_ID: i64 = 0x684c_6467;
/// `PRAGMA user_version`: the format of the file.
///
/// The first released format is 101. Versions before the release counted from 1, so that the header
/// alone distinguishes their files from those of any release.
const FORMAT: i64 = 101;
/// Writes page 1, and changes nothing.
pub(in crate::store) const STAMP: &str = "PRAGMA user_version = 101";

impl FileLocation {
    /// Makes sure, before a connection is opened, that there is a heap file of the current format.
    ///
    /// Any other file, or another format, is refused before SQLite can write to it. With
    /// [`Access::Write`] a missing file is created. [`Self::check_parts`] then checks the schema.
    pub(in crate::store) fn prepare(&self, access: Access) -> Result<()> {
        let path = &self.named;
        let found = inspect(&self.path, path)?;
        if matches!(found, FoundFile::Empty | FoundFile::Heap { .. }) {
            wait_for_one_name(self, access)?;
        }
        match (found, access) {
            (FoundFile::Nothing, Access::Read) => Err(Error::NoFile { path: path.clone() }),
            (FoundFile::Nothing, Access::Write) => {
                stale_log::check_no_log(&self.path, path)?;
                create(self)
            }
            (FoundFile::Empty, Access::Read) => Err(not_a_heap(path, "it is empty")),
            (FoundFile::Empty, Access::Write) => {
                stale_log::check_no_log(&self.path, path)?;
                fill(self)
            }
            (FoundFile::Heap { version }, _) => {
                check_format(path, version)?;
                stale_log::check(&self.path, path)?;
                if access == Access::Write {
                    sweep(folder_of(&self.path));
                }
                Ok(())
            }
        }
    }

    /// Refuses a file that could not be opened for reading.
    pub fn check(&self) -> Result<()> {
        self.prepare(Access::Read)?;
        self.check_parts(&mut self.connect(Access::Read)?, Access::Read)
    }

    /// Refuses another format and an altered schema before anything in it runs. A connection that writes
    /// also recreates missing indexes, and restores the WAL mode.
    pub(in crate::store) fn check_parts(&self, conn: &mut Conn, access: Access) -> Result<()> {
        // The log may have a newer version than the header.
        check_format(&self.named, exec::pragma(conn, "user_version")?)?;
        let lacks_indexes = verify_schema(conn, &self.named)?;
        if access == Access::Write {
            if lacks_indexes {
                transaction(conn, self, |conn| restore_parts(conn, self))?;
            }
            self.restore_wal_mode(conn)?;
        }
        Ok(())
    }

    /// For a heap that another tool has taken out of WAL mode, or copied without it: readers of
    /// such a heap would wait for the writer.
    fn restore_wal_mode(&self, conn: &mut Conn) -> Result<()> {
        let set = conn.batch_execute("PRAGMA journal_mode = WAL");
        set.map_err(|error| self.deadline().stamp(self.explain(error)))
    }

    /// The differences between the schema of a heap file and that of this version. Runs nothing of
    /// the schema.
    pub fn check_schema(&self) -> Result<Vec<Violation>> {
        check_whole(self)?;
        Ok(Fault::violations(&faults(&mut self.connect(Access::Read)?)?))
    }

    /// Recreates missing and altered parts of the schema, and returns them.
    pub fn restore_schema(&self) -> Result<Vec<Violation>> {
        check_whole(self)?;
        wait_for_one_name(self, Access::Write)?;
        restore(self)
    }

    /// Lets `put` move a complete heap file here, where there may be a heap that nobody has open. The
    /// log of that heap is moved to `aside`.
    ///
    /// # Errors
    /// [`Error::InUse`]; [`Error::NotAHeap`] if something else is there.
    pub fn replace(&self, aside: &Path, put: impl FnOnce() -> Result<std::io::Result<()>>) -> Result<()> {
        inspect(&self.path, &self.named)?;
        replace::replace_unused(&self.path, &self.named, aside, put)
    }
}

/// Refuses anything except a heap of this format.
fn check_whole(location: &FileLocation) -> Result<()> {
    let path = &location.named;
    match inspect(&location.path, path)? {
        FoundFile::Nothing => return Err(Error::NoFile { path: path.clone() }),
        FoundFile::Empty => return Err(not_a_heap(path, "it is empty")),
        FoundFile::Heap { version, .. } => {
            check_format(path, version)?;
            wait_for_one_name(location, Access::Read)?;
            stale_log::check(&location.path, path)?;
        }
    }
    // The log may have a newer version than the header.
    let version = exec::pragma(&mut location.connect(Access::Read)?, "user_version")?;
    check_format(path, version)
}

fn restore(location: &FileLocation) -> Result<Vec<Violation>> {
    let mut conn = location.connect(Access::Write)?;
    transaction(&mut conn, location, |conn| restore_parts(conn, location))
}

/// Bytes of the header of an SQLite database.
const HEADER: usize = 100;

enum FoundFile {
    Nothing,
    Empty,
    /// A heap with the version in its header; the write-ahead log may have a newer one.
    Heap {
        version: i64,
    },
}

/// Reads the file's header without a connection, so that a foreign file is never touched.
/// <https://www.sqlite.org/fileformat.html#the_database_header>
fn inspect(path: &Path, named: &Path) -> Result<FoundFile> {
    let cannot = || Error::io(format!("{} cannot be read", named.display()));
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FoundFile::Nothing),
        Err(error) => return Err(cannot()(error)),
    };
    if !metadata.is_file() {
        return Err(not_a_heap(named, "it is not a regular file"));
    }
    if metadata.len() == 0 {
        return Ok(FoundFile::Empty);
    }
    let mut header = [0; HEADER];
    DatabaseFile::open(path)
        .and_then(|mut file| file.read_start(&mut header))
        .map_err(cannot())?;
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(not_a_heap(named, "it is not an SQLite database"));
    }
    let number = |at: usize| {
        header
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, i32::from_be_bytes)
    };
    if i64::from(number(68)) != APPLICATION_ID {
        return Err(not_a_heap(named, "it is the SQLite database of another application"));
    }
    Ok(FoundFile::Heap {
        version: number(60).into(),
    })
}

/// On a file system that cannot rename without replacing, a new heap has two names for a moment: its
/// final one and the temporary one.
fn wait_for_one_name(location: &FileLocation, access: Access) -> Result<()> {
    let usable = || {
        let Ok(file) = std::fs::metadata(&location.path) else {
            return Ok(());
        };
        match access {
            Access::Read => log_is_next_to(&file, &location.path, &location.named),
            Access::Write => has_one_name(&file, &location.named),
        }
    };
    for _ in 0..10 {
        match usable() {
            Ok(()) => return Ok(()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    usable()
}

fn check_format(path: &Path, found: i64) -> Result<()> {
    let path = || path.to_owned();
    match found.cmp(&FORMAT) {
        Ordering::Less => Err(Error::TooOld { path: path(), found }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Error::TooNew {
            path: path(),
            found,
            known: FORMAT,
        }),
    }
}

fn not_a_heap(path: &Path, why: &str) -> Error {
    Error::NotAHeap {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}

/// Creates the complete file in a temporary folder and then links it to its place, so that nobody
/// sees half a schema, and of several processes that create it at the same time one wins.
fn create(location: &FileLocation) -> Result<()> {
    let path = &location.path;
    let cannot = || format!("{} cannot be created", location.named.display());
    let temporary = Temporary::within(folder_of(path), cannot)?;
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::DiskFull,
        _ => Error::io(cannot())(error),
    };
    let mut made = temporary.file(NEW)?.map_err(failed)?;
    let written = made.write_all(empty_heap()?);
    let written = written.and_then(|()| stale_log::randomize_change_counter(&temporary.path(NEW)));
    written.and_then(|()| made.sync_all()).map_err(failed)?;
    match temporary.persist_new(NEW, path)? {
        Ok(()) => Ok(()),
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => location.prepare(Access::Write),
        Err(error) => Err(failed(error)),
    }
}

/// The temporary name of a heap.
const NEW: &str = "heap.db";

/// Creates the schema in an empty file, which somebody may have open, and sets the WAL mode.
fn fill(location: &FileLocation) -> Result<()> {
    let mut conn = location.connect(Access::Write)?;
    conn.batch_execute(FIRST_SETTINGS)?;
    run_migrations(&mut conn)?;
    conn.batch_execute("PRAGMA journal_mode = WAL; PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}
