//! What can go wrong with a heap on a server.

use std::fmt;

use super::Error;

/// Why a heap on a server cannot be used. Servers are named without passwords. Nothing has changed,
/// except where it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerError {
    /// This program was built without the feature `postgres`.
    NotBuilt,
    /// The address cannot be understood.
    BadAddress {
        /// Why, without the address.
        why: String,
    },
    /// The server cannot be reached, or refuses the connection.
    Unreachable {
        /// The address.
        server: String,
        /// What the server or the system says.
        why: String,
    },
    /// The connection was lost. If it was lost at a commit, it has been made sure that nothing was
    /// committed.
    Lost {
        /// The address.
        server: String,
    },
    /// The connection was lost at a commit and the server could not be reached again, so nobody knows
    /// whether it was committed.
    CommitUnknown {
        /// The address.
        server: String,
        /// What the server or the system says.
        why: String,
    },
    /// The schema has no heap.
    NoHeap {
        /// The address.
        server: String,
    },
    /// The schema has something else.
    Foreign {
        /// The address.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// The schema has a heap of another format.
    Format {
        /// The address.
        server: String,
        /// The format found.
        found: i64,
        /// The format that this version knows.
        known: i64,
    },
    /// This is about files, and the heap is on a server.
    NotOnServer {
        /// What was asked for.
        what: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// Others wrote the same rows at the same time; the server ended this transaction to resolve it.
    Conflict {
        /// What the server says.
        why: String,
    },
    /// Only used inside the library: what was known of the space is outdated, so the unit runs again.
    #[doc(hidden)]
    Outdated,
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt => f.write_str("this program was built without PostgreSQL (the feature `postgres`)"),
            Self::BadAddress { why } => write!(f, "the address cannot be used: {why}"),
            Self::Unreachable { server, why } => write!(f, "{server} cannot be reached: {why}"),
            Self::Lost { server } => write!(f, "the connection to {server} was lost; nothing was changed"),
            Self::CommitUnknown { server, why } => write!(
                f,
                "the connection to {server} was lost at a commit, and it cannot be reached again to find out whether it happened: {why}"
            ),
            Self::NoHeap { server } => write!(f, "there is no heap at {server}"),
            Self::Foreign { server, why } => write!(f, "there is something else than a heap at {server}: {why}"),
            Self::Format { server, found, known } if found > known => write!(
                f,
                "the heap at {server} has format {found}, but this version knows only {known}; it was left untouched"
            ),
            Self::Format { server, found, .. } => write!(
                f,
                "the heap at {server} has the old format {found}, which this version cannot read; it was left untouched"
            ),
            Self::NotOnServer { what, instead } => write!(f, "{what} is for heaps in files; on a server, {instead}"),
            Self::Conflict { why } => write!(f, "others were changing the same rows: {why}; nothing was changed"),
            Self::Outdated => f.write_str("others were writing to the space all the time; nothing was changed"),
        }
    }
}

impl ServerError {
    /// What to do about it, in terms of library calls.
    pub(super) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NoHeap { .. } => Some("Options::create creates it"),
            Self::Lost { .. } | Self::Conflict { .. } | Self::Outdated => Some("try again"),
            _ => None,
        }
    }
}

impl std::error::Error for ServerError {}
