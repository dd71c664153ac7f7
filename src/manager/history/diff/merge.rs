//! Compares the objects of two spaces with a merge.

use std::iter::Peekable;

use super::found::{Diff, ObjectSize};
use crate::error::Result;
use crate::manager::unsigned;
use crate::models::MemRamId;
use crate::store::ReadTx;
use crate::store::queries::placements::{Placement, placements};
use crate::value::ObjectId;

/// Finds which objects both spaces have, and which only one of them has.
pub(super) fn merge(before: &mut ReadTx<'_>, space: MemRamId, after: &mut ReadTx<'_>, other: MemRamId) -> Result<Diff> {
    let mut diff = Diff::default();
    let mut before = InOrder(placements(before, space)?.peekable());
    let mut after = InOrder(placements(after, other)?.peekable());
    let (mut old, mut new) = (before.next()?, after.next()?);
    // Both are sorted by id, so the other side does not have the lesser of the two.
    loop {
        match (old.as_ref(), new.as_ref()) {
            (Some(left), Some(right)) if left.object_id == right.object_id => {
                if left.pieces != right.pieces {
                    diff.moved.push(left.object());
                }
                (old, new) = (before.next()?, after.next()?);
            }
            (Some(left), right) if right.is_none_or(|right| left.object_id < right.object_id) => {
                diff.freed.push(left.object());
                old = before.next()?;
            }
            (_, Some(right)) => {
                diff.added.push(right.object());
                new = after.next()?;
            }
            (_, None) => return Ok(diff),
        }
    }
}

/// Groups pieces by object.
struct InOrder<R: Iterator>(Peekable<R>);

/// An object and where its pieces are.
struct Placed {
    object_id: ObjectId,
    size: i64,
    pieces: Vec<(i64, i64)>,
}

impl<R: Iterator<Item = Result<Placement>>> InOrder<R> {
    /// Skips an object with an invalid id, which cannot be compared; `check` reports it.
    fn next(&mut self) -> Result<Option<Placed>> {
        loop {
            match self.next_of_any_id()? {
                Some(placed) if placed.object_id == ObjectId::UNKNOWN => {}
                next => return Ok(next),
            }
        }
    }

    fn next_of_any_id(&mut self) -> Result<Option<Placed>> {
        let Some(first) = self.0.next().transpose()? else {
            return Ok(None);
        };
        let mut pieces: Vec<_> = first.piece.into_iter().collect();
        let is_same = |next: &Result<Placement>| next.as_ref().is_ok_and(|next| next.object_id == first.object_id);
        while let Some(next) = self.0.next_if(is_same).transpose()? {
            pieces.extend(next.piece);
        }
        Ok(Some(Placed {
            object_id: first.object_id,
            size: first.size,
            pieces,
        }))
    }
}

impl Placed {
    fn object(&self) -> ObjectSize {
        ObjectSize {
            object_id: self.object_id,
            size: unsigned(self.size),
        }
    }
}
