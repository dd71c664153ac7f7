//! Errors in a language other than English.
//!
//! A role that may not set `lc_messages` gets messages in the language of the server, and Diesel keeps the
//! class of some errors only. The others are recognized by what the server says about the same errors
//! when they are provoked on connections of their own.

use diesel::connection::SimpleConnection;
use diesel::result::{DatabaseErrorKind, Error as Refusal};

use super::location::ServerLocation;
use crate::error::{Error, ServerError};
use crate::store::settings::Access;

/// The advisory lock for which a statement waits until its timeout: "hLdt".
const LOCK: i64 = 0x684c_6474;

impl ServerLocation {
    /// Recognizes an error that has no class of its own, if it is one of those. Others stay as they are.
    ///
    /// It takes two connections, but errors without a class are rare, and if the language is English,
    /// they are never one of those that are looked for.
    pub(super) fn recognize(&self, error: Error) -> Error {
        match unknown(&error).and_then(|said| self.provoked(said)) {
            Some(recognized) => recognized,
            None => error,
        }
    }

    fn provoked(&self, said: &str) -> Option<Error> {
        let connect = || self.connect_to(&self.address, Access::Read).ok();
        let (mut holder, mut conn) = (connect()?, connect()?);
        let mut says = |provocation: &str| {
            let refused = conn.batch_execute(provocation).err();
            refused.is_some_and(|refused| refused.to_string() == said)
        };
        let cancelled = "SELECT pg_catalog.pg_cancel_backend(pg_catalog.pg_backend_pid()), pg_catalog.pg_sleep(1)";
        let too_long = "SET statement_timeout TO 1; SELECT pg_catalog.pg_sleep(1)";
        if says(cancelled) || says(too_long) {
            let why = said.to_owned();
            return Some(ServerError::Cancelled { why }.into());
        }
        holder
            .batch_execute(&format!("SELECT pg_catalog.pg_advisory_lock_shared({LOCK})"))
            .ok()?;
        let locked =
            format!("SET statement_timeout TO 0; SET lock_timeout TO 1; SELECT pg_catalog.pg_advisory_lock({LOCK})");
        says(&locked).then_some(Error::Busy { waited_ms: 0 })
    }
}

/// What the server says about an error without a class.
fn unknown(error: &Error) -> Option<&str> {
    let Error::Database { source, .. } = error else {
        return None;
    };
    match source.downcast_ref()? {
        Refusal::DatabaseError(DatabaseErrorKind::Unknown, information) => Some(information.message()),
        _ => None,
    }
}
