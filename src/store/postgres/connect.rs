//! Opening connections.

use std::fmt::Display;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use super::address::Address;
use super::errors::translate;
use super::location::ServerLocation;
use super::nodes::Link;
use crate::error::{Error, Result, ServerError};
use crate::store::conn::Conn;
use crate::store::deadline::Deadline;
use crate::store::read::SEARCH;
use crate::store::settings::{Access, Durability};

/// Errors are recognized by their texts. Only a role with the privilege may choose their language.
const ENGLISH: &str = "SELECT pg_catalog.set_config('lc_messages'::text, 'C'::text, FALSE) \
     WHERE pg_catalog.has_parameter_privilege('lc_messages'::text, 'SET'::text);";
/// Refuses a session that another connection has set up: behind a shared connection pool, each would write with
/// the search path of the other. A pool that hands out whole sessions resets them. SQL has no statement that fails
/// on a condition, but converting a text that is not a number fails.
const OWN_SESSION: &str = "SELECT pg_catalog.concat(session, ': heapledger.session is set'::text)::int4 \
     FROM (SELECT pg_catalog.current_setting('heapledger.session'::text, TRUE)) AS s (session) \
     WHERE session <> ''::text; SET heapledger.session TO own;";
/// Pauses between attempts to reach a server that is starting. Short, because a caller that lost its connection
/// at a commit must ask about it before too many others have committed.
const PAUSE: Duration = Duration::from_millis(10);

impl ServerLocation {
    /// Opens a connection to the server of an address.
    pub(super) fn connect_to(&self, address: &Address, access: Access) -> Result<Conn> {
        let unreachable = |error: &dyn Display| ServerError::Unreachable {
            server: address.to_string(),
            why: address.mask(&one_line(&error.to_string())),
        };
        let target = address.for_libpq(|variable| std::env::var_os(variable).is_some());
        let conn = PgConnection::establish(&target).map_err(|error| unreachable(&error))?;
        let mut conn = Conn::Postgres(conn);
        let settings = self.settings(access, self.is_cluster(&mut conn)?);
        conn.batch_execute(&settings).map_err(|error| match translate(&error) {
            Some(Error::Server(ServerError::Pooled { .. })) => ServerError::Pooled {
                server: address.to_string(),
            },
            _ => unreachable(&error),
        })?;
        Ok(conn)
    }

    /// The same, tried again until the deadline, because the server may be starting.
    pub(in crate::store) fn reconnect(&self, access: Access, deadline: Deadline) -> Result<Link> {
        loop {
            match self.connect(access) {
                Err(error) if deadline.is_over() => return Err(error),
                Err(_) => std::thread::sleep(PAUSE),
                Ok(mut conn) => {
                    if access == Access::Write {
                        self.plan_for_writing(&mut conn)?;
                    }
                    return Ok(conn);
                }
            }
        }
    }

    /// Makes the server plan for a connection as the writer needs it: every statement of the writer finds
    /// its rows by their keys, so a plan that reads a whole table, as the statistics of a young heap
    /// suggest, is never right. Other statements would be slow with these settings.
    pub(super) fn plan_for_writing(&self, conn: &mut Conn) -> Result<()> {
        // Citus cannot plan some statements without their values.
        let mode = if self.is_cluster(conn)? {
            "auto"
        } else {
            "force_generic_plan"
        };
        Ok(conn.batch_execute(&format!(
            "SET plan_cache_mode TO {mode}; SET enable_seqscan TO off; SET enable_hashjoin TO off; \
             SET enable_mergejoin TO off;"
        ))?)
    }

    /// The settings of a connection.
    ///
    /// The schema comes after `pg_catalog`, which is always first, and before temporary tables, so that
    /// nothing shadows what PostgreSQL defines, or the tables of the heap.
    fn settings(&self, access: Access, is_cluster: bool) -> String {
        let common = format!(
            "{OWN_SESSION} SET search_path TO {}, pg_temp; SET client_min_messages TO warning; {ENGLISH} SET tcp_keepalives_idle TO 20; \
             SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 4; SET lock_timeout TO {};",
            self.address.quoted_schema(),
            milliseconds(self.settings.busy_timeout),
        );
        match access {
            // A plan is made once, perhaps while the heap is empty, and must still be right when it has grown:
            // so it searches by keys. The estimated costs of such plans would make the server compile (JIT)
            // some statements.
            Access::Read => format!(
                "{common} SET default_transaction_read_only TO on; \
                 SET default_transaction_isolation TO 'repeatable read'; SET jit TO off; {SEARCH}"
            ),
            Access::Write => format!(
                "{common} SET default_transaction_isolation TO 'read committed'; SET synchronous_commit TO {};",
                match self.settings.durability {
                    Durability::Full => "on",
                    Durability::Normal => unsynced(is_cluster),
                },
            ),
        }
    }
}

/// How a transaction commits that need not survive power loss.
///
/// When Citus moves a heap, at the end it copies what the node has written to its log, and a commit that is
/// not synced would still be in memory. So on Citus at least the node itself syncs it.
pub(super) fn unsynced(is_cluster: bool) -> &'static str {
    if is_cluster { "local" } else { "off" }
}

/// A message of libpq without its line ends: there is a line for each host, and lines of hints, which
/// start with a tab.
fn one_line(message: &str) -> String {
    let mut line = String::new();
    for part in message.lines().filter(|part| !part.trim().is_empty()) {
        match part.strip_prefix('\t') {
            Some(hint) => line.push_str(&format!(" ({})", hint.trim())),
            None if line.is_empty() => line.push_str(part.trim()),
            None => line.push_str(&format!("; {}", part.trim())),
        }
    }
    line
}

/// For `lock_timeout`, in which 0 means forever. Rounded up, so that the whole time has passed when the error comes.
pub(super) fn milliseconds(timeout: Duration) -> i32 {
    match i32::try_from(timeout.as_micros().div_ceil(1000)) {
        Ok(ms) => ms.max(1),
        Err(_) => 0,
    }
}
