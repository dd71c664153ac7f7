//! Addresses of servers, and where they may be given.

use anyhow::{Result, bail};
#[cfg(feature = "postgres")]
use heapledger::ServerError;

use super::dotenv::Setting;

/// Whether a text is meant as the address of a PostgreSQL server.
pub fn is_meant(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| scheme == "postgres" || scheme == "postgresql")
}

/// Checks an address, and returns it for messages: without a password.
///
/// A server has to be named on purpose: most projects of web services have a `DATABASE_URL` that is
/// not for this program, and a `.env` comes with the folder.
pub fn checked(setting: &Setting) -> Result<String> {
    let Setting { source, in_file, .. } = setting;
    if *in_file || *source == "DATABASE_URL" {
        let place = if *in_file { " in .env" } else { "" };
        bail!(
            "{source}{place} is a PostgreSQL URL, which counts only from --db or from HEAPLEDGER_DB in the \
             environment, because it may be meant for another program; name the heap with one of them: a file or a server"
        );
    }
    address(setting)
}

#[cfg(feature = "postgres")]
fn address(setting: &Setting) -> Result<String> {
    let source = setting.source;
    let Some(text) = setting.value.to_str() else {
        bail!("{source} is not UTF-8; write other bytes of an address as %FF");
    };
    let address = match heapledger::Address::parse(text) {
        Err(ServerError::BadAddress { why }) => bail!("{source} {why}"),
        parsed => parsed?,
    };
    if source != "HEAPLEDGER_DB" && address.has_password() {
        let or = match source {
            "--db" => ", or with the whole address in HEAPLEDGER_DB",
            _ => "",
        };
        bail!(
            "{source} has a password in it, which other users of this machine can see while the command runs, and which \
             the shell remembers; leave it out, and give it in PGPASSWORD, in ~/.pgpass, in a service file \
             (PGSERVICEFILE){or}"
        );
    }
    Ok(address.to_string())
}

#[cfg(not(feature = "postgres"))]
fn address(setting: &Setting) -> Result<String> {
    bail!(
        "{} is a PostgreSQL URL, but this build has no PostgreSQL; build heapledger with `--features postgres`, which \
         needs libpq, or with `--features postgres-bundled`",
        setting.source
    );
}
