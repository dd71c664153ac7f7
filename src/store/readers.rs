//! The pool of reading connections.

#[cfg(feature = "postgres")]
use super::postgres::readers::ServerReaders;
use super::read::ReadTx;
use super::sqlite::readers::FileReaders;
use crate::error::Result;

/// The reading connections of a heap. There are as many as simultaneous readers.
pub(crate) enum Readers {
    File(FileReaders),
    #[cfg(feature = "postgres")]
    Server(ServerReaders),
}

impl Readers {
    /// Readers that all see the last commit before this call and nothing after.
    pub fn freeze(&self) -> Result<Self> {
        match self {
            Self::File(readers) => readers.freeze().map(Self::File),
            #[cfg(feature = "postgres")]
            Self::Server(readers) => readers.freeze().map(Self::Server),
        }
    }

    /// Runs `read` on a separate connection in one read transaction, which sees the last commit
    /// before it and nothing later. It runs again, on another state, if the connection was lost.
    pub fn snapshot<R>(&self, read: impl FnMut(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        match self {
            Self::File(readers) => readers.snapshot(read),
            #[cfg(feature = "postgres")]
            Self::Server(readers) => readers.snapshot(read),
        }
    }

    /// The same for a read that must not run again, because it hands out what it finds.
    pub fn snapshot_once<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        match self {
            Self::File(readers) => readers.snapshot(read),
            #[cfg(feature = "postgres")]
            Self::Server(readers) => readers.snapshot_once(read),
        }
    }

    /// The same for statements that a user has written: what they may do to their session must not
    /// affect any other read.
    pub fn apart<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        match self {
            // They are queries, which leave nothing behind in SQLite.
            Self::File(readers) => readers.snapshot(read),
            #[cfg(feature = "postgres")]
            Self::Server(readers) => readers.apart(read),
        }
    }

    /// Runs `read`, which executes a single statement, on a separate connection. It runs again if the
    /// connection was lost.
    pub fn single<R>(&self, read: impl FnMut(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        match self {
            Self::File(readers) => readers.single(read),
            #[cfg(feature = "postgres")]
            Self::Server(readers) => readers.single(read),
        }
    }
}
