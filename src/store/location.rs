//! The location of a heap: a file, or a schema on a server.

use std::path::Path;
use std::time::Duration;

use super::deadline::Deadline;
#[cfg(feature = "postgres")]
use super::postgres::location::ServerLocation;
use super::settings::{Durability, HeapId, Settings};
use super::sqlite::ceiling::OnDisk;
use super::sqlite::location::FileLocation;
use super::sqlite::log_limit;
use crate::error::{Error, LogHolder, Result, ServerError};
use crate::store::queries::audit::Violation;

/// The location of a heap, and the settings of its connections.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    File(FileLocation),
    #[cfg(feature = "postgres")]
    Server(ServerLocation),
}

/// Calls a method of the location, whichever it is.
macro_rules! on_location {
    ($location:expr, $inner:ident => $call:expr) => {
        match $location {
            Location::File($inner) => $call,
            #[cfg(feature = "postgres")]
            Location::Server($inner) => $call,
        }
    };
}

impl Location {
    /// The default busy timeout.
    pub const BUSY_TIMEOUT: Duration = Settings::BUSY_TIMEOUT;

    /// The heap at a path or address, which need not exist.
    ///
    /// # Errors
    /// [`crate::Error::Io`] for an unusable path, [`ServerError::BadAddress`] for an unusable address,
    /// [`ServerError::NotBuilt`].
    pub fn at(path: &Path) -> Result<Self> {
        if !is_address(path) {
            return FileLocation::at(path).map(Self::File);
        }
        #[cfg(feature = "postgres")]
        return ServerLocation::at(&path.to_string_lossy()).map(Self::Server);
        #[cfg(not(feature = "postgres"))]
        Err(ServerError::NotBuilt.into())
    }

    /// The same heap for a call that opens it with these options, with the deadline `opening`.
    pub fn for_opening(mut self, durability: Durability, busy_timeout: Duration, opening: Deadline) -> Self {
        let opening = Some(opening);
        on_location!(&mut self, location => location.settings = Settings { durability, busy_timeout, opening, ..location.settings });
        self
    }

    /// The same heap, written with SQLite's own file system or not.
    pub fn with_plain_io(self, plain_io: bool) -> Self {
        match self {
            Self::File(file) => Self::File(file.with_plain_io(plain_io)),
            #[cfg(feature = "postgres")]
            server => server,
        }
    }

    /// The same heap, whose reads may take this long.
    pub fn with_max_snapshot_age(mut self, max_snapshot_age: Option<Duration>) -> Self {
        on_location!(&mut self, location => location.settings.max_snapshot_age = max_snapshot_age);
        self
    }

    /// The absolute path, with links resolved; the address without a password.
    pub fn path(&self) -> &Path {
        on_location!(self, location => location.path())
    }

    /// The path as the user gave it, for messages; the address without a password.
    pub fn named(&self) -> &Path {
        on_location!(self, location => location.named())
    }

    /// Puts what only the location knows into an error of a call that opens the heap.
    pub fn name_in(&self, error: Error) -> Error {
        match self {
            Self::File(_) => error,
            #[cfg(feature = "postgres")]
            Self::Server(server) => server.name_in(error),
        }
    }

    /// The deadline of a call that begins now, or of the one that is opening the heap.
    pub fn deadline(&self) -> Deadline {
        on_location!(self, location => location.deadline())
    }

    /// Whether there is no heap yet: no file, or an empty one. On a server nobody can tell without asking.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::File(file) if file.is_new())
    }

    /// Whether it is on a server.
    pub fn is_on_server(&self) -> bool {
        !matches!(self, Self::File(_))
    }

    /// The differences between the schema of a heap and that of this version. Runs nothing of the
    /// schema.
    pub fn check_schema(&self) -> Result<Vec<Violation>> {
        let checked = on_location!(self, location => location.check_schema());
        checked.map_err(|error| self.name_in(error))
    }

    /// Recreates missing and altered parts of the schema, and returns them.
    pub fn restore_schema(&self) -> Result<Vec<Violation>> {
        let restored = on_location!(self, location => location.restore_schema());
        restored.map_err(|error| self.name_in(error))
    }

    /// The file, if it is in one.
    pub fn as_file(&self) -> Option<&FileLocation> {
        match self {
            Self::File(file) => Some(file),
            #[cfg(feature = "postgres")]
            Self::Server(_) => None,
        }
    }

    /// The file.
    ///
    /// # Errors
    /// [`ServerError::NotOnServer`] with these words, if there is none.
    pub fn file(&self, what: &'static str, instead: &'static str) -> Result<&FileLocation> {
        let not_there = || ServerError::NotOnServer { what, instead }.into();
        self.as_file().ok_or_else(not_there)
    }

    /// Which heap it is, for this process.
    pub(in crate::store) fn heap_id(&self) -> Option<HeapId> {
        on_location!(self, location => location.heap_id())
    }

    /// The lengths of the files; nothing on a server.
    pub fn on_disk(&self) -> OnDisk {
        match self {
            Self::File(file) => file.on_disk(),
            #[cfg(feature = "postgres")]
            Self::Server(_) => OnDisk::default(),
        }
    }

    /// Bytes that are free on the disk of the file for this user, if that can be known.
    pub fn free_on_disk(&self) -> Option<u64> {
        match self {
            Self::File(file) => file.free_on_disk(),
            #[cfg(feature = "postgres")]
            Self::Server(_) => None,
        }
    }

    /// The processes that read from the write-ahead log now.
    pub fn log_holders(&self) -> Vec<LogHolder> {
        match self {
            Self::File(file) => file.log_holders(),
            #[cfg(feature = "postgres")]
            Self::Server(_) => Vec::new(),
        }
    }

    /// The error of a call that has waited for the write-ahead log until now.
    pub(in crate::store) fn log_is_held(&self, deadline: Deadline) -> Error {
        match self {
            Self::File(file) => log_limit::held(file, deadline, None),
            #[cfg(feature = "postgres")]
            Self::Server(_) => deadline.busy(),
        }
    }

    /// Bytes of the write-ahead log at which no transaction begins; 0 on a server.
    pub fn log_limit_below(&self, max_file: Option<u64>) -> u64 {
        match self {
            Self::File(file) => file.log_limit_below(max_file),
            #[cfg(feature = "postgres")]
            Self::Server(_) => 0,
        }
    }
}

/// Whether a path is the address of a server: `postgres://…` or `postgresql://…`.
fn is_address(path: &Path) -> bool {
    let scheme = path.to_str().and_then(|text| text.split_once("://"));
    scheme.is_some_and(|(scheme, _)| {
        ["postgres", "postgresql"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    })
}
