//! The content of an object by its id.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable};

use super::objects;
use crate::error::Result;
use crate::models::MemRamId;
use crate::store::conn::{on_engine, rows_of};
#[cfg(feature = "postgres")]
use crate::store::postgres::content;
use crate::store::read::{Age, ReadTx};
use crate::store::statement::{Returning, Sql, Statement, sql};
use crate::value::{Kind, ObjectId};

/// All bytes of the object with this id, unless it has expired, or more than `most` bytes follow the first piece.
///
/// Most objects have one piece, and this is the most frequent operation, so one dedicated
/// statement does it. The same statement finds missing pieces, because two statements outside a
/// transaction could see two states of the file.
pub fn of(tx: &mut ReadTx<'_>, space: MemRamId, object_id: &str, most: i64) -> Result<Option<Found>> {
    #[cfg(feature = "postgres")]
    if tx.is_on_server() {
        let found = content::content(tx, space, object_id, most)?;
        return Ok(found.map(|(.., found)| found));
    }
    let whole = if space == MemRamId::FIRST {
        let statement = Statement::<ReadWhole<true>, 1>::new([object_id.into()]);
        on_engine!(tx, |conn| statement.get_result(conn))
    } else {
        let statement = Statement::<ReadWhole<false>, 2>::new([object_id.into(), space.0.into()]);
        on_engine!(tx, |conn| statement.get_result(conn))
    };
    match whole.optional()? {
        Some(bytes) => Ok(Some(Found {
            content: StoredContent::Whole(bytes),
            is_refreshed: false,
        })),
        None => in_pieces(tx, space, object_id, most),
    }
}

/// All bytes of the object with this id, and what they encode. By one statement on a server, where each is a
/// round trip, and otherwise by two.
pub fn typed(tx: &mut ReadTx<'_>, space: MemRamId, object_id: &ObjectId) -> Result<Option<TypedContent>> {
    let digits = object_id.digits();
    #[cfg(feature = "postgres")]
    if tx.is_on_server() {
        return content::content(tx, space, digits.as_str(), i64::MAX);
    }
    let Some(object) = objects::find(tx, space, object_id)? else {
        return Ok(None);
    };
    let content = of(tx, space, digits.as_str(), i64::MAX)?;
    Ok(content.map(|content| (object.kind, object.type_name, content)))
}

fn in_pieces(tx: &mut ReadTx<'_>, space: MemRamId, object_id: &str, most: i64) -> Result<Option<Found>> {
    type Row = (Option<i64>, Option<i64>, Option<Vec<u8>>, bool);
    let age = tx.age();
    let now = tx.now().as_micros();
    let statement = Statement::<ReadContent, 3>::new([space.0.into(), object_id.into(), now.into()]);
    let mut is_refreshed = false;
    let rows = rows_of!(tx, statement, Row).map(|row| {
        let (seq, rest, data, refreshed) = row?;
        is_refreshed = refreshed;
        Ok((seq, rest, data))
    });
    let content = assembled(rows, age, most)?;
    Ok(content.map(|content| Found { content, is_refreshed }))
}

/// The content in these rows, as far as their pieces follow each other.
pub(in crate::store) fn assembled(
    mut rows: impl Iterator<Item = QueryResult<ContentRow>>,
    age: Age,
    most: i64,
) -> Result<Option<StoredContent>> {
    let Some(first) = rows.next() else {
        return Ok(None);
    };
    // Without the first piece, the rest would look like a shorter content.
    let (Some(0), Some(mut rest @ 0..), Some(mut bytes)) = first? else {
        return Ok(Some(StoredContent::Nothing));
    };
    if rest > most {
        return Ok(Some(StoredContent::Partial { missing: rest }));
    }
    // In a damaged file the numbers may be anything, so allocate memory as pieces arrive.
    while rest > 0 {
        age.check()?;
        let next = rows.next().transpose()?;
        let Some((Some(_), Some(left @ 0..), Some(data))) = next else {
            return Ok(Some(StoredContent::Partial { missing: rest }));
        };
        if rest - data.len() as i64 != left {
            return Ok(Some(StoredContent::Partial { missing: rest }));
        }
        bytes.extend_from_slice(&data);
        rest = left;
    }
    Ok(Some(StoredContent::Whole(bytes)))
}

/// A content, with the kind and, for JSON, the type of its value.
pub type TypedContent = (Kind, Option<String>, Found);

/// A content that was found.
pub struct Found {
    pub content: StoredContent,
    /// Whether a read refreshes the anonymous hold of the object.
    pub is_refreshed: bool,
}

/// The stored content of an object.
pub enum StoredContent {
    /// All its bytes.
    Whole(Vec<u8>),
    /// No first entry, which is right if the object is empty.
    Nothing,
    /// The last `missing` bytes have no entry.
    Partial { missing: i64 },
}

/// An entry's position (if it belongs to the object), the bytes after it, and its own.
pub(in crate::store) type ContentRow = (Option<i64>, Option<i64>, Option<Vec<u8>>);

/// The content of an object that never expires, has no hold that a read refreshes, and has one piece. The index
/// alone tells the first two: `endless / 2` is 0 for 1, and 0.5 for 1.0.
///
/// For the first space, which is the only one in most files, the key is a constant in the
/// statement; binding it would take a twentieth of a get.
struct ReadWhole<const FROM_FIRST: bool>;

macro_rules! read_whole {
    ($space:literal) => {
        concat!(
            "SELECT l.data FROM stored_objects o JOIN ledger l ON l.id = o.id \
             WHERE o.object_id = ? AND l.is_last AND NOT (o.endless / 2) AND o.memram_id = ",
            $space
        )
    };
}

impl Sql for ReadWhole<true> {
    const TEXT: &'static str = read_whole!(1);
}

impl Sql for ReadWhole<false> {
    const TEXT: &'static str = read_whole!("?");
}

impl<const FROM_FIRST: bool> Returning for ReadWhole<FROM_FIRST>
where
    Self: Sql,
{
    type Types = Binary;
}

sql! {
    // The first entry has the key of the object, which the index provides. The others follow in order, which is
    // also the order of the search, and reading stops after the last one. ORDER BY would sort: SQLite does not
    // know that there is only one object.
    ReadContent: (Nullable<BigInt>, Nullable<BigInt>, Nullable<Binary>, Bool) = "SELECT \
        iif(l.stored_object_id = o.id AND (l.id > o.id OR l.start = 0), l.id - o.id, NULL), \
        o.size - l.start - l.allocated_mem, l.data, o.held_refresh IS NOT NULL \
        FROM stored_objects o LEFT JOIN ledger l ON l.id >= o.id \
        WHERE o.memram_id = ? AND o.object_id = ? AND (o.expires_at IS NULL OR o.expires_at > ?)";
}
