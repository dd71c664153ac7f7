//! Ledger entries and the bytes in them.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable};

use crate::error::Result;
use crate::models::{ArenaId, BlockId, Ledger, LedgerId, MemRamId, PoolId, StoredObjectId};
use crate::store::conn::Conn;
use crate::store::exec::{Rows, Sql, Statement};
use crate::store::schema::{ledger, stored_objects};

/// A ledger entry with the id of its object.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, serde::Serialize)]
pub struct EntryInfo {
    /// Key of the entry.
    pub id: LedgerId,
    /// The object's SHA-256, as 64 lower-case hexadecimal digits.
    pub object_id: String,
    /// Key of the object.
    pub stored_object_id: StoredObjectId,
    /// Position of the piece in the object, from 0.
    pub seq: i64,
    /// The arena of its block.
    pub arena_id: ArenaId,
    /// The pool of its block.
    pub pool_id: PoolId,
    /// The block that the piece is in.
    pub block_id: BlockId,
    /// Bytes of the piece.
    pub allocated_mem: i64,
}

/// One piece of an object with its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Piece {
    /// The entry.
    #[diesel(embed)]
    pub entry: Ledger,
    /// The object's SHA-256, as 64 lower-case hexadecimal digits.
    pub object_id: String,
    /// The bytes.
    pub data: Vec<u8>,
}

/// The entries of an object in the order of its bytes.
pub fn of_object(conn: &mut Conn, object: StoredObjectId) -> Result<Vec<Ledger>> {
    Ok(ledger::table
        .filter(ledger::stored_object_id.eq(object))
        .order(ledger::seq)
        .select(Ledger::as_select())
        .load(conn)?)
}

/// How many entries an object has. O(pieces) in its index, without their bytes.
pub fn count(conn: &mut Conn, object: StoredObjectId) -> Result<i64> {
    let Conn::Sqlite(conn) = conn;
    Ok(ledger::table
        .filter(ledger::stored_object_id.eq(object))
        .count()
        .get_result(conn)?)
}

/// The bytes of an object, piece by piece, handed to `take`.
pub fn each_piece(conn: &mut Conn, object: StoredObjectId, mut take: impl FnMut(Vec<u8>) -> Result<()>) -> Result<()> {
    let pieces = ledger::table
        .filter(ledger::stored_object_id.eq(object))
        .order(ledger::seq)
        .select(ledger::data);
    for data in pieces.load_iter::<Vec<u8>, _>(conn)? {
        take(data?)?;
    }
    Ok(())
}

/// The same in the order in which the pieces were stored, which is theirs unless `seq` is wrong.
pub fn each_piece_by_id(
    conn: &mut Conn,
    object: StoredObjectId,
    mut take: impl FnMut(Vec<u8>) -> Result<()>,
) -> Result<()> {
    let pieces = ledger::table
        .filter(ledger::stored_object_id.eq(object))
        .order(ledger::id)
        .select(ledger::data);
    for data in pieces.load_iter::<Vec<u8>, _>(conn)? {
        take(data?)?;
    }
    Ok(())
}

/// All bytes of the object with this id, unless `most` follow the first piece.
///
/// Most objects are one piece, and this is what a store does most: they are found by a
/// statement that does nothing else. What others lack is told from one statement, too,
/// because two outside a transaction could see two states of the file.
pub fn content(conn: &mut Conn, space: MemRamId, object_id: &str, most: i64) -> Result<Option<Content>> {
    let Conn::Sqlite(sqlite) = conn;
    let statement = Statement::<ReadWhole, 2>::new([space.0.into(), object_id.into()]);
    let whole: Option<Vec<u8>> = statement.load_iter::<_, _>(sqlite)?.next().transpose()?;
    match whole {
        Some(bytes) => Ok(Some(Content::Whole(bytes))),
        None => content_in_pieces(conn, space, object_id, most),
    }
}

fn content_in_pieces(conn: &mut Conn, space: MemRamId, object_id: &str, most: i64) -> Result<Option<Content>> {
    let Conn::Sqlite(conn) = conn;
    let statement = Statement::<ReadContent, 2>::new([space.0.into(), object_id.into()]);
    let mut rows = statement.load_iter::<ContentRow, _>(conn)?;
    let Some(first) = rows.next() else {
        return Ok(None);
    };
    // Without the first piece, what follows would look like a shorter content.
    let (Some(0), Some(mut rest @ 0..), Some(mut bytes)) = first? else {
        return Ok(Some(Content::None));
    };
    if rest > most {
        return Ok(Some(Content::Partial { missing: rest }));
    }
    // The numbers may lie in a damaged file: memory follows the pieces.
    while rest > 0 {
        let next = rows.next().transpose()?;
        let Some((Some(_), Some(left @ 0..), Some(data))) = next else {
            return Ok(Some(Content::Partial { missing: rest }));
        };
        if rest - data.len() as i64 != left {
            return Ok(Some(Content::Partial { missing: rest }));
        }
        bytes.extend_from_slice(&data);
        rest = left;
    }
    Ok(Some(Content::Whole(bytes)))
}

/// What there is of an object's content.
pub enum Content {
    /// All its bytes.
    Whole(Vec<u8>),
    /// No first entry: right if the object is empty.
    None,
    /// So many bytes at its end have no entry.
    Partial { missing: i64 },
}

/// Of an entry: its position if it is the object's, the bytes that follow it, and its own.
type ContentRow = (Option<i64>, Option<i64>, Option<Vec<u8>>);

struct ReadWhole;

impl Sql for ReadWhole {
    const TEXT: &'static str = "SELECT l.data FROM stored_objects o JOIN ledger l ON l.id = o.id \
        WHERE o.memram_id = ? AND o.object_id = ? AND l.seq = 0 AND l.rest = 0";
}

impl Rows for ReadWhole {
    type Types = Binary;
}

struct ReadContent;

impl Sql for ReadContent {
    // The first entry has the key of the object, which is in the index that finds it. The
    // others follow: reading stops where nothing is left of the object.
    const TEXT: &'static str = "SELECT iif(l.stored_object_id = o.id, l.id - o.id, NULL), l.rest, l.data \
        FROM stored_objects o LEFT JOIN ledger l ON l.id >= o.id \
        WHERE o.memram_id = ? AND o.object_id = ? ORDER BY l.id";
}

impl Rows for ReadContent {
    type Types = (Nullable<BigInt>, Nullable<BigInt>, Nullable<Binary>);
}

/// The bytes of one piece.
pub fn piece(conn: &mut Conn, object: StoredObjectId, seq: i64) -> Result<Option<Vec<u8>>> {
    Ok(ledger::table
        .filter(ledger::stored_object_id.eq(object))
        .filter(ledger::seq.eq(seq))
        .select(ledger::data)
        .get_result(conn)
        .optional()?)
}

/// Bytes of one piece, and those of the object that follow it.
pub fn extent(conn: &mut Conn, object: StoredObjectId, seq: i64) -> Result<Option<(i64, i64)>> {
    Ok(ledger::table
        .filter(ledger::stored_object_id.eq(object))
        .filter(ledger::seq.eq(seq))
        .select((ledger::allocated_mem, ledger::rest))
        .get_result(conn)
        .optional()?)
}

/// Position of the last piece of an object, or -1 if it has none.
pub fn last_seq(conn: &mut Conn, object: StoredObjectId) -> Result<i64> {
    let of_object = ledger::table.filter(ledger::stored_object_id.eq(object));
    let last: Option<i64> = of_object.select(diesel::dsl::max(ledger::seq)).get_result(conn)?;
    Ok(last.unwrap_or(-1))
}

/// What is in a block, in the order in which it came.
pub fn in_block(conn: &mut Conn, block: BlockId) -> Result<Vec<Piece>> {
    Ok(ledger::table
        .inner_join(stored_objects::table)
        .filter(ledger::block_id.eq(block))
        .order(ledger::id)
        .select((Ledger::as_select(), stored_objects::object_id, ledger::data))
        .load(conn)?)
}

/// The next entries of a space by key.
pub fn page(conn: &mut Conn, space: MemRamId, after: LedgerId, limit: i64) -> Result<Vec<EntryInfo>> {
    Ok(ledger::table
        .inner_join(stored_objects::table)
        .filter(stored_objects::memram_id.eq(space))
        .filter(ledger::id.gt(after))
        .order(ledger::id)
        .limit(limit)
        .select((
            ledger::id,
            stored_objects::object_id,
            ledger::stored_object_id,
            ledger::seq,
            ledger::arena_id,
            ledger::pool_id,
            ledger::block_id,
            ledger::allocated_mem,
        ))
        .load(conn)?)
}
