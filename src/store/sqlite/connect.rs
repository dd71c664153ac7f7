//! Opening connections.

use std::path::Path;
use std::time::Duration;

use diesel::Connection;
use diesel::connection::SimpleConnection;

use super::ceiling::length;
use super::checkpoint::LONG;
use super::guards::{allow_guarded_writes, without_triggers};
use super::log_limit;
use super::sidecar::sidecar;
use super::vfs;
use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::gate::refuse_reentry;
use crate::store::read::ReadTx;
use crate::store::settings::{Access, Durability};
use crate::store::sqlite::location::FileLocation;

/// A connection for reading.
pub(in crate::store) struct Reader {
    pub conn: Conn,
    /// Whether it reads the file without a log, even after somebody creates one.
    is_unlogged: bool,
}

impl Reader {
    pub fn new(conn: Conn) -> Self {
        let is_unlogged = false;
        Self { conn, is_unlogged }
    }

    fn unlogged(conn: Conn) -> Self {
        let is_unlogged = true;
        Self { conn, is_unlogged }
    }

    pub fn is_outdated(&self, location: &FileLocation) -> bool {
        self.is_unlogged && vfs::has_been_opened(&location.path)
    }
}

impl FileLocation {
    /// Bytes of the write-ahead log.
    pub fn log_size(&self) -> u64 {
        length(&sidecar(&self.path, "-wal"))
    }

    /// Bytes of the write-ahead log at which no transaction begins, below a ceiling of the file or without
    /// one: at most a quarter of it.
    pub fn log_limit_below(&self, max_file: Option<u64>) -> u64 {
        max_file.map_or(self.log_limit, |max_file| self.log_limit.min(max_file / 4))
    }

    /// Runs `read` on a new connection.
    pub fn read<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        read(&mut ReadTx::new(&mut self.connect(Access::Read)?))
    }

    /// Opens a connection.
    pub(in crate::store) fn connect(&self, access: Access) -> Result<Conn> {
        match access {
            Access::Read => Ok(self.connect_to_read()?.conn),
            Access::Write => {
                let deadline = self.deadline();
                self.connect_as(access, "mode=rw", self.file_system())
                    .map_err(|error| deadline.stamp(error))
            }
        }
    }

    /// The file system for connections that write.
    pub(in crate::store) fn file_system(&self) -> Option<&'static str> {
        if self.plain_io {
            vfs::plain_file_system()
        } else {
            vfs::file_system()
        }
    }

    /// How long SQLite waits for each lock.
    fn busy_timeout_pragma(&self) -> String {
        let left = self.deadline().remaining().unwrap_or(Duration::MAX);
        let ms = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        format!("PRAGMA busy_timeout = {ms};")
    }

    /// Gives a connection the whole timeout again, however long opening it took.
    pub(in crate::store) fn set_busy_timeout(&self, conn: &mut Conn) -> Result<()> {
        Ok(conn.batch_execute(&self.busy_timeout_pragma())?)
    }

    /// Opens a connection for reading.
    ///
    /// It opens the file as writable and then makes the connection `query_only`: only a writable
    /// connection can use and remove the write-ahead log of a file that nobody else has open.
    /// Where the file or its folder cannot be written, it opens the file as read-only.
    pub(in crate::store) fn connect_to_read(&self) -> Result<Reader> {
        let deadline = self.deadline();
        let refused = match self.connect_as(Access::Read, "mode=rw", None) {
            Ok(conn) => return Ok(Reader::new(conn)),
            Err(error) => deadline.stamp(error),
        };
        // A lock would block the other modes as well.
        if !matches!(refused, Error::LogUnreadable | Error::NotWritable { .. }) {
            return Err(refused);
        }
        for _ in 0..2 {
            match self.connect_as(Access::Read, "mode=ro", None) {
                Ok(conn) => return Ok(Reader::new(conn)),
                Err(error @ Error::Busy { .. }) => return Err(deadline.stamp(error)),
                Err(_) => {}
            }
            if let Some(conn) = self.connect_unlogged() {
                return Ok(Reader::unlogged(conn));
            }
            // Somebody may have opened it in between; then it can be read with its log.
        }
        Err(refused)
    }

    /// Reads the file without a log, if it is complete.
    fn connect_unlogged(&self) -> Option<Conn> {
        let system = vfs::unlogged_file_system().filter(|_| vfs::has_no_log(&self.path))?;
        self.connect_as(Access::Read, "mode=ro&immutable=1", Some(system)).ok()
    }

    fn connect_as(&self, access: Access, mode: &str, system: Option<&str>) -> Result<Conn> {
        let mut url = format!("{}?{mode}", file_url(&self.path)?);
        if let Some(name) = system {
            url.push_str("&vfs=");
            url.push_str(&name.replace(' ', "%20"));
        }
        let open = || diesel::SqliteConnection::establish(&url);
        let opened = match access {
            Access::Read => open(),
            Access::Write => without_triggers(open),
        };
        // A file that was open before may have been moved or removed since.
        let mut conn = opened.map_err(|source| match self.same_file() {
            Ok(()) => Error::database("the file cannot be opened", source),
            Err(changed) => changed,
        })?;
        conn.batch_execute(&self.pragmas(access))
            .map_err(|source| self.explain(source))?;
        match access {
            Access::Read => self.same_file()?,
            Access::Write => {
                self.same_file_to_write()?;
                allow_guarded_writes(&mut conn)?;
            }
        }
        Ok(Conn::Sqlite(conn))
    }

    /// Fails if the path no longer leads to the file that was opened, or if the log may be next
    /// to another name of the file.
    pub(in crate::store) fn same_file(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.may_be_read(&self.named))
    }

    /// Fails if SQLite would write to a file that nobody can find any more, or if other
    /// programs could miss or lose what is written.
    pub(in crate::store) fn same_file_to_write(&self) -> Result<()> {
        self.file
            .as_ref()
            .map_or(Ok(()), |file| file.may_be_written(&self.named))
    }

    fn pragmas(&self, access: Access) -> String {
        let busy_timeout_pragma = self.busy_timeout_pragma();
        let common = format!(
            "{busy_timeout_pragma} PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
             PRAGMA cell_size_check = ON;"
        );
        match access {
            Access::Read => format!(
                "{common} PRAGMA query_only = ON; PRAGMA cache_size = {READ_CACHE}; \
                 SELECT count(*) FROM sqlite_schema;"
            ),
            Access::Write => {
                let synchronous = match self.settings.durability {
                    Durability::Full => "FULL",
                    Durability::Normal => "NORMAL",
                };
                format!(
                    "{common} PRAGMA synchronous = {synchronous}; PRAGMA cache_size = {WRITE_CACHE}; \
                     PRAGMA cache_spill = {SPILL}; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; \
                     PRAGMA journal_size_limit = {};",
                    self.log_limit / LONG
                )
            }
        }
    }

    /// Translates an error of the database for the user.
    pub(in crate::store) fn explain(&self, error: diesel::result::Error) -> Error {
        self.with_path(error.into())
    }

    /// The same for an error that does not say which file it is about.
    pub(in crate::store) fn with_path(&self, error: Error) -> Error {
        match error {
            Error::Database { source, .. } if source.to_string().contains("readonly database") => Error::NotWritable {
                path: self.named.clone(),
            },
            other => other,
        }
    }
}

/// Page cache of a writer, in KiB as a negative number.
pub(super) const WRITE_CACHE: i32 = -8 * 1024;
/// Pages that a transaction keeps nevertheless; one that changes more spills to the log, page by page.
const SPILL: u32 = 8 * 1024;
/// Page cache of a reader, in KiB as a negative number.
pub(super) const READ_CACHE: i32 = -32 * 1024;
/// Pages in the log after which SQLite itself copies them into the file, within a commit. Only a
/// transaction larger than the limit of the log makes it this long.
const CHECKPOINT_PAGES: u32 = 20_000;

/// The path as an SQLite URI, in which `?`, `#` and `%` would have a meaning.
pub(in crate::store) fn file_url(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path).map_err(Error::io(format!("{} is not a usable path", path.display())))?;
    let mut url = String::from("file:");
    for &byte in absolute.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' => url.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => url.push(byte.into()),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(url)
}

/// Runs `work` in a separate write transaction, on a connection without a unit of work.
pub(in crate::store) fn transaction<R>(
    conn: &mut Conn,
    location: &FileLocation,
    work: impl FnOnce(&mut Conn) -> Result<R>,
) -> Result<R> {
    refuse_reentry(location.heap_id())?;
    let deadline = location.deadline();
    // The deadline waits instead of SQLite, which hardly ever gets the lock if others take it in turns.
    conn.batch_execute("PRAGMA busy_timeout = 0")?;
    let begin = |conn: &mut Conn| {
        deadline.retry(|| {
            let begun = conn.batch_execute("BEGIN IMMEDIATE");
            begun.map_err(|error| location.explain(error))
        })
    };
    begin(conn)?;
    if location.log_size() >= location.log_limit {
        conn.batch_execute("ROLLBACK")?;
        log_limit::make_room(conn, location, deadline)?;
        begin(conn)?;
    }
    location.set_busy_timeout(conn)?;
    let result = work(conn);
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    conn.batch_execute(end).map_err(|error| location.explain(error))?;
    result.map_err(|error| location.with_path(error))
}
