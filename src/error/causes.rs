//! What an error of SQLite or of the system means.

use super::message::grouped;
use super::{Error, Result};

impl From<diesel::result::Error> for Error {
    fn from(source: diesel::result::Error) -> Self {
        // A value that no column of ours holds.
        if let diesel::result::Error::DeserializationError(unread) = source {
            return Self::Damaged {
                what: with_causes(unread.as_ref()),
            };
        }
        let said = source.to_string();
        // Diesel keeps SQLite's message and not its code.
        match said.as_str() {
            "database or disk is full" => Self::DiskFull,
            // SQLite does not say which error it was: also that the index of the log, which
            // is a file, cannot be opened.
            "disk I/O error" => descriptors_used_up().unwrap_or_else(|| Self::DiskFailed {
                why: file_size_limit().map_or(said.clone(), |limit| format!("{said}; {limit}")),
            }),
            "unable to open database file" => descriptors_used_up().unwrap_or(Self::LogUnreadable),
            "query aborted" => Self::ChangedWhileRead,
            "file is not a database" => Self::Damaged { what: said },
            // Whoever waited for it says for how long.
            "locking protocol" => Self::Busy { waited_ms: 0 },
            _ if said.contains("is locked") => Self::Busy { waited_ms: 0 },
            _ if said.contains("malformed") => Self::Damaged { what: said },
            _ => Self::Database {
                what: "the database refused",
                source: Box::new(source),
            },
        }
    }
}

impl Error {
    /// The same error for another of those whose transaction it ended.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Busy { waited_ms } => Self::Busy { waited_ms: *waited_ms },
            Self::NotWritable { path } => Self::NotWritable { path: path.clone() },
            Self::LogUnreadable => Self::LogUnreadable,
            Self::FileChanged { path } => Self::FileChanged { path: path.clone() },
            Self::DiskFull => Self::DiskFull,
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

    /// SQLite's refusal, with its reason where it does not tell it.
    pub(crate) fn database(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        descriptors_used_up().unwrap_or(Self::Database { what, source })
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

/// The error and what caused it: `cannot read: no space left`.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The error of the system, where `tempfile` adds a name that means nothing to anyone.
fn without_temporary_name(error: std::io::Error) -> std::io::Error {
    let text = error.to_string();
    match (error.raw_os_error(), text.rsplit_once(" at path \"")) {
        (None, Some((what, _))) => std::io::Error::new(error.kind(), what),
        _ => error,
    }
}

/// As many files as SQLite opens for one connection, and has closed again when it has failed.
const FILES_OF_CONNECTION: usize = 4;

/// SQLite only says that a file cannot be opened. If no file can be, that is why.
fn descriptors_used_up() -> Option<Error> {
    #[cfg(unix)]
    {
        let files: Result<Vec<_>, _> = (0..FILES_OF_CONNECTION)
            .map(|_| std::fs::File::open("/dev/null"))
            .collect();
        let error = files.err()?;
        let errors = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
        let is_that = error.raw_os_error().is_some_and(|code| errors.contains(&code));
        is_that.then(|| Error::io("the heap needs another file descriptor (`ulimit -n`)")(error))
    }
    #[cfg(not(unix))]
    None
}

/// What this process may not write more of into a file, in words.
fn file_size_limit() -> Option<String> {
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
