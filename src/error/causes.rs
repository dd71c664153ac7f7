//! Conversion of system errors, and copies for units that share a transaction.

use super::figures::grouped;
use super::{Error, ExpiryError, PlanError, ReservationError, ServerError, SpaceError, TransferError};

/// Not `#[from]` of `thiserror`: the message of the whole error is that of its part, which is therefore not its source.
macro_rules! parts {
    ($($part:ident($error:ty)),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$part(error)
            }
        })*
    };
}

parts!(
    Expiry(ExpiryError),
    Plan(PlanError),
    Reservation(ReservationError),
    Server(ServerError),
    Space(SpaceError),
    Transfer(TransferError)
);

impl Error {
    /// The same error for another unit whose transaction it ended.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Busy { waited_ms } => Self::Busy { waited_ms: *waited_ms },
            Self::LogHeld(held) => Self::LogHeld(held.clone()),
            Self::NotWritable { path } => Self::NotWritable { path: path.clone() },
            Self::LogUnreadable => Self::LogUnreadable,
            Self::FileChanged { path } => Self::FileChanged { path: path.clone() },
            Self::DiskFull => Self::DiskFull,
            Self::QuotaExceeded(over) => Self::QuotaExceeded(over.clone()),
            Self::FileFull {
                needed,
                file,
                log,
                reserve,
                max_file,
            } => Self::FileFull {
                needed: *needed,
                file: *file,
                log: *log,
                reserve: *reserve,
                max_file: *max_file,
            },
            Self::Server(error) => Self::Server(error.clone()),
            Self::Space(error) => Self::Space(error.clone()),
            Self::Interrupted => Self::Interrupted,
            Self::DiskFailed { why } => Self::DiskFailed { why: why.clone() },
            Self::Damaged { what } => Self::Damaged { what: what.clone() },
            Self::Database { what, source } => Self::Database {
                what,
                source: source.to_string().into(),
            },
            other => Self::Database {
                what: "the shared transaction was lost",
                source: other.to_string().into(),
            },
        }
    }

    pub(crate) fn unknown_name(name: &str, space: &str) -> Self {
        Self::UnknownName {
            name: name.to_owned(),
            space: space.to_owned(),
        }
    }

    /// Whether a unit of work or a read that failed with this error may succeed if it runs again.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Server(
                ServerError::Outdated
                    | ServerError::Lost { .. }
                    | ServerError::Conflict { .. }
                    | ServerError::Moved { .. }
            )
        )
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io {
            what,
            source: match file_size_limit().filter(|_| source.kind() == std::io::ErrorKind::FileTooLarge) {
                Some(limit) => std::io::Error::new(source.kind(), limit),
                None => without_temporary_name(source),
            },
        }
    }
}

/// The system's error without the temporary path that `tempfile` adds.
fn without_temporary_name(error: std::io::Error) -> std::io::Error {
    let text = error.to_string();
    match (error.raw_os_error(), text.rsplit_once(" at path \"")) {
        (None, Some((what, _))) => std::io::Error::new(error.kind(), what),
        _ => error,
    }
}

/// The file-size limit of this process, as a phrase.
pub(crate) fn file_size_limit() -> Option<String> {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current?;
        let limit = grouped(limit);
        Some(format!(
            "the file-size limit of this process is {limit} bytes (`ulimit -f`)"
        ))
    }
    #[cfg(not(unix))]
    None
}
