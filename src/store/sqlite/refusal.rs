//! Translation of SQLite's errors.

use diesel::result::Error as Refusal;

use super::ceiling::take_refusal;
use crate::error::{Error, Result, file_size_limit};

impl From<Refusal> for Error {
    fn from(source: Refusal) -> Self {
        // A value of the wrong type.
        if let Refusal::DeserializationError(unread) = source {
            return Self::Damaged {
                what: with_causes(unread.as_ref()),
            };
        }
        #[cfg(feature = "postgres")]
        if let Some(error) = crate::store::postgres::errors::translate(&source) {
            return error;
        }
        let said = source.to_string();
        // Diesel keeps SQLite's message and not its code.
        match said.as_str() {
            "database or disk is full" => take_refusal().unwrap_or(Self::DiskFull),
            // SQLite does not tell which error it was; it can also mean that the -shm cannot be
            // opened.
            "disk I/O error" => descriptors_used_up().unwrap_or_else(|| Self::DiskFailed {
                why: file_size_limit().map_or(said.clone(), |limit| format!("{said}; {limit}")),
            }),
            "unable to open database file" => descriptors_used_up().unwrap_or(Self::LogUnreadable),
            "query aborted" => Self::ChangedWhileRead,
            "file is not a database" => Self::Damaged { what: said },
            // The waiting code fills in the time.
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
    /// Converts SQLite's error, and adds the reason if SQLite does not give it.
    pub(in crate::store) fn database(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        descriptors_used_up().unwrap_or(Self::Database { what, source })
    }
}

/// The error and what caused it: `cannot read: no space left`.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The number of files that SQLite opens for one connection, and has closed again after a failure.
const FILES_OF_CONNECTION: usize = 4;

/// SQLite only reports that a file cannot be opened. If no file can be opened, this is the reason.
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
