//! The corrections of a repair: changes of rows that break a rule.

use super::rules::Rule;
use crate::models::{EventId, MemRamId, StoredObjectId};
use crate::value::{Kind, ObjectId};

/// One correction of a repair.
#[derive(Debug)]
pub(crate) enum Fix<'a> {
    /// A row that breaks a rule is corrected.
    Row {
        rule: &'static Rule,
        /// The row's key, or the first part of it.
        id: i64,
        /// The second part of the key, or the value that the rule has chosen.
        key: Option<&'a str>,
    },
    /// All indexes are rebuilt.
    Indexes,
    /// The last ids are raised to the existing ones, so that none is reused.
    LastIds,
    /// Creates or drops a temporary index of entries by object, which a repair needs while keys are
    /// wrong; without it, it would scan the ledger for each object.
    EntriesByObject(bool),
    /// The pieces of an object are numbered in the order of their keys.
    PieceOrder { object: StoredObjectId },
    /// An object gets another key, and its entries the keys that follow it.
    ObjectKey {
        object: StoredObjectId,
        /// Its new key; this one and those that follow it are unused.
        key: StoredObjectId,
    },
    /// The kind of an object is corrected.
    ObjectKind { object: StoredObjectId, kind: Kind },
    /// An object loses its id and its hold, because its content does not match.
    SetAside { object: StoredObjectId },
    /// An object that was set aside gets the id of its content.
    ObjectId {
        object: StoredObjectId,
        object_id: ObjectId,
    },
    /// An object is removed, and its names move to another one with the same content.
    Merge {
        /// The object to remove.
        object: StoredObjectId,
        /// The object that stays.
        into: StoredObjectId,
    },
    /// All entries of an object are removed, after they were read.
    TakeOut { object: StoredObjectId },
    /// A name is changed.
    Rename {
        space: MemRamId,
        /// The name, which need not be UTF-8.
        name: &'a [u8],
        to: &'a str,
    },
    /// An object gets a name.
    AddName { object: StoredObjectId, name: &'a str },
    /// An event records the repair.
    Event {
        space: MemRamId,
        id: EventId,
        /// What was done.
        reason: &'a str,
    },
}
