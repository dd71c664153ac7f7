//! A server without constraints, for a repair.
//!
//! Only a superuser could make a server ignore them. So the CHECKs are dropped in the transaction of the
//! repair, and created again at its end, which checks all rows; foreign keys are deferred until then.
#![allow(
    clippy::disallowed_methods,
    reason = "one of the files that change the schema, with the names in its catalog"
)]

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::verify::names;
use crate::models::MemRamId;

/// Run at the beginning of the transaction. Nobody else can write to any space then, but readers
/// continue. The statements of a repair read whole tables, which a writer's plans are not meant for.
pub(in crate::store) const BEGIN: &str = "LOCK TABLE memram IN EXCLUSIVE MODE; SET CONSTRAINTS ALL DEFERRED; \
     SET LOCAL enable_seqscan TO on; SET LOCAL enable_hashjoin TO on; SET LOCAL enable_mergejoin TO on; \
     SET LOCAL plan_cache_mode TO auto; SET LOCAL jit TO off;";

#[derive(QueryableByName)]
struct Constraints {
    #[diesel(sql_type = Text)]
    drops: String,
    #[diesel(sql_type = Text)]
    adds: String,
}

/// Drops the CHECKs of the heap, and returns the statements that create them again and check foreign keys.
/// Rows will be corrected, so what writers of other spaces remember is no longer true, and the versions of
/// those spaces are raised here; a batch raises the version of its own space.
///
/// Citus defers no foreign keys on the node that has the rows, so there they are dropped as well, each constraint
/// by a statement of its own, as Citus needs it.
pub(in crate::store) fn lift(conn: &mut PgConnection, space: MemRamId) -> QueryResult<Vec<String>> {
    let tables = names(&["TABLE"]).join("', '");
    let constraints = format!(
        "SELECT format('ALTER TABLE %I ', c.relname)
                || string_agg(format('DROP CONSTRAINT %I', k.conname), ', ' ORDER BY k.conname) AS drops,
                format('ALTER TABLE %I ', c.relname)
                || string_agg(format('ADD CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ', ' ORDER BY k.conname) AS adds
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
         CROSS JOIN (SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL AS exists) cluster
         WHERE (k.contype = 'c' OR (k.contype = 'f' AND cluster.exists))
           AND c.relnamespace = current_schema()::regnamespace AND c.relname IN ('{tables}')
         GROUP BY c.relname, CASE WHEN cluster.exists THEN k.oid END"
    );
    let constraints: Vec<Constraints> = diesel::sql_query(constraints).load(conn)?;
    let mut enforce = vec!["SET CONSTRAINTS ALL IMMEDIATE".to_owned()];
    for Constraints { drops, adds } in constraints {
        conn.batch_execute(&drops)?;
        enforce.push(adds);
    }
    conn.batch_execute(&format!("UPDATE memram SET version = version + 1 WHERE id <> {space}"))?;
    Ok(enforce)
}
