//! The row changes that the crate can make: nothing is written but through one of these.

use super::invariants::Rule;
use super::rows::NewSpace;
use crate::models::{
    Arena, Block, EventId, HistoryMode, MemRamId, NewEntry, PlacedEntry, Pool, StoredObject, StoredObjectId, Timestamp,
};
use crate::value::{Kind, ObjectId};

/// One row change (or, for [`Change::EntriesRemoved`], the rows of one object).
#[derive(Debug)]
pub(crate) enum Change<'a> {
    /// A space is made, whose books open with all of it unreserved.
    SpaceMade(NewSpace),
    /// An arena is carved from the space.
    ArenaAdded(Arena),
    /// An empty arena goes back to the space.
    ArenaRemoved(Arena),
    /// A pool is carved from its arena.
    PoolAdded(Pool),
    /// An empty pool goes back to its arena.
    PoolRemoved(Pool),
    /// A block is carved from its pool.
    BlockAdded(Block),
    /// An empty block goes back to its pool.
    BlockRemoved(Block),
    /// A value is stored that was not there.
    ObjectStored(StoredObject),
    /// A value is removed; its entries went before it.
    ObjectRemoved {
        /// The object.
        object: StoredObjectId,
        /// Its id.
        object_id: ObjectId,
        /// Its kind.
        kind: Kind,
        /// Bytes of its content.
        size: i64,
        /// How many entries it had.
        entries: i64,
    },
    /// An allocation found its content stored already.
    DedupHit {
        /// The object found.
        object: &'a StoredObject,
    },
    /// The anonymous hold of an object is taken.
    Held {
        /// The object.
        object: StoredObjectId,
    },
    /// The anonymous hold of an object is let go.
    Released {
        /// The object.
        object: StoredObjectId,
        /// Its id.
        object_id: ObjectId,
    },
    /// Bytes of an object go into a block.
    EntryAdded {
        /// The entry with its bytes.
        entry: NewEntry<'a>,
        /// The block as it was before.
        block: Block,
    },
    /// A piece whose bytes were damaged gets those of the content again.
    PieceRepaired {
        /// Its object.
        object: &'a StoredObject,
        /// Its position.
        seq: i64,
        /// Its bytes, as many as its entry says.
        data: &'a [u8],
    },
    /// All entries of an object leave their blocks.
    EntriesRemoved {
        /// The object's id.
        object_id: ObjectId,
        /// Its entries, each with its block as it was before any of them left.
        entries: &'a [PlacedEntry],
    },
    /// A name that is not bound is bound.
    NameBound {
        /// The name.
        name: &'a str,
        /// The object.
        object: StoredObjectId,
        /// When.
        at: Timestamp,
        /// The object's id.
        object_id: ObjectId,
    },
    /// A name is unbound.
    NameUnbound {
        /// The name.
        name: &'a str,
        /// The object.
        object: StoredObjectId,
        /// The object's id in hexadecimal digits.
        object_id: ObjectId,
    },
    /// An allocation was refused; nothing changes but the history.
    Refused {
        /// The object's id, if it is known.
        object_id: Option<ObjectId>,
        /// Bytes that it needs.
        needed: i64,
        /// Bytes that were free.
        available: i64,
    },
    /// Whether and how long events are kept changes.
    HistorySet {
        /// Whether.
        mode: HistoryMode,
        /// For `keep`, microseconds.
        keep: Option<i64>,
    },
    /// The books are opened anew, with the balance that the rows give.
    BooksOpened,
    /// The events up to one go; it opens the books with their sums.
    HistoryTrimmed {
        /// The last event that goes.
        last: EventId,
    },
    /// A repair corrects rows. The totals are corrected by rules of their own.
    Fixed(Fix<'a>),
    /// The capacity of the space changes.
    Resized {
        /// Bytes more (or, negative, fewer).
        by: i64,
    },
}

impl Change<'_> {
    /// It needs all changes before it in their tables, and those after it need it in its own.
    pub fn stands_apart(&self) -> bool {
        matches!(
            self,
            Self::HistorySet { .. } | Self::BooksOpened | Self::HistoryTrimmed { .. }
        )
    }
}

/// One correction of a repair.
#[derive(Debug)]
pub(crate) enum Fix<'a> {
    /// A row that breaks a rule is put right.
    Row {
        /// The rule.
        rule: &'static Rule,
        /// The row's key, or the first half of it.
        id: i64,
        /// The second half of the key, or what the rule has decided.
        key: Option<&'a str>,
    },
    /// Every index is written again from its table.
    Indexes,
    /// The last ids are raised to those that are there, so that none comes back.
    LastIds,
    /// Entries can (or can no longer) be found by their object where their keys are wrong:
    /// once for a whole repair, or it would search the ledger for each object.
    EntriesByObject(bool),
    /// The pieces of an object are numbered in the order in which they were stored.
    PieceOrder {
        /// The object.
        object: StoredObjectId,
    },
    /// An object gets another key, and its entries those that follow it.
    ObjectKey {
        /// The object.
        object: StoredObjectId,
        /// Its new key; nobody has that or those that follow it.
        key: StoredObjectId,
    },
    /// An object is of another kind than its row says.
    ObjectKind {
        /// The object.
        object: StoredObjectId,
        /// The kind of its content.
        kind: Kind,
    },
    /// An object gives up its id and its hold, because its content is something else.
    SetAside {
        /// The object.
        object: StoredObjectId,
    },
    /// An object that was set aside gets the id of its content.
    ObjectId {
        /// The object.
        object: StoredObjectId,
        /// Its id.
        object_id: ObjectId,
    },
    /// An object goes, and its names lead to another one with the same content.
    Merge {
        /// The object that goes.
        object: StoredObjectId,
        /// The object that stays.
        into: StoredObjectId,
    },
    /// All entries of an object go; whoever does this has read them.
    TakeOut {
        /// The object.
        object: StoredObjectId,
    },
    /// A name becomes another one.
    Rename {
        /// Its space.
        space: MemRamId,
        /// The name, which need not be UTF-8.
        name: &'a [u8],
        /// What it becomes.
        to: &'a str,
    },
    /// An object gets a name.
    AddName {
        /// The object.
        object: StoredObjectId,
        /// The name.
        name: &'a str,
    },
    /// The history tells of the repair.
    Event {
        /// The space.
        space: MemRamId,
        /// The event.
        id: EventId,
        /// What was done.
        reason: &'a str,
    },
}
