//! The address of a heap on a server: a connection URI as libpq takes it, and the schema.
//!
//! An address may contain a password, and nothing that this module prints does.

mod parts;
mod secrets;
#[cfg(test)]
mod tests;

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::ServerError;
use parts::Parts;
use secrets::Secrets;

/// The characters of a component that need no encoding (RFC 3986: unreserved).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest name of a schema, in bytes. PostgreSQL would silently cut a longer one.
const LONGEST_SCHEMA: usize = 63;

/// `postgres://user:password@host:port/database?parameter=value`, with the parameters of libpq and
/// one more, `schema`.
///
/// `Display` and `Debug` write it without passwords. Another program that has the same settings and
/// passwords finds the same heap by this text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    parts: Parts,
    schema: String,
    secrets: Secrets,
}

impl Address {
    /// The schema of a heap whose address names none.
    pub const SCHEMA: &'static str = "heapledger";

    /// Parses a URI.
    ///
    /// # Errors
    /// [`ServerError::BadAddress`] for a text that libpq would read as something other than it looks
    /// like, or would quote in messages together with a password, and for a schema name that is not
    /// allowed. The names and values of other parameters are checked by libpq when it connects.
    pub fn parse(text: &str) -> Result<Self, ServerError> {
        let bad = |why| ServerError::BadAddress { why };
        let mut parts = Parts::of(text).map_err(bad)?;
        let schema = match parts.take("schema").map_err(bad)? {
            Some(schema) => schema,
            None => Self::SCHEMA.to_owned(),
        };
        usable(&schema).map_err(bad)?;
        let secrets = Secrets::of(&parts);
        Ok(Self { parts, schema, secrets })
    }

    /// The name of the schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Whether a password or another secret is in it.
    pub fn has_password(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// What libpq takes: the same text without `schema`, and with limits to how long it waits for a host
    /// that does not answer, unless the address or an environment variable sets them.
    ///
    /// It contains the password.
    pub(in crate::store) fn for_libpq(&self, is_set: impl Fn(&str) -> bool) -> String {
        self.parts.limited(is_set).to_text()
    }

    /// The name of the schema as an identifier of SQL: in quotes.
    pub(in crate::store) fn quoted_schema(&self) -> String {
        format!("\"{}\"", self.schema.replace('"', "\"\""))
    }

    /// The same address for one other host: a node of a cluster, an IP address, a name, or the
    /// folder of a socket. User, password, database and all other parameters stay.
    pub(in crate::store) fn at_node(&self, host: &str, port: u16) -> Self {
        Self {
            parts: self.parts.at(host, port),
            ..self.clone()
        }
    }

    /// A message of libpq or of the server without the secrets of this address.
    pub(in crate::store) fn mask(&self, message: &str) -> String {
        self.secrets.mask(message)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.parts.shown();
        let sign = if shown.contains('?') { '&' } else { '?' };
        write!(f, "{shown}{sign}schema={}", utf8_percent_encode(&self.schema, RESERVED))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Refuses names that PostgreSQL would cut, reserves for itself, or reads as something else.
fn usable(schema: &str) -> Result<(), String> {
    let length = schema.len();
    if length == 0 || length > LONGEST_SCHEMA {
        return Err(format!(
            "has a schema name of {length} bytes; it can have 1 to {}",
            LONGEST_SCHEMA
        ));
    }
    if schema.starts_with("pg_") || schema == "information_schema" {
        return Err(format!(
            "names the schema {schema}, which belongs to PostgreSQL; choose another name"
        ));
    }
    // A search path reads this one as the schema of the current user, even in quotes.
    if schema == "$user" {
        return Err("names the schema $user, which PostgreSQL takes for the name of the user; write it out".into());
    }
    Ok(())
}
