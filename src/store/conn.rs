//! Connections: how they are opened, and the readers that are kept.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::Connection;
use diesel::connection::SimpleConnection;

use super::deadline::Deadline;
use super::frozen::Frozen;
use super::gate::refuse_reentry;
use super::open_files::OpenFile;
use super::vfs;
use crate::error::{Error, Result};

/// A connection to any of the databases that heapledger runs on.
#[derive(diesel::MultiConnection)]
pub(crate) enum Conn {
    #[cfg(feature = "sqlite")]
    Sqlite(diesel::SqliteConnection),
}

/// When a commit is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A commit survives power loss: one fsync for each commit, shared by the writers
    /// that wait at the same time. The default.
    #[default]
    Full,
    /// A commit survives a crash of the program. Power loss may take the newest
    /// commits, and never damages the file.
    Normal,
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// How connections to one file are set up.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// As [`super::path::locate`] found it.
    pub path: PathBuf,
    /// As the user spelled it, for messages.
    pub named: PathBuf,
    pub durability: Durability,
    pub busy_timeout: Duration,
    /// Of the call that opens the heap, until it is open: all its connections wait for no
    /// longer together than `busy_timeout`.
    pub opening: Option<Deadline>,
    /// The file that was opened, once it is known.
    pub file: Option<Arc<OpenFile>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            named: PathBuf::new(),
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(5),
            opening: None,
            file: None,
        }
    }
}

impl Settings {
    /// Opens a connection.
    ///
    /// A reader asks for a writable connection and then forbids itself to write: only
    /// such a one can use and clear away the write-ahead log of a file that nobody else
    /// has open. Where the file or its folder cannot be written, it does without.
    pub fn connect(&self, access: Access) -> Result<Conn> {
        let deadline = self.deadline();
        let first = self
            .connect_as(access, "mode=rw")
            .map_err(|error| deadline.stamp(error));
        // Whoever keeps others out is there for every way to open the file.
        if access == Access::Write || matches!(first, Ok(_) | Err(Error::Busy { .. })) {
            return first;
        }
        let log = std::fs::metadata(beside(&self.path, "-wal"));
        let frozen = self.connect_as(access, "mode=ro").or_else(|error| match log {
            // Without a log the file is complete, and in its folder nobody can write it.
            Err(_) => self.connect_as(access, "mode=ro&immutable=1"),
            Ok(log) if log.len() == 0 => self.connect_as(access, "mode=ro&immutable=1"),
            Ok(_) => Err(error),
        });
        frozen.or(first)
    }

    /// Until when a call may wait that begins now, or has begun to open the heap.
    pub fn deadline(&self) -> Deadline {
        self.opening.unwrap_or_else(|| Deadline::after(self.busy_timeout))
    }

    /// For how long SQLite waits for each lock.
    fn patience(&self) -> String {
        let left = self.deadline().remaining().unwrap_or(Duration::MAX);
        let ms = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        format!("PRAGMA busy_timeout = {ms};")
    }

    /// Lets a connection wait as these settings say, however long its opener has waited.
    pub fn set_patience(&self, conn: &mut Conn) -> Result<()> {
        Ok(conn.batch_execute(&self.patience())?)
    }

    fn connect_as(&self, access: Access, mode: &str) -> Result<Conn> {
        let mut url = format!("{}?{mode}", file_url(&self.path)?);
        if let Some(name) = vfs::file_system().filter(|_| access == Access::Write) {
            url.push_str("&vfs=");
            url.push_str(name);
        }
        let mut conn = diesel::SqliteConnection::establish(&url).map_err(|source| Error::Database {
            what: "the file cannot be opened",
            source: Box::new(source),
        })?;
        conn.batch_execute(&self.pragmas(access))
            .map_err(|source| self.explain(source))?;
        match access {
            Access::Read => self.same_file()?,
            Access::Write => {
                self.same_file_to_write()?;
                pass_guards(&mut conn)?;
            }
        }
        Ok(Conn::Sqlite(conn))
    }

    /// Refuses to go on when the path no longer leads to the file that was opened: SQLite
    /// would write to a file that nobody can find.
    pub fn same_file(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.is_in_place(&self.named))
    }

    /// The same, and refuses what would make a commit invisible to other programs, or lose it.
    pub fn same_file_to_write(&self) -> Result<()> {
        self.file
            .as_ref()
            .map_or(Ok(()), |file| file.may_be_written(&self.named))
    }

    fn pragmas(&self, access: Access) -> String {
        let patience = self.patience();
        let common = format!(
            "{patience} PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
             PRAGMA cell_size_check = ON;"
        );
        match access {
            Access::Read => format!(
                "{common} PRAGMA query_only = ON; PRAGMA cache_size = {READ_CACHE}; \
                 SELECT count(*) FROM sqlite_schema;"
            ),
            Access::Write => {
                let synchronous = match self.durability {
                    Durability::Full => "FULL",
                    Durability::Normal => "NORMAL",
                };
                format!(
                    "{common} PRAGMA synchronous = {synchronous}; PRAGMA cache_size = {WRITE_CACHE}; \
                     PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = {WAL_KEPT};"
                )
            }
        }
    }

    /// Says what an error of the database means for the user.
    pub fn explain(&self, error: diesel::result::Error) -> Error {
        match error.to_string().as_str() {
            text if text.contains("readonly database") => Error::NotWritable {
                path: self.named.clone(),
            },
            _ => error.into(),
        }
    }
}

/// Page cache of a writer: negative is KiB. A batch that dirties more spills to the WAL.
pub(super) const WRITE_CACHE: i32 = -32 * 1024;
/// Page cache of a writer while it streams a large object.
pub(super) const STREAM_CACHE: i32 = -4 * 1024;
/// Page cache of a reader. A reader that streams a large object fills it, and no more.
const READ_CACHE: i32 = -32 * 1024;
/// Pages in the WAL after which SQLite itself copies them into the file, within a commit:
/// so many are only left where `checkpoint` does not work.
const CHECKPOINT_PAGES: u32 = 20_000;
/// Bytes that the WAL may keep after a checkpoint.
const WAL_KEPT: u64 = 64 * 1024 * 1024;

/// Lets a connection write what the guards in the file keep others from: they name this
/// collation, and SQLite looks it up before it runs them.
///
/// A function would be the usual way, but with `trusted_schema` off only one that SQLite
/// takes for innocuous may stand in a trigger, and Diesel cannot register such.
pub(super) fn pass_guards(conn: &mut diesel::SqliteConnection) -> Result<()> {
    Ok(conn.register_collation("only_heapledger_may_write", str::cmp)?)
}

/// The path of a file that SQLite keeps beside the heap.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// The path as an SQLite URI, in which `?`, `#` and `%` would have a meaning.
pub(super) fn file_url(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path).map_err(Error::io(format!("{} is no usable path", path.display())))?;
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

/// Runs `work` in a write transaction of its own, on a connection without a unit of work.
pub(crate) fn transaction<R>(
    conn: &mut Conn,
    settings: &Settings,
    work: impl FnOnce(&mut Conn) -> Result<R>,
) -> Result<R> {
    refuse_reentry(settings.file.as_deref())?;
    let deadline = settings.deadline();
    settings.set_patience(conn)?;
    conn.batch_execute("BEGIN IMMEDIATE")
        .map_err(|error| deadline.stamp(settings.explain(error)))?;
    let result = work(conn);
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    conn.batch_execute(end).map_err(|error| settings.explain(error))?;
    result
}

/// Sets the page cache of a writer.
pub(super) fn set_write_cache(conn: &mut Conn, size: i32) -> diesel::QueryResult<()> {
    conn.batch_execute(&format!("PRAGMA cache_size = {size}"))
}

/// Read connections that are not in use; as many are opened as there are readers at once.
pub(crate) struct Readers {
    settings: Settings,
    idle: Mutex<Vec<Conn>>,
    /// The only connection of readers that stay at one state.
    frozen: Option<Frozen>,
}

impl Readers {
    /// With a connection that is open already, if any.
    pub fn new(settings: Settings, open: Option<Conn>) -> Self {
        Self {
            settings,
            idle: Mutex::new(open.into_iter().collect()),
            frozen: None,
        }
    }

    /// Readers that all see the last commit before this call and nothing after.
    pub fn freeze(&self) -> Result<Self> {
        let conn = self.idle_or_new()?;
        let frozen = Frozen::begin(conn).map_err(|error| self.settings.explain(error))?;
        Ok(Self {
            settings: self.settings.clone(),
            idle: Mutex::default(),
            frozen: Some(frozen),
        })
    }

    /// Runs `read` on a connection of its own, in one read transaction, which sees the
    /// last commit before it and nothing after.
    pub fn snapshot<R>(&self, read: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        if self.frozen.is_some() {
            return self.single(read);
        }
        self.with(|conn, settings| {
            conn.batch_execute("BEGIN").map_err(|error| settings.explain(error))?;
            let result = read(conn);
            // A reader that fails half-way has nothing to undo, but must let go of its snapshot.
            conn.batch_execute("COMMIT").map_err(|error| settings.explain(error))?;
            result
        })
    }

    /// Runs `read`, which makes a single statement, on a connection of its own.
    pub fn single<R>(&self, read: impl FnOnce(&mut Conn) -> Result<R>) -> Result<R> {
        self.with(|conn, _| read(conn))
    }

    fn with<R>(&self, read: impl FnOnce(&mut Conn, &Settings) -> Result<R>) -> Result<R> {
        let deadline = Deadline::after(self.settings.busy_timeout);
        self.read_on_one(read).map_err(|error| deadline.stamp(error))
    }

    fn read_on_one<R>(&self, read: impl FnOnce(&mut Conn, &Settings) -> Result<R>) -> Result<R> {
        if let Some(frozen) = &self.frozen {
            return frozen.with(|conn| read(conn, &self.settings));
        }
        let mut conn = self.idle_or_new()?;
        let result = read(&mut conn, &self.settings);
        // After an error the connection may be in any state: it is closed, not kept.
        if result.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
        result
    }

    fn idle_or_new(&self) -> Result<Conn> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.settings.connect(Access::Read), Ok)
    }
}
