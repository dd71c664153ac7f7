//! An object on its way into another space.

use std::collections::HashMap;

use serde::Serialize;

use super::conflicts::{Conflict, Incoming, OnConflict, Settled};
use super::whole::{damaged, whole};
use crate::error::{Error, Result, TransferError};
use crate::manager::MemManager;
use crate::manager::objects::allocate::allocate;
use crate::manager::objects::content::Content;
use crate::manager::objects::{pin, sweep};
use crate::models::{Ends, StoredObject, StoredObjectId};
use crate::store::queries::names::KeptName;
use crate::store::queries::tags::{Tags, TagsByHold};
use crate::store::queries::transfer;
use crate::store::{ReadTx, WriteTx};

/// What was copied of a space.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct CopiedSpace {
    /// The space.
    pub space: String,
    /// Objects copied.
    pub objects: u64,
    /// Names copied.
    pub names: u64,
    /// Bytes of content copied.
    pub bytes: u64,
    /// Objects that were there already, with the same content.
    pub already: u64,
    /// Objects left out, because only skipped names held them or they have expired.
    pub left_out: u64,
    /// Names that were taken or invalid, and what was done.
    pub conflicts: Vec<Conflict>,
}

/// An object to copy.
pub(super) struct Item {
    pub object: StoredObject,
    pub names: Vec<KeptName>,
    /// The tags of its anonymous hold.
    pub hold_tags: Tags,
    /// Whether it is stored already, and only lacks a name or its hold.
    pub is_there: bool,
    pub run: u64,
    pub content: Vec<u8>,
}

/// An object of the target, with its names.
pub(super) struct Known {
    pub object: StoredObject,
    pub names: HashMap<String, KeptName>,
    /// The tags of its anonymous hold.
    pub hold_tags: Tags,
}

impl Known {
    /// Whether it is that object.
    pub fn is(&self, object: &StoredObject) -> bool {
        (self.object.kind, self.object.size) == (object.kind, object.size)
    }

    /// Whether it has all names of the object, its hold and its pin.
    pub fn is_complete(&self, object: &StoredObject, names: &[KeptName], hold_tags: &Tags) -> bool {
        let hold = self.object.held.then_some(Ends(self.object.held_until));
        let has_name = |kept: &KeptName| self.names.get(&kept.name) == Some(kept);
        let has_tag = |(key, value): (&String, &String)| self.hold_tags.get(key) == Some(value);
        let holds = hold >= hold_of(object, names) && hold_tags.iter().all(has_tag) && names.iter().all(has_name);
        holds && self.object.pinned >= object.pinned
    }
}

impl Item {
    pub fn bytes(&self) -> u64 {
        let names: usize = self.names.iter().map(|kept| kept.name.len()).sum();
        let content = if self.is_there { 0 } else { self.object.size };
        content + names as u64
    }

    pub fn incoming<'a>(&'a self, bad: &'a dyn Fn(&str, String) -> Error) -> Incoming<'a> {
        Incoming {
            id: self.object.object_id,
            names: self.names.as_slice().into(),
            hold: hold_of(&self.object, &self.names),
            hold_tags: &self.hold_tags,
            bad,
        }
    }
}

impl CopiedSpace {
    pub(super) fn count(&mut self, object: &StoredObject, dedup: bool) {
        if dedup {
            self.already += 1;
        } else {
            self.objects += 1;
            self.bytes += object.size;
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.names += other.names;
        self.bytes += other.bytes;
        self.already += other.already;
        self.left_out += other.left_out;
        self.conflicts.extend(other.conflicts);
    }
}

/// Stores an object of a batch.
pub(super) fn store(
    tx: &mut WriteTx<'_>,
    target: &MemManager,
    item: &Item,
    on_conflict: OnConflict,
    done: &mut CopiedSpace,
) -> Result<()> {
    let bad = bad_name(target);
    let mut incoming = item.incoming(&bad);
    if !incoming.without_ended(tx.at()) {
        done.left_out += 1;
        return Ok(());
    }
    let resolve = &mut |name: &str| Ok(sweep::resolve(tx, name)?.map(|bound| bound.object));
    let settled = incoming.settle(resolve, on_conflict)?;
    if item.is_there {
        done.already += 1;
    } else if settled.is_wanted(&incoming) {
        let Item { object, content, .. } = item;
        let what = Content {
            id: object.object_id,
            kind: object.kind,
            type_name: object.type_name.as_deref(),
            size: object.size,
            whole: None,
        };
        let stored = allocate(tx, &what, &settled.first_hold(&incoming), &mut &content[..])?;
        done.count(object, stored.dedup);
    }
    settle(tx, &incoming, settled, item, item.is_there, done)
}

/// Completes the holds of an object that is stored, if it is wanted.
pub(super) fn settle(
    tx: &mut WriteTx<'_>,
    incoming: &Incoming<'_>,
    settled: Settled,
    item: &Item,
    was_there: bool,
    done: &mut CopiedSpace,
) -> Result<()> {
    let is_left_out = !was_there && !settled.is_wanted(incoming);
    done.left_out += u64::from(is_left_out);
    done.names += settled.names.len() as u64;
    let bound = usize::from(!was_there);
    done.conflicts.extend(settled.complete(tx, incoming, bound)?);
    if item.object.pinned && !is_left_out {
        pin::copy(tx, &incoming.id)?;
    }
    Ok(())
}

/// Reads the contents of consecutive objects, unless they are there.
pub(super) fn read_contents(tx: &mut ReadTx<'_>, items: &mut [Item]) -> Result<()> {
    let (Some(first), Some(last)) = (items.first(), items.last()) else {
        return Ok(());
    };
    if first.is_there {
        return Ok(());
    }
    let (first, last) = (first.object.id, last.object.id);
    let mut rest = items.iter_mut().peekable();
    transfer::each_piece_between(tx, first, last, |object, data| {
        while rest.next_if(|item| item.object.id < object).is_some() {}
        let Some(item) = rest.peek_mut().filter(|item| item.object.id == object) else {
            return Ok(());
        };
        // In a damaged heap there may be any number of bytes.
        if (item.content.len() + data.len()) as u64 > item.object.size {
            return Err(damaged(&item.object));
        }
        item.content.extend(data);
        Ok(())
    })?;
    items.iter().try_for_each(|item| whole(&item.object, &item.content))
}

/// The anonymous hold that a copy is to have, because the object has one, or nothing holds it.
fn hold_of(object: &StoredObject, names: &[KeptName]) -> Option<Ends> {
    (object.held || names.is_empty()).then_some(Ends(object.held_until))
}

/// Names with their tags, by object.
pub(super) fn by_object(
    names: Vec<(StoredObjectId, KeptName)>,
    tags: &mut TagsByHold,
) -> HashMap<StoredObjectId, Vec<KeptName>> {
    let mut by_object: HashMap<_, Vec<_>> = HashMap::new();
    for (object, mut kept) in names {
        kept.tags = tags.remove(&(object, kept.name.clone())).unwrap_or_default();
        by_object.entry(object).or_default().push(kept);
    }
    by_object
}

/// The tags of the anonymous hold of an object.
pub(super) fn hold_tags(object: StoredObjectId, tags: &mut TagsByHold) -> Tags {
    tags.remove(&(object, String::new())).unwrap_or_default()
}

pub(super) fn occupied(there: &MemManager, why: String) -> Error {
    TransferError::Occupied {
        path: there.inner.location.named().to_owned(),
        space: there.space().to_owned(),
        why,
    }
    .into()
}

pub(super) fn bad_name(target: &MemManager) -> impl Fn(&str, String) -> Error {
    move |name, why| occupied(target, format!("the name {name:?} cannot be bound: {why}"))
}
