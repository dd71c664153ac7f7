//! The statements of corrections (`Fix`).

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text};

use super::levels::LAST_IDS;
use super::statements::{spelled, statements_of};
use crate::books::fix::Fix;
use crate::store::conn::Conn;

/// Executes a correction.
pub(in crate::store) fn execute(conn: &mut Conn, fix: &Fix<'_>) -> QueryResult<()> {
    use Bind::{Bytes, Int};
    let text = Bind::Text;
    match *fix {
        Fix::Row { rule, id, key } => {
            let binds = [Int(id), text(key.unwrap_or_default())];
            run(conn, statements_of(rule)?.correct, &binds)
        }
        Fix::Indexes => run(conn, &["REINDEX"], &[]),
        Fix::LastIds => run(conn, &[LAST_IDS], &[]),
        Fix::EntriesByObject(true) => run(conn, BY_OBJECT, &[]),
        Fix::EntriesByObject(false) => run(conn, NOT_BY_OBJECT, &[]),
        Fix::PieceOrder { object } => run(conn, ORDER_PIECES, &[Int(object.0)]),
        Fix::ObjectKey { object, key } => run(conn, GIVE_KEY, &[Int(object.0), Int(key.0)]),
        Fix::ObjectKind { object, kind } => run(conn, GIVE_KIND, &[Int(object.0), text(kind.as_str())]),
        Fix::SetAside { object } => run(conn, SET_ASIDE, &[Int(object.0)]),
        Fix::ObjectId { object, object_id } => run(conn, GIVE_ID, &[Int(object.0), text(&object_id.to_hex())]),
        Fix::Merge { object, into } => run(conn, MERGE, &[Int(object.0), Int(into.0)]),
        Fix::TakeOut { object } => run(conn, TAKE_OUT, &[Int(object.0)]),
        Fix::Rename { space, name, to } => run(conn, RENAME, &[Int(space.0), Bytes(name), text(to)]),
        Fix::AddName { object, name } => run(conn, ADD_NAME, &[Int(object.0), text(name)]),
        Fix::Event { space, id, reason } => run(conn, REPAIRED, &[Int(space.0), Int(id.0), text(reason)]),
    }
}

#[derive(Clone, Copy)]
enum Bind<'a> {
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

fn run(conn: &mut Conn, statements: &[&str], binds: &[Bind<'_>]) -> QueryResult<()> {
    for text in statements {
        let mut query = diesel::sql_query(spelled(conn, text)).into_boxed::<<Conn as Connection>::Backend>();
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

/// The highest `?N` of a statement.
fn placeholders(text: &str) -> usize {
    let numbers = text.split('?').skip(1);
    let numbers = numbers.filter_map(|rest| rest.get(..1)?.parse().ok());
    numbers.max().unwrap_or(0)
}

type Texts = &'static [&'static str];

/// A temporary index to find the entries of an object whatever their keys are.
const BY_OBJECT: Texts = &["CREATE INDEX repair_by_object ON ledger (stored_object_id, seq)"];
const NOT_BY_OBJECT: Texts = &["DROP INDEX repair_by_object"];

/// Numbers the pieces of an object in the order of their keys.
const ORDER_PIECES: Texts = &[
    "UPDATE ledger SET seq = -1152921504606846976 - r.place FROM (
       SELECT id, row_number() OVER (ORDER BY id) AS place FROM ledger WHERE stored_object_id = ?1) r
     WHERE r.id = ledger.id",
    "UPDATE ledger SET seq = -1152921504606846976 - seq - 1 WHERE stored_object_id = ?1",
];

/// Gives an object a new key, and its entries the keys that follow it.
const GIVE_KEY: Texts = &[
    "UPDATE ledger SET id = ?2 + seq, stored_object_id = ?2 WHERE stored_object_id = ?1",
    "UPDATE stored_objects SET id = ?2 WHERE id = ?1",
    "UPDATE names SET stored_object_id = ?2 WHERE stored_object_id = ?1",
    "DELETE FROM tags WHERE stored_object_id = ?2",
    "UPDATE tags SET stored_object_id = ?2 WHERE stored_object_id = ?1",
];

const GIVE_KIND: Texts = &["UPDATE stored_objects SET kind = ?2 WHERE id = ?1"];

/// Turns an object into `bytes` under a temporary unique id.
const SET_ASIDE: Texts = &[
    "UPDATE stored_objects SET object_id = hex64(id), kind = 'bytes', type_name = NULL, held = FALSE,
       held_until = NULL, held_refresh = NULL WHERE id = ?1",
];

const GIVE_ID: Texts = &["UPDATE stored_objects SET object_id = ?2 WHERE id = ?1"];

/// Removes an object with the same content as another.
const MERGE: Texts = &[
    "DELETE FROM tags WHERE stored_object_id = ?2 AND name IN (SELECT name FROM names WHERE stored_object_id = ?1)",
    "UPDATE tags SET stored_object_id = ?2 WHERE stored_object_id = ?1
       AND name IN (SELECT name FROM names WHERE stored_object_id = ?1)",
    "UPDATE names SET stored_object_id = ?2 WHERE stored_object_id = ?1",
    "DELETE FROM ledger WHERE stored_object_id = ?1",
    "DELETE FROM stored_objects WHERE id = ?1",
];

const TAKE_OUT: Texts = &["DELETE FROM ledger WHERE stored_object_id = ?1"];

/// The old name is passed as bytes, because it need not be UTF-8.
const RENAME: Texts = &[
    "DELETE FROM tags WHERE memram_id = ?1 AND name = ?3",
    "UPDATE tags SET name = ?3 WHERE memram_id = ?1 AND name = text_of(?2)",
    "UPDATE names SET name = ?3 WHERE memram_id = ?1 AND name = text_of(?2)",
];

const ADD_NAME: Texts = &["INSERT INTO names (memram_id, name, stored_object_id, bound_at)
     SELECT memram_id, ?2, id, now_us() FROM stored_objects WHERE id = ?1"];

/// Records a repair in the history.
const REPAIRED: Texts = &[
    "INSERT INTO events (id, memram_id, at, kind, reason, bytes, mem)
     SELECT ?2, id, now_us(), 'repair', ?3, 0, mem FROM memram WHERE id = ?1",
    "UPDATE memram SET history_bytes = history_bytes + (SELECT bytes FROM event_sizes WHERE id = ?2) WHERE id = ?1",
];
