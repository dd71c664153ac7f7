//! The statements of corrections (`Fix`).

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text};

use super::contents::ORDER_PIECES;
use super::levels::LAST_IDS;
use super::statements::statements_of;
use crate::books::change::Fix;
use crate::models::MemRamId;

/// Executes a correction, in the transaction of a space.
pub(in crate::store::postgres) fn execute(conn: &mut PgConnection, space: MemRamId, fix: &Fix<'_>) -> QueryResult<()> {
    match *fix {
        Fix::Row { rule, id, key } => {
            let binds = [Bind::Int(id), key.map_or(Bind::Text(""), Bind::Text)];
            run(conn, statements_of(rule)?.correct, &binds)
        }
        // Nothing finds a damaged index on a server.
        Fix::Indexes => Ok(()),
        Fix::LastIds => run(conn, &[LAST_IDS], &[]),
        Fix::EntriesByObject(true) => run(conn, BY_OBJECT, &[Bind::Int(space.0)]),
        Fix::EntriesByObject(false) => run(conn, NOT_BY_OBJECT, &[]),
        Fix::PieceOrder { object } => run(conn, ORDER_PIECES, &[Bind::Int(object.0)]),
        Fix::ObjectKey { object, key } => run(conn, GIVE_KEY, &[Bind::Int(object.0), Bind::Int(key.0)]),
        Fix::ObjectKind { object, kind } => run(conn, GIVE_KIND, &[Bind::Int(object.0), Bind::Text(kind.as_str())]),
        Fix::SetAside { object } => run(conn, SET_ASIDE, &[Bind::Int(object.0)]),
        Fix::ObjectId { object, object_id } => {
            run(conn, GIVE_ID, &[Bind::Int(object.0), Bind::Text(&object_id.to_hex())])
        }
        Fix::Merge { object, into } => run(conn, MERGE, &[Bind::Int(object.0), Bind::Int(into.0)]),
        Fix::TakeOut { object } => run(conn, TAKE_OUT, &[Bind::Int(object.0)]),
        Fix::Rename { space, name, to } => run(conn, RENAME, &[Bind::Int(space.0), Bind::Bytes(name), Bind::Text(to)]),
        Fix::AddName { object, name } => run(conn, ADD_NAME, &[Bind::Int(object.0), Bind::Text(name)]),
        Fix::Event { space, id, reason } => run(
            conn,
            REPAIRED,
            &[Bind::Int(space.0), Bind::Int(id.0), Bind::Text(reason)],
        ),
    }
}

#[derive(Clone, Copy)]
enum Bind<'a> {
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

fn run(conn: &mut PgConnection, statements: &[&'static str], binds: &[Bind<'_>]) -> QueryResult<()> {
    for text in statements {
        let mut query = diesel::sql_query(*text).into_boxed::<Pg>();
        // A statement may use fewer values than the correction has.
        for bind in binds.iter().take(placeholders(text)) {
            query = match *bind {
                Bind::Int(value) => query.bind::<BigInt, _>(value),
                Bind::Text(value) => query.bind::<Text, _>(value),
                Bind::Bytes(value) => query.bind::<Binary, _>(value),
            };
        }
        query.execute(conn)?;
    }
    Ok(())
}

/// The highest `$N` of a statement.
fn placeholders(text: &str) -> usize {
    let numbers = text.split('$').skip(1);
    let numbers = numbers.filter_map(|rest| rest.get(..1)?.parse().ok());
    numbers.max().unwrap_or(0)
}

type Texts = &'static [&'static str];

/// A temporary index to find the entries of an object whatever their keys are. From here on rows are
/// corrected, so what writers of other spaces remember is no longer true; the batch itself raises the
/// version of its own space.
const BY_OBJECT: Texts = &[
    "CREATE INDEX repair_by_object ON ledger (stored_object_id, seq)",
    "UPDATE memram SET version = version + 1 WHERE id <> $1",
];
const NOT_BY_OBJECT: Texts = &["DROP INDEX repair_by_object"];

/// Gives an object a new key, and its entries the keys that follow it.
const GIVE_KEY: Texts = &[
    "UPDATE ledger SET id = $2 + seq, stored_object_id = $2 WHERE stored_object_id = $1",
    "UPDATE stored_objects SET id = $2 WHERE id = $1",
    "UPDATE names SET stored_object_id = $2 WHERE stored_object_id = $1",
];

/// Only `json` has a type.
const GIVE_KIND: Texts =
    &["UPDATE stored_objects SET kind = $2, type_name = CASE WHEN $2 = 'json' THEN type_name END WHERE id = $1"];

/// Turns an object into `bytes` under a temporary unique id.
const SET_ASIDE: Texts = &[
    "UPDATE stored_objects SET object_id = lpad(to_hex(id), 64, '0'), kind = 'bytes', type_name = NULL, held = false \
     WHERE id = $1",
];

const GIVE_ID: Texts = &["UPDATE stored_objects SET object_id = $2 WHERE id = $1"];

/// Removes an object with the same content as another.
const MERGE: Texts = &[
    "UPDATE names SET stored_object_id = $2 WHERE stored_object_id = $1",
    "DELETE FROM ledger WHERE stored_object_id = $1",
    "DELETE FROM stored_objects WHERE id = $1",
];

const TAKE_OUT: Texts = &["DELETE FROM ledger WHERE stored_object_id = $1"];

/// The old name is passed as bytes, because in a file it need not be UTF-8.
const RENAME: Texts = &["UPDATE names SET name = $3 WHERE memram_id = $1 AND name = convert_from($2, 'UTF8')"];

const ADD_NAME: Texts = &["INSERT INTO names (memram_id, name, stored_object_id, bound_at)
     SELECT memram_id, $2, id, floor(extract(epoch FROM now()))::bigint * 1000000 FROM stored_objects WHERE id = $1"];

/// Records a repair in the history.
const REPAIRED: Texts = &[
    "INSERT INTO events (id, memram_id, at, kind, reason, bytes, mem)
     SELECT $2, id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, 'repair', $3, 0, mem FROM memram WHERE id = $1",
    "UPDATE memram SET history_bytes = history_bytes + (SELECT bytes FROM event_sizes WHERE id = $2) WHERE id = $1",
];
