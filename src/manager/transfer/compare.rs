//! Compares a space with its copy: objects and names, both read in order and in pages.

use std::cmp::Ordering;
use std::fmt;
use std::ops::ControlFlow;
use std::vec;

use crate::error::Result;
use crate::models::{Ends, MemRamId, StoredObjectId};
use crate::store::queries::tags::Tags;
use crate::store::queries::transfer::{ComparedName, ComparedObject, names_by_name, objects_by_id};
use crate::store::{ReadTx, queries};

/// What one of two spaces has and the other does not have, or not in the same way. Texts are ids and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::manager) enum Difference {
    /// The copy lacks an object.
    ObjectMissing(String),
    /// The copy lacks the anonymous hold of an object, or there it ends sooner or lacks a tag.
    HoldMissing(String),
    /// The copy lacks a name.
    NameMissing(String),
    /// In the copy, the name is bound to another object, expires at another time, or has other tags.
    NameElsewhere(String),
    /// The copy has an object of its own.
    OwnObject(String),
    /// The copy holds an object that is not held in the original.
    OwnHold(String),
    /// The copy has a name of its own.
    OwnName(String),
    /// An object has another kind, type or size.
    OtherObject(String),
}

impl Difference {
    /// Whether the copy has something that does not come from the original.
    pub fn is_own(&self) -> bool {
        match self {
            Self::ObjectMissing(_) | Self::HoldMissing(_) | Self::NameMissing(_) => false,
            Self::NameElsewhere(_)
            | Self::OwnObject(_)
            | Self::OwnHold(_)
            | Self::OwnName(_)
            | Self::OtherObject(_) => true,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ObjectMissing(id) => write!(f, "object {id} is missing"),
            Self::HoldMissing(id) => write!(
                f,
                "the anonymous hold of object {id} is missing, ends sooner or lacks a tag"
            ),
            Self::NameMissing(name) => write!(f, "the name {name:?} is missing"),
            Self::NameElsewhere(name) => write!(
                f,
                "the name {name:?} is bound to another object there, expires at another time, or has other tags"
            ),
            Self::OwnObject(id) => write!(f, "object {id} is only there"),
            Self::OwnHold(id) => write!(f, "only there, object {id} has an anonymous hold"),
            Self::OwnName(name) => write!(f, "the name {name:?} is only there"),
            Self::OtherObject(id) => write!(f, "object {id} has another kind, type or size there"),
        }
    }
}

/// One side of a comparison.
pub(in crate::manager) struct Side<'t, 'c> {
    pub tx: &'t mut ReadTx<'c>,
    pub space: MemRamId,
}

/// Passes every difference between a space and its copy to `found`, which may end the search.
/// O(objects + names), in constant memory.
pub(in crate::manager) fn compare(
    original: &mut Side<'_, '_>,
    copy: &mut Side<'_, '_>,
    found: &mut dyn FnMut(Difference) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let objects = merge::<WithTags<ComparedObject>>(original, copy, &mut |pair| match pair {
        Pair::Original(object) => found(Difference::ObjectMissing(object.row.object_id)),
        Pair::Copy(object) => found(Difference::OwnObject(object.row.object_id)),
        Pair::Both(object, copy) => differ(object, &copy).map_or(ControlFlow::Continue(()), &mut *found),
    })?;
    if objects.is_break() {
        return Ok(objects);
    }
    merge::<WithTags<ComparedName>>(original, copy, &mut |pair| match pair {
        Pair::Original(name) => found(Difference::NameMissing(name.row.name)),
        Pair::Copy(name) => found(Difference::OwnName(name.row.name)),
        Pair::Both(name, copy) if name == copy => ControlFlow::Continue(()),
        Pair::Both(name, _) => found(Difference::NameElsewhere(name.row.name)),
    })
}

fn differ(original: WithTags<ComparedObject>, copy: &WithTags<ComparedObject>) -> Option<Difference> {
    let mut tags = original.tags.iter();
    let lacks_tag = !tags.all(|(key, value)| copy.tags.get(key) == Some(value));
    let (original, copy) = (original.row, &copy.row);
    let id = original.object_id;
    let same = (&original.kind, &original.type_name, original.size) == (&copy.kind, &copy.type_name, copy.size);
    let ends_sooner = Ends(copy.held_until) < Ends(original.held_until);
    match (original.held, copy.held) {
        _ if !same => Some(Difference::OtherObject(id)),
        (true, false) => Some(Difference::HoldMissing(id)),
        (true, true) if ends_sooner || lacks_tag => Some(Difference::HoldMissing(id)),
        (false, true) => Some(Difference::OwnHold(id)),
        _ => None,
    }
}

/// Rows that are read in the order of a key.
trait Ordered: Sized {
    fn key(&self) -> &str;

    /// The next rows with larger keys.
    fn page(tx: &mut ReadTx<'_>, space: MemRamId, after: &str, limit: i64) -> Result<Vec<Self>>;
}

/// A row with the tags of its hold, the anonymous one of an object or a name.
#[derive(PartialEq)]
struct WithTags<R> {
    row: R,
    tags: Tags,
}

fn with_tags<R>(
    tx: &mut ReadTx<'_>,
    rows: Vec<(StoredObjectId, R)>,
    name: impl Fn(&R) -> &str,
) -> Result<Vec<WithTags<R>>> {
    let ids: Vec<_> = rows.iter().map(|(object, _)| *object).collect();
    let mut tags = queries::tags::of_objects(tx, &ids)?;
    let rows = rows.into_iter().map(|(object, row)| {
        let tags = tags.remove(&(object, name(&row).to_owned())).unwrap_or_default();
        WithTags { row, tags }
    });
    Ok(rows.collect())
}

impl Ordered for WithTags<ComparedObject> {
    fn key(&self) -> &str {
        &self.row.object_id
    }

    fn page(tx: &mut ReadTx<'_>, space: MemRamId, after: &str, limit: i64) -> Result<Vec<Self>> {
        let rows = objects_by_id(tx, space, after, limit)?;
        with_tags(tx, rows, |_| "")
    }
}

impl Ordered for WithTags<ComparedName> {
    fn key(&self) -> &str {
        &self.row.name
    }

    fn page(tx: &mut ReadTx<'_>, space: MemRamId, after: &str, limit: i64) -> Result<Vec<Self>> {
        let rows = names_by_name(tx, space, after, limit)?;
        with_tags(tx, rows, |row| &row.name)
    }
}

/// What the two sides have for a key.
enum Pair<R> {
    Original(R),
    Copy(R),
    Both(R, R),
}

fn merge<R: Ordered>(
    original: &mut Side<'_, '_>,
    copy: &mut Side<'_, '_>,
    visit: &mut dyn FnMut(Pair<R>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let (mut left, mut right) = (Rows::<R>::new(), Rows::<R>::new());
    let (mut one, mut other) = (left.next(original)?, right.next(copy)?);
    loop {
        let pair = match (one.take(), other.take()) {
            (None, None) => return Ok(ControlFlow::Continue(())),
            (Some(row), None) => Pair::Original(row),
            (None, Some(row)) => Pair::Copy(row),
            (Some(row), Some(found)) => match row.key().cmp(found.key()) {
                Ordering::Less => {
                    other = Some(found);
                    Pair::Original(row)
                }
                Ordering::Equal => Pair::Both(row, found),
                Ordering::Greater => {
                    one = Some(row);
                    Pair::Copy(found)
                }
            },
        };
        if visit(pair).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if one.is_none() {
            one = left.next(original)?;
        }
        if other.is_none() {
            other = right.next(copy)?;
        }
    }
}

/// Rows read in one query.
const PAGE: i64 = 1000;

/// The rows of one side.
struct Rows<R> {
    page: vec::IntoIter<R>,
    /// The key of the last row of the page.
    after: String,
    is_last_page: bool,
}

impl<R: Ordered> Rows<R> {
    fn new() -> Self {
        Self {
            page: Vec::new().into_iter(),
            after: String::new(),
            is_last_page: false,
        }
    }

    fn next(&mut self, side: &mut Side<'_, '_>) -> Result<Option<R>> {
        if let Some(row) = self.page.next() {
            return Ok(Some(row));
        }
        if self.is_last_page {
            return Ok(None);
        }
        let page = R::page(side.tx, side.space, &self.after, PAGE)?;
        self.is_last_page = page.len() < PAGE as usize;
        if let Some(last) = page.last() {
            self.after = last.key().to_owned();
        }
        self.page = page.into_iter();
        Ok(self.page.next())
    }
}

/// Bytes of the objects of a space that have not expired.
///
/// # Errors
/// Says which of its balances does not add up to its capacity.
pub(in crate::manager) fn balance(side: &mut Side<'_, '_>) -> Result<Result<u64, String>> {
    let tx = &mut *side.tx;
    let space = queries::spaces::get(tx, side.space)?;
    let buckets = queries::audit::trial_balance(tx, space.id)?;
    let claims = queries::audit::claims(tx, space.id)?;
    for (what, sum) in [
        ("buckets", sum(buckets.iter().map(|bucket| bucket.bytes))),
        ("claims", sum(claims.iter().map(|claim| claim.bytes))),
    ] {
        if sum != u128::from(space.max_mem) {
            return Ok(Err(format!("its {what} add up to {sum} of {} bytes", space.max_mem)));
        }
    }
    // The view uses the clock of its engine, and the other side may have another one.
    Ok(Ok(queries::transfer::bytes(tx, side.space)?))
}

fn sum(bytes: impl Iterator<Item = u64>) -> u128 {
    bytes.map(u128::from).sum()
}
