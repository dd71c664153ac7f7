//! The SQL statements behind each [`Rule`] of the catalogue and each [`Fix`](crate::books::change::Fix).
//!
//! In a file, a repair turns all constraints off. A server lets only a superuser do that, so here foreign
//! keys are deferred to the end of the transaction, and each statement leaves rows that satisfy the
//! CHECKs.
#![allow(
    clippy::disallowed_methods,
    reason = "one of the files that write rows: corrections are SQL text"
)]

mod contents;
mod fixes;
mod levels;
mod statements;
#[cfg(test)]
mod tests;
mod totals;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

pub(in crate::store::postgres) use fixes::execute;

use crate::books::rules::{FoundBy, Rule};
use crate::error::Result;
use crate::store::repair::RepairConn;
use crate::store::sqlite::repair::Broken;
use statements::{ENFORCED, statements_of};

/// Run at the beginning of the transaction. Nobody else writes to any space, while readers go on. The
/// statements of a repair read whole tables, for which the plans of a writer are not meant.
pub(in crate::store::postgres) const BEGIN: &str = "LOCK TABLE memram IN EXCLUSIVE MODE; SET CONSTRAINTS ALL DEFERRED; \
     SET LOCAL enable_seqscan TO on; SET LOCAL enable_hashjoin TO on; SET LOCAL enable_mergejoin TO on; \
     SET LOCAL plan_cache_mode TO auto; SET LOCAL jit TO off;";

const IN_VIEW: &str = "SELECT coalesce(id, 0) AS id, key, expected, found FROM violations WHERE rule = $1";

/// A piece without the one before it. All have the keys that follow their object's, which is a CHECK.
const STRAY: &str = "SELECT l.id, NULL::text AS key, '' AS expected, '' AS found
    FROM ledger l LEFT JOIN ledger p ON p.id = l.id - 1 AND p.stored_object_id = l.stored_object_id
    WHERE l.seq <> 0 AND p.id IS NULL LIMIT 1";

impl RepairConn for PgConnection {
    fn broken(&mut self, rule: &Rule) -> Result<Vec<Broken>> {
        match rule.found {
            FoundBy::View => Ok(diesel::sql_query(IN_VIEW).bind::<Text, _>(rule.name).load(self)?),
            FoundBy::Repair if ENFORCED.contains(&rule.name) => Ok(Vec::new()),
            FoundBy::Repair => Ok(diesel::sql_query(statements_of(rule)?.find.unwrap_or_default()).load(self)?),
        }
    }

    fn has_stray_entries(&mut self) -> Result<bool> {
        Ok(!diesel::sql_query(STRAY).load::<Broken>(self)?.is_empty())
    }

    /// Checks the foreign keys, which were deferred.
    fn enforce_constraints(&mut self) -> Result<()> {
        Ok(self.batch_execute("SET CONSTRAINTS ALL IMMEDIATE")?)
    }
}
