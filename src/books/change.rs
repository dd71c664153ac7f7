//! The row changes that the crate can make: nothing is written but through one of these.

use crate::models::{
    Arena, Block, EventId, NewArena, NewBlock, NewEntry, NewName, NewPool, NewStoredObject, PlacedEntry, Pool,
    StoredObject, StoredObjectId,
};
use crate::store::sqlite::mend::{Bind, Mend};

/// One row change (or, for [`Change::EntriesRemoved`], the rows of one object).
#[derive(Debug)]
pub(crate) enum Change<'a> {
    /// An arena is carved from the space.
    ArenaAdded(NewArena),
    /// An empty arena goes back to the space.
    ArenaRemoved(Arena),
    /// A pool is carved from its arena.
    PoolAdded(NewPool),
    /// An empty pool goes back to its arena.
    PoolRemoved(Pool),
    /// A block is carved from its pool.
    BlockAdded(NewBlock),
    /// An empty block goes back to its pool.
    BlockRemoved(Block),
    /// A value is stored that was not there.
    ObjectStored(NewStoredObject),
    /// A value is removed; its entries went before it.
    ObjectRemoved {
        /// The object.
        object: StoredObjectId,
        /// Its id in hexadecimal digits.
        object_id: &'a str,
        /// Its kind.
        kind: &'a str,
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
        /// Its id in hexadecimal digits.
        object_id: &'a str,
    },
    /// Bytes of an object go into a block.
    EntryAdded {
        /// The entry with its bytes.
        entry: NewEntry<'a>,
        /// The block as it was before.
        block: Block,
    },
    /// A piece whose bytes were damaged gets those of the content again.
    PieceMended {
        /// Its object.
        object: &'a StoredObject,
        /// Its position.
        seq: i64,
        /// Its bytes, as many as its entry says.
        data: &'a [u8],
    },
    /// All entries of an object leave their blocks.
    EntriesRemoved {
        /// The object's id in hexadecimal digits.
        object_id: &'a str,
        /// Its entries, each with its block as it was before any of them left.
        entries: &'a [PlacedEntry],
    },
    /// A name that is not bound is bound.
    NameBound {
        /// The name.
        name: NewName<'a>,
        /// The object's id in hexadecimal digits.
        object_id: &'a str,
    },
    /// A name is unbound.
    NameUnbound {
        /// The name.
        name: &'a str,
        /// The object's id in hexadecimal digits.
        object_id: &'a str,
    },
    /// An allocation was refused; nothing changes but the history.
    Refused {
        /// The object's id in hexadecimal digits, if it is known.
        object_id: Option<&'a str>,
        /// Bytes that it needs.
        needed: i64,
        /// Bytes that were free.
        available: i64,
    },
    /// Whether and how long events are kept changes.
    HistorySet {
        /// `on`, `off` or `keep`.
        mode: &'static str,
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
    /// Repair corrects a row; see [`crate::store::sqlite::mend`]. The totals are corrections themselves.
    Corrected {
        /// The statements.
        mend: Mend,
        /// Their values.
        binds: &'a [Bind<'a>],
    },
    /// The capacity of the space changes.
    Resized {
        /// Bytes more (or, negative, fewer).
        by: i64,
    },
}
