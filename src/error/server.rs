//! What can go wrong with a heap on a server.

use std::fmt;

/// Why a heap on a server cannot be used. Servers are named without passwords. Nothing has changed,
/// except where it says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// This program was built without the feature `postgres`.
    #[error("this program was built without PostgreSQL (the feature `postgres`)")]
    NotBuilt,
    /// The address cannot be understood.
    #[error("the address of the server {why}")]
    BadAddress {
        /// Why, in words that follow the name of the address: `has a port that is not a number`.
        why: String,
    },
    /// The server cannot be reached, or refuses the connection.
    #[error("{server} cannot be reached: {why}")]
    Unreachable {
        /// The address.
        server: String,
        /// What the server or the system says.
        why: String,
    },
    /// The connection was lost. If it was lost at a commit, it has been made sure that nothing was
    /// committed.
    #[error("the connection to {server} was lost, and the transaction was undone")]
    Lost {
        /// The address.
        server: String,
    },
    /// The connection was lost at a commit and the server could not be reached again, so nobody knows
    /// whether it was committed.
    #[error(
        "the connection to {server} was lost at a commit, and it cannot be reached again to find out whether it happened: \
         {why}"
    )]
    CommitUnknown {
        /// The address.
        server: String,
        /// What the server or the system says.
        why: String,
    },
    /// The schema has no heap.
    #[error("there is no heap at {server}")]
    NoHeap {
        /// The address.
        server: String,
    },
    /// The role lacks a privilege.
    #[error("the role {role:?} may not {what} at {server}")]
    NotAllowed {
        /// The address.
        server: String,
        /// The role.
        role: String,
        /// What it may not do.
        what: String,
    },
    /// The server only executes reads, because it is a standby or for another reason.
    #[error("{server} only reads, as a standby does; nothing was changed")]
    Standby {
        /// The address.
        server: String,
    },
    /// A disk of the server is full.
    #[error("a disk of {server} is full: {why}; the transaction was undone")]
    Full {
        /// The address.
        server: String,
        /// What the server says, with the file that it could not write.
        why: String,
    },
    /// The encoding of the database is not UTF-8, so it cannot store every text.
    #[error("no heap can be created at {server}, because the encoding of the database is {encoding} and not UTF8")]
    Encoding {
        /// The address.
        server: String,
        /// The name of the encoding.
        encoding: String,
    },
    /// A connection pool gives transactions of one connection to different sessions of the server, or the
    /// same session to several connections.
    #[error(
        "a connection pool at {server} does not keep a session of the server for each connection, so settings and prepared \
         statements are lost"
    )]
    Pooled {
        /// The address.
        server: String,
    },
    /// The schema contains something other than a heap.
    #[error("there is no heap at {server}, but something else: {why}")]
    Foreign {
        /// The address.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// The schema has a heap of another format.
    #[error(fmt = format)]
    Format {
        /// The address.
        server: String,
        /// The format found.
        found: i64,
        /// The format that this version knows.
        known: i64,
    },
    /// The server is a worker of Citus, where tables cannot be created or changed.
    #[error(
        "{server} is a worker of Citus, where no heap can be created or repaired; use the address of the coordinator"
    )]
    Worker {
        /// The address.
        server: String,
    },
    /// The heap was moved to another node of Citus during a read, which may have seen two states.
    #[error("the heap at {server} was moved to another node during the read")]
    Moved {
        /// The address.
        server: String,
    },
    /// This is about files, and the heap is on a server.
    #[error("{what} is for heaps in files; on a server, {instead}")]
    NotOnServer {
        /// What was asked for.
        what: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// Others wrote the same rows at the same time; the server ended this transaction to resolve it.
    #[error("others were changing the same rows: {why}; the transaction was undone")]
    Conflict {
        /// What the server says.
        why: String,
    },
    /// The statement was cancelled: by an administrator, or because it took longer than the
    /// `statement_timeout` of the role or the server.
    #[error("the server cancelled the statement: {why}; the transaction was undone")]
    Cancelled {
        /// What the server says.
        why: String,
    },
    /// Only used inside the library: what was known of the space is outdated, so the unit runs again.
    #[doc(hidden)]
    #[error("others were writing to the space all the time; nothing was changed")]
    Outdated,
}

impl ServerError {
    /// What to do about it, in terms of library calls. The message of [`Error`](crate::Error) ends with it.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoHeap { .. } => "Options::create creates it",
            Self::Unreachable { why, .. } => return reachable(why),
            Self::NotAllowed { .. } => {
                "USAGE on the schema and SELECT on all of its tables allow reading; its owner and the members of \
                 that role write"
            }
            Self::Standby { .. } => "connect to the primary: name all hosts, and add target_session_attrs=read-write",
            Self::Full { .. } => {
                "make room on it and try again; what is freed in the heap only makes room for the heap itself"
            }
            Self::Encoding { .. } => "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' creates one",
            Self::Pooled { .. } => {
                "let it pool sessions (PgBouncer: pool_mode=session), or connect to the server itself"
            }
            Self::Foreign { .. } => "schema=NAME in the address names another schema",
            Self::Format { found, known, .. } if found > known => "use a newer version of heapledger",
            Self::Lost { .. } | Self::Moved { .. } | Self::Conflict { .. } | Self::Outdated => "try again",
            _ => return None,
        })
    }
}

fn format(server: &str, found: &i64, known: &i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the heap at {server} has ")?;
    if found > known {
        write!(
            f,
            "format {found}, but this version knows only {known}; it was left untouched"
        )
    } else {
        write!(
            f,
            "the old format {found}, which this version cannot read; it was left untouched"
        )
    }
}

/// What to do about a refused connection. libpq gives no code for it, only this text in English; in
/// other languages there is no advice.
fn reachable(why: &str) -> Option<&'static str> {
    const ADVICE: [(&str, &str); 7] = [
        ("password authentication failed", PASSWORDS),
        ("no password supplied", PASSWORDS),
        (
            "role \"",
            "CREATE ROLE creates it, and a user in the address or PGUSER names another",
        ),
        ("database \"", "CREATE DATABASE creates it"),
        ("too many clients", CONNECTIONS),
        ("connection slots are reserved", CONNECTIONS),
        (
            "timeout expired",
            "if it needs longer to answer, connect_timeout=SECONDS in the address or PGCONNECT_TIMEOUT allows it",
        ),
    ];
    const PASSWORDS: &str =
        "a password comes from PGPASSWORD, ~/.pgpass, a service file (PGSERVICEFILE) or the address";
    const CONNECTIONS: &str = "end connections that nobody needs, or raise max_connections of the server";
    let known = ADVICE.iter().find(|(text, _)| why.contains(text));
    known.map(|(_, advice)| *advice)
}
