//! Verifies the stored bytes on a dedup hit, because the hit promises that they are stored.

use super::content::Content;
use super::place::Source;
use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::{MemManager, unsigned};
use crate::models::{StoredObject, StoredObjectId, signed};
use crate::store::queries::entries::StoredPiece;
use crate::store::{WriteTx, queries};
use crate::value::{Hasher, ObjectId};

/// Pieces read in one query; 8 MiB with the largest blocks.
const PAGE: i64 = 32;
/// The first query looks for this many pieces, and one more for each [`SMALL`] bytes. A full page would read on
/// into the rows of other objects: with one, puts of 200 bytes that are stored already took a fifth longer.
const FEW: i64 = 2;
const SMALL: i64 = 512;

/// What the comparison with a stored object found.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::manager) struct Vouched {
    pub pieces: u64,
    /// Bytes of pieces that were damaged and have been repaired.
    pub repaired: u64,
}

impl MemManager {
    /// The key of an object, if its stored bytes are intact. Runs before the writer's turn, because
    /// it takes long for a large object.
    pub(in crate::manager) fn whole_object(&self, id: &ObjectId) -> Result<Option<StoredObjectId>> {
        let space = self.inner.space;
        let found = self.inner.readers.snapshot(|tx| {
            let Some(object) = queries::objects::find(tx, space, id)? else {
                return Ok(None);
            };
            let mut hasher = Hasher::new(object.kind);
            queries::entries::each_piece(tx, object.id, |data| {
                hasher.update(&data);
                Ok(())
            })?;
            Ok((hasher.finish() == *id).then_some(object.id))
        });
        match found {
            // The writer will repair or report it.
            Err(Error::Damaged { .. }) => Ok(None),
            found => found,
        }
    }
}

/// Compares the stored pieces of an object with the content, and repairs damaged ones.
/// O(size + pieces · log n).
///
/// # Errors
/// [`Error::Damaged`] if the sizes or positions of the pieces are wrong, so that they cannot be
/// repaired in place.
pub(in crate::manager) fn vouch(
    tx: &mut WriteTx<'_>,
    what: &Content<'_>,
    object: &StoredObject,
    source: &mut dyn Source,
) -> Result<Vouched> {
    // Stored by this transaction, or already compared.
    if tx.is_unwritten(object.id) || what.whole == Some(object.id) {
        let pieces = unsigned(tx.count_entries(object.id)?);
        return Ok(Vouched { pieces, repaired: 0 });
    }
    let mut vouched = Vouched::default();
    let compared = compare(tx, what, object, source, &mut vouched);
    if compared.is_err() && vouched.repaired > 0 {
        // If the source changed while it was read, its bytes must not stay.
        tx.whole(|_| compared)?;
    } else {
        compared?;
    }
    Ok(vouched)
}

fn compare(
    tx: &mut WriteTx<'_>,
    what: &Content<'_>,
    object: &StoredObject,
    source: &mut dyn Source,
    vouched: &mut Vouched,
) -> Result<()> {
    let mut left = signed(object.size);
    if object.size != what.size {
        return Err(damaged(
            what,
            format!("it is stored with {left} bytes instead of {}", what.size),
        ));
    }
    let mut most = PAGE.min(FEW + left / SMALL);
    while left > 0 {
        let page = tx.stored_pieces(object.id, vouched.pieces as i64, most)?;
        if page.is_empty() && most == PAGE {
            return Err(damaged(what, format!("its last {left} bytes are missing")));
        }
        most = PAGE;
        for piece in page {
            let fits = piece.seq == vouched.pieces as i64 && (1..=left).contains(&piece.allocated_mem);
            if !fits || piece.start != signed(object.size) - left {
                let seq = vouched.pieces;
                return Err(damaged(what, format!("piece {seq} is missing")));
            }
            repair(tx, object, &piece, source, vouched)?;
            left -= piece.allocated_mem;
            vouched.pieces += 1;
        }
    }
    source.finish()
}

fn repair(
    tx: &mut WriteTx<'_>,
    object: &StoredObject,
    piece: &StoredPiece,
    source: &mut dyn Source,
    vouched: &mut Vouched,
) -> Result<()> {
    let data = source.take(piece.allocated_mem as usize)?;
    if *data != *piece.data {
        tx.apply(Change::PieceRepaired {
            object,
            seq: piece.seq,
            data: &data,
        })?;
        vouched.repaired += data.len() as u64;
    }
    Ok(())
}

fn damaged(what: &Content<'_>, why: String) -> Error {
    Error::Damaged {
        what: format!("the content of object {} is already stored, but {why}", what.id),
    }
}
