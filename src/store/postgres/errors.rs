//! Translation of PostgreSQL's errors.

use diesel::result::{DatabaseErrorKind, Error as Refusal};

use super::location::ServerLocation;
use crate::error::{Error, ServerError};

/// Translates an error that only a server gives, if it is one. The caller fills in the address.
///
/// Diesel keeps the class of some errors only, so the others are known by their English texts. A
/// connection asks for these, but a server gives them in its own language unless the role may set
/// `lc_messages`; then such an error is [`Error::Database`]. That a connection is lost, what has a class,
/// and that the row of a space stays locked for too long are recognized in any language.
pub(in crate::store) fn translate(source: &Refusal) -> Option<Error> {
    let Refusal::DatabaseError(kind, information) = source else {
        return None;
    };
    let said = information.message();
    let server = String::new();
    let why = said.to_owned();
    let has = |text: &str| said.contains(text);
    let hints = |text: &str| information.hint().is_some_and(|hint| hint.contains(text));
    Some(match kind {
        DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
            ServerError::Lost { server }.into()
        }
        DatabaseErrorKind::SerializationFailure => ServerError::Conflict { why }.into(),
        DatabaseErrorKind::ReadOnlyTransaction => ServerError::Standby { server }.into(),
        _ if has("terminating connection") || has("server closed the connection") => {
            ServerError::Lost { server }.into()
        }
        // The second is Citus', whose moves of a heap may be in the way of a write and the other way round.
        _ if has("deadlock detected") || has("distributed deadlock") => ServerError::Conflict { why }.into(),
        _ if has("canceling statement due to user request") || has("canceling statement due to statement timeout") => {
            ServerError::Cancelled { why }.into()
        }
        _ if has("due to lock timeout") => Error::Busy { waited_ms: 0 },
        // The hint is given for a file that could be lengthened only in part, too.
        _ if has("No space left on device") || has("Disk quota exceeded") || hints("Check free disk space") => {
            ServerError::Full { server, why }.into()
        }
        _ => return None,
    })
}

impl ServerLocation {
    /// Puts what only the location knows into an error.
    pub(in crate::store) fn name_in(&self, error: Error) -> Error {
        match error {
            Error::Server(ServerError::Lost { .. }) => ServerError::Lost { server: self.name() }.into(),
            Error::Server(ServerError::Standby { .. }) => ServerError::Standby { server: self.name() }.into(),
            Error::Server(ServerError::Full { why, .. }) => ServerError::Full {
                server: self.name(),
                why,
            }
            .into(),
            other => other,
        }
    }
}
