//! Checks that the schema of a heap is this crate's, before anything in it is run.
//!
//! A view runs with the rights of whoever reads it, as do functions, triggers and rules that were
//! added. So the schema of a heap may have nothing but the heap, except tables and views with other names,
//! which are ignored.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use hashlink::LruCache;
use sha2::{Digest, Sha256};

use super::location::ServerLocation;
use crate::error::{Error, Result};
use crate::store::conn::{Conn, on_engine};
use crate::store::queries::audit::Violation;
use crate::store::read::ReadTx;
use crate::store::schema_fault::{Fault, SchemaRow};
use crate::store::settings::Access;
use crate::store::statement::{Statement, sql};

/// What the migration runs.
const UP: &str = include_str!("../../../migrations/postgres/2026-11-26-000001_heap/up.sql");
/// Where its views begin; they are dropped and created again together.
const VIEWS: &str = "-- Views ---";

/// Everything in the current schema, as the server describes it: the columns and constraints of
/// tables, the texts of views and indexes, and whatever runs code. A part that another role owns never counts as equal.
const PARTS: &str = "
WITH here AS (SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname = current_schema()),
     members AS (SELECT d.classid, d.objid FROM pg_catalog.pg_depend d JOIN here h ON h.oid = d.refobjid
                 WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass),
     ours AS (SELECT c.oid, c.relname, c.relkind, (SELECT o.relowner FROM pg_class o JOIN here h ON h.oid = o.relnamespace
                 WHERE o.relname = 'memram' AND o.relkind IN ('r', 'p')) IS DISTINCT FROM c.relowner AS is_foreign
              FROM members m JOIN pg_catalog.pg_class c ON c.oid = m.objid WHERE m.classid = 'pg_catalog.pg_class'::regclass)
SELECT 'table' AS kind, r.relname::text AS name, r.relname::text AS \"table\",
       (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
                 CASE WHEN a.attnotnull THEN 'not null' END, nullif(a.attgenerated::text, ''), pg_get_expr(d.adbin, d.adrelid),
                 (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation AND l.collname <> 'default')), ', ' ORDER BY a.attnum)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped)
       || coalesce((SELECT string_agg(', ' || replace(pg_get_constraintdef(k.oid), quote_ident(h.nspname) || '.', ''), '' ORDER BY k.conname)
                    FROM pg_constraint k WHERE k.conrelid = r.oid), '')
       || CASE WHEN r.is_foreign THEN ' of another role' ELSE '' END AS sql
FROM ours r, here h WHERE r.relkind IN ('r', 'p')
UNION ALL
SELECT 'view', r.relname::text, r.relname::text, pg_get_viewdef(r.oid) || CASE WHEN r.is_foreign THEN ' of another role' ELSE '' END
FROM ours r WHERE r.relkind IN ('v', 'm')
UNION ALL
SELECT 'index', r.relname::text, t.relname::text, replace(pg_get_indexdef(r.oid), quote_ident(h.nspname) || '.', '')
FROM ours t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class r ON r.oid = i.indexrelid, here h
WHERE NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = i.indrelid AND k.conindid = r.oid AND k.contype IN ('p', 'u', 'x'))
  AND t.relkind IN ('r', 'p')
UNION ALL
SELECT 'trigger', g.tgname::text, r.relname::text, pg_get_triggerdef(g.oid) FROM pg_trigger g JOIN ours r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal
UNION ALL
SELECT 'rule', w.rulename::text, r.relname::text, pg_get_ruledef(w.oid) FROM pg_rewrite w JOIN ours r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', p.polname::text, r.relname::text, '' FROM pg_policy p JOIN ours r ON r.oid = p.polrelid
UNION ALL
SELECT 'function', f.proname::text, '', f.oid::regprocedure::text FROM members m JOIN pg_proc f ON f.oid = m.objid
WHERE m.classid = 'pg_catalog.pg_proc'::regclass
UNION ALL
SELECT 'operator', o.oprname::text, '', o.oid::regoperator::text FROM members m JOIN pg_operator o ON o.oid = m.objid
WHERE m.classid = 'pg_catalog.pg_operator'::regclass";

sql! {
    Stored: Nullable<Text> = "SELECT fingerprint FROM format";
    Store = "UPDATE format SET fingerprint = ?, stamp = ?";
    /// The recorded stamp, and what it is now: the number of the schema, how many rows of the catalog describe the
    /// tables and views of these names, and the functions and operators of the schema, and the sum of the
    /// transactions that wrote them. Any change makes one of them larger or smaller. The column itself may be
    /// missing, which the comparison then reports.
    Stamp: (Nullable<Text>, Text) = "WITH here AS (SELECT oid FROM pg_namespace WHERE nspname = current_schema()),
        ours AS (
            SELECT c.oid, c.xmin FROM here JOIN pg_class c ON c.relnamespace = here.oid
            WHERE c.relname = ANY (?::text::name[] COLLATE \"C\")),
        parts AS (
            SELECT xmin FROM ours
            UNION ALL SELECT a.xmin FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid
            UNION ALL SELECT d.xmin FROM ours o JOIN pg_attrdef d ON d.adrelid = o.oid
            UNION ALL SELECT k.xmin FROM ours o JOIN pg_constraint k ON k.conrelid = o.oid
            UNION ALL SELECT i.xmin FROM ours o JOIN pg_index i ON i.indrelid = o.oid
            UNION ALL SELECT c.xmin FROM ours o JOIN pg_index i ON i.indrelid = o.oid JOIN pg_class c ON c.oid = i.indexrelid
            UNION ALL SELECT g.xmin FROM ours o JOIN pg_trigger g ON g.tgrelid = o.oid
            UNION ALL SELECT w.xmin FROM ours o JOIN pg_rewrite w ON w.ev_class = o.oid
            UNION ALL SELECT p.xmin FROM ours o JOIN pg_policy p ON p.polrelid = o.oid
            UNION ALL SELECT d.xmin FROM here JOIN pg_depend d ON d.refobjid = here.oid
            WHERE d.refclassid = 'pg_namespace'::regclass AND d.classid IN ('pg_proc'::regclass, 'pg_operator'::regclass))
        SELECT (SELECT to_jsonb(f) ->> 'stamp' FROM format f),
            concat_ws(' ', (SELECT oid FROM here), count(*), sum(xmin::text::bigint)) FROM parts";
    ServerVersion: Text = "SELECT current_setting('server_version')";
}

/// Parts by kind, name and table.
type Schema = BTreeMap<(String, String, String), SchemaRow>;

#[allow(clippy::disallowed_methods, reason = "the catalog is not a table of this crate")]
fn parts(conn: &mut Conn) -> Result<Schema> {
    let rows: Vec<SchemaRow> = diesel::sql_query(PARTS).load(conn)?;
    let key = |row: &SchemaRow| (row.kind.clone(), row.name.clone(), row.table.clone());
    Ok(rows.into_iter().map(|row| (key(&row), row)).collect())
}

/// Whether a part that is not the heap's could run when the heap is used. Other tables and views could not.
fn is_harmful(row: &SchemaRow, tables: &[&str]) -> bool {
    match row.kind.as_str() {
        "table" | "view" => false,
        "function" | "operator" => true,
        _ => tables.contains(&row.table.as_str()),
    }
}

/// The names after `CREATE TABLE`, `CREATE VIEW` and `CREATE INDEX` in the migration.
pub(super) fn names(kinds: &[&str]) -> Vec<&'static str> {
    let after = |line: &'static str| {
        let mut words = line.strip_prefix("CREATE ")?.split_whitespace();
        let kind = words.next().filter(|&word| word != "UNIQUE").or_else(|| words.next())?;
        let name = words.next()?;
        kinds.contains(&kind).then_some(name)
    };
    UP.lines().filter_map(after).collect()
}

fn fingerprint(schema: &Schema) -> String {
    let ours = names(&["TABLE", "VIEW", "INDEX"]);
    let mut hash = Sha256::new();
    for row in schema.values().filter(|row| ours.contains(&row.name.as_str())) {
        for part in [&row.kind, &row.name, &row.table, &row.sql] {
            hash.update(part);
            hash.update([0]);
        }
    }
    const_hex::encode(hash.finalize())
}

/// Records what the schema is, right after its creation.
pub(super) fn record_created(conn: &mut Conn) -> Result<()> {
    let created = match known(conn) {
        Some(known) => known,
        None => {
            let ours = names(&["TABLE", "VIEW", "INDEX"]);
            let mut created = parts(conn)?;
            created.retain(|_, row| ours.contains(&row.name.as_str()));
            remember(version(conn)?, created)
        }
    };
    record(conn, &created)
}

fn record(conn: &mut Conn, schema: &Schema) -> Result<()> {
    let (_, stamp) = stamps(conn)?;
    store(conn, &fingerprint(schema), &stamp)
}

fn store(conn: &mut Conn, fingerprint: &str, stamp: &str) -> Result<()> {
    super::write::run::<Store, 2>(conn, [fingerprint.into(), stamp.into()])?;
    Ok(())
}

/// The recorded stamp, and the current one.
fn stamps(conn: &mut Conn) -> Result<(Option<String>, String)> {
    let ours = format!("{{{}}}", names(&["TABLE", "VIEW"]).join(","));
    let tx = &mut ReadTx::new(conn);
    let statement = Statement::<Stamp, 1>::new([ours.as_str().into()]);
    Ok(on_engine!(tx, |conn| statement.get_result(conn))?)
}

/// The differences between the schema and that of the migrations, parts of the heap first. Runs nothing
/// of it. Not in a transaction.
pub(super) fn faults(conn: &mut Conn) -> Result<Vec<Fault>> {
    Ok(compare(conn, expected)?.faults)
}

/// The same in a transaction, where no schema can be created to compare with. Compares nothing if this process has
/// found no difference before and the catalog has not changed since.
pub(in crate::store) fn faults_in_transaction(conn: &mut Conn) -> Result<Vec<Fault>> {
    let (_, stamp) = stamps(conn)?;
    if is_sound(&stamp) {
        return Ok(Vec::new());
    }
    let Compared { faults, .. } = compare(conn, known)?;
    note(&faults, stamp);
    Ok(faults)
}

struct Compared {
    faults: Vec<Fault>,
    fingerprint: String,
}

fn compare(conn: &mut Conn, expected: fn(&mut Conn) -> Option<Arc<Schema>>) -> Result<Compared> {
    let found = parts(conn)?;
    let tables = names(&["TABLE"]);
    let foreign = |known: &Schema| -> Vec<Fault> {
        let others = found
            .iter()
            .filter(|(key, row)| is_harmful(row, &tables) && !known.contains_key(*key));
        others
            .map(|(_, row)| Fault::on_server(None, Some(row.clone())))
            .collect()
    };
    let tx = &mut ReadTx::new(conn);
    let stored: Option<String> = on_engine!(tx, |conn| Statement::<Stored, 0>::new([]).get_result(conn))?;
    let fingerprint = fingerprint(&found);
    if stored.as_ref() == Some(&fingerprint) {
        let indexes = names(&["INDEX"]);
        let own = found
            .iter()
            .filter(|(_, row)| row.kind == "index" && indexes.contains(&row.name.as_str()));
        let faults = foreign(&own.map(|(key, row)| (key.clone(), row.clone())).collect());
        return Ok(Compared { faults, fingerprint });
    }
    // Another version of the server describes the same schema in other words, so compare with a newly created one.
    let Some(expected) = expected(conn) else {
        let faults = vec![Fault::on_server(None, None)];
        return Ok(Compared { faults, fingerprint });
    };
    let mut faults: Vec<_> = expected
        .iter()
        .filter(|(key, row)| found.get(*key) != Some(*row))
        .map(|(key, row)| Fault::on_server(Some(row.clone()), found.get(key).cloned()))
        .collect();
    faults.extend(foreign(&expected));
    Ok(Compared { faults, fingerprint })
}

/// What servers of each version create, as far as this process knows.
static KNOWN: Mutex<BTreeMap<String, Arc<Schema>>> = Mutex::new(BTreeMap::new());

/// The stamps of schemas in which this process has found no fault.
static SOUND: LazyLock<Mutex<LruCache<String, ()>>> = LazyLock::new(|| Mutex::new(LruCache::new(1024)));

fn is_sound(stamp: &str) -> bool {
    let mut sound = SOUND.lock().unwrap_or_else(PoisonError::into_inner);
    sound.get(stamp).is_some()
}

/// Remembers a stamp from before a comparison that has found `faults`.
fn note(faults: &[Fault], stamp: String) {
    if faults.is_empty() {
        let mut sound = SOUND.lock().unwrap_or_else(PoisonError::into_inner);
        sound.insert(stamp, ());
    }
}

/// The schema that the migration creates on this server, if it was created before.
fn known(conn: &mut Conn) -> Option<Arc<Schema>> {
    let version = version(conn).ok()?;
    KNOWN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&version)
        .cloned()
}

fn version(conn: &mut Conn) -> Result<String> {
    let tx = &mut ReadTx::new(conn);
    Ok(on_engine!(tx, |conn| Statement::<ServerVersion, 0>::new([]).get_result(conn))?)
}

/// The schema that the migration creates, from a schema that is rolled back; `None` if this role may not
/// create one.
fn expected(conn: &mut Conn) -> Option<Arc<Schema>> {
    if let Some(known) = known(conn) {
        return Some(known);
    }
    let version = version(conn).ok()?;
    Some(remember(version, create_and_roll_back(conn)?))
}

fn remember(version: String, created: Schema) -> Arc<Schema> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(version).or_insert_with(|| Arc::new(created)).clone()
}

fn create_and_roll_back(conn: &mut Conn) -> Option<Schema> {
    const SCRATCH: &str = "heapledger_expected";
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; CREATE SCHEMA {SCRATCH}; SET LOCAL search_path TO {SCRATCH}, pg_temp; {UP}"
    );
    let made = conn.batch_execute(&begin);
    let schema = made.is_ok().then(|| parts(conn).ok()).flatten();
    // Fails if it has not begun.
    let _ = conn.batch_execute("ROLLBACK");
    schema
}

/// Refuses a schema in which a part of the heap is missing or altered, or to which something was added
/// that would run, unless the catalog says that nothing has changed since the last time. For writing, records what
/// the server says of a schema that is as it should be, so that later processes need not compare again; a process
/// that only reads just remembers it.
pub(super) fn verify_schema(conn: &mut Conn, location: &ServerLocation, access: Access) -> Result<()> {
    let (recorded, stamp) = stamps(conn)?;
    if recorded.as_ref() == Some(&stamp) || (access == Access::Read && is_sound(&stamp)) {
        return Ok(());
    }
    let Compared { faults, fingerprint } = compare(conn, expected)?;
    let is_complete = faults.iter().all(Fault::is_extra_index);
    if access == Access::Write && is_complete {
        store(conn, &fingerprint, &stamp)?;
    }
    note(&faults, stamp);
    refuse(faults, location)
}

fn refuse(mut faults: Vec<Fault>, location: &ServerLocation) -> Result<()> {
    faults.retain(|fault| !fault.is_harmless());
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Fault::error(&faults, location.named())),
    }
}

/// Recreates missing and altered views and indexes, and drops what was added, in one transaction.
pub(super) fn restore_parts(conn: &mut Conn, location: &ServerLocation) -> Result<Vec<Violation>> {
    let mut faults = faults(conn)?;
    faults.retain(|fault| !fault.is_extra_index());
    if faults.is_empty() {
        return Ok(Vec::new());
    }
    if !faults.iter().all(Fault::can_be_restored) {
        faults.retain(|fault| !fault.can_be_restored());
        return Err(Fault::error(&faults, location.named()));
    }
    let (_, views) = UP.split_once(VIEWS).unwrap_or_default();
    // Together, so that the order does not matter. It fails if somebody else's views read them.
    let drop_views = format!("DROP VIEW IF EXISTS {}", names(&["VIEW"]).join(", "));
    let indexes = faults.iter().filter_map(|fault| {
        let index = fault.expected().filter(|part| part.kind == "index")?;
        Some([format!("DROP INDEX IF EXISTS \"{}\"", index.name), index.sql.clone()])
    });
    let indexes: Vec<_> = indexes.flatten().collect();
    // The rest of the line that marks the views is a comment. Where a comment is split, both parts are still comments.
    let views = format!("--{views}");
    let views = views.split(";\n").filter(|part| !is_comment(part));
    let statements = std::iter::once(&*drop_views)
        .chain(indexes.iter().map(String::as_str))
        .chain(views);
    conn.transaction(|conn| {
        // Citus takes only one statement at a time.
        for statement in statements {
            conn.batch_execute(statement)
                .map_err(|error| Error::database("the views cannot be created again", error))?;
        }
        let restored = parts(conn)?;
        record(conn, &restored)?;
        refuse(self::faults(conn)?, location)
    })?;
    Ok(faults.iter().map(Fault::violation).collect())
}

/// Whether it has only comments of SQL, and empty lines.
fn is_comment(text: &str) -> bool {
    text.lines().all(|line| line.is_empty() || line.starts_with("--"))
}
