//! Translation of PostgreSQL's errors.

use diesel::result::{DatabaseErrorKind, Error as Refusal};

use super::location::ServerLocation;
use crate::error::{Error, ServerError};

/// In the message of the error that a connection raises if another one has set its session up.
const SHARED: &str = "heapledger.session is set";

/// Translates an error that only a server gives, if it is one. [`ServerLocation::name_in`] fills in the address.
///
/// Diesel keeps the class of some errors only, so the others are recognized by their English texts, or by
/// their form. A connection asks for English, but only a role that may set `lc_messages` gets it;
/// otherwise [`ServerLocation::name_in`] recognizes what is left.
pub(in crate::store) fn translate(source: &Refusal) -> Option<Error> {
    let Refusal::DatabaseError(kind, information) = source else {
        return None;
    };
    let said = information.message();
    let server = "the server".to_owned();
    let why = said.to_owned();
    let has = |text: &str| said.contains(text);
    // The details say in several lines which sessions wait for each other. No other error has several lines.
    let is_deadlock = || information.details().is_some_and(|details| details.lines().count() > 1);
    // A hint and the name of a file mean that this file could not be lengthened, or only in part.
    let is_full = || information.hint().is_some() && (has("base/") || has("pg_tblspc/"));
    Some(match kind {
        DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
            ServerError::Lost { server }.into()
        }
        DatabaseErrorKind::SerializationFailure => ServerError::Conflict { why }.into(),
        DatabaseErrorKind::ReadOnlyTransaction => ServerError::Standby { server }.into(),
        _ if has("terminating connection") || has("server closed the connection") => {
            ServerError::Lost { server }.into()
        }
        DatabaseErrorKind::Unknown if is_deadlock() => ServerError::Conflict { why }.into(),
        // The second text is that of Citus: a move of a heap and a write may block each other.
        _ if has("deadlock detected") || has("distributed deadlock") => ServerError::Conflict { why }.into(),
        _ if has("canceling statement due to user request") || has("canceling statement due to statement timeout") => {
            ServerError::Cancelled { why }.into()
        }
        // Prepared statements of Diesel: another session has prepared them, or this one has not.
        _ if has("__diesel_stmt_") || has(SHARED) => ServerError::Pooled { server }.into(),
        _ if has("due to lock timeout") => Error::Busy { waited_ms: 0 },
        _ if has("No space left on device") || has("Disk quota exceeded") || is_full() => {
            ServerError::Full { server, why }.into()
        }
        _ => return None,
    })
}

impl ServerLocation {
    /// Puts what only the location knows into an error, and recognizes it in any language.
    pub(in crate::store) fn name_in(&self, error: Error) -> Error {
        match error {
            Error::Server(ServerError::Lost { .. }) => ServerError::Lost { server: self.name() }.into(),
            Error::Server(ServerError::Pooled { .. }) => ServerError::Pooled { server: self.name() }.into(),
            Error::Server(ServerError::Standby { .. }) => ServerError::Standby { server: self.name() }.into(),
            Error::Server(ServerError::Full { why, .. }) => ServerError::Full {
                server: self.name(),
                why,
            }
            .into(),
            other => self.recognize(other),
        }
    }
}
