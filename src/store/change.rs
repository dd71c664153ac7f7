//! The row changes that the crate can make: nothing is written but through one of these.

use crate::models::{
    Arena, Block, NewArena, NewBlock, NewEntry, NewName, NewPool, NewStoredObject, PlacedEntry, Pool, StoredObject,
    StoredObjectId,
};

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
    ObjectStored(NewStoredObject<'a>),
    /// A value is removed; its entries went before it.
    ObjectRemoved(StoredObject),
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
    /// Bytes of an object go into a block.
    EntryAdded {
        /// The entry with its bytes.
        entry: NewEntry<'a>,
        /// The block as it was before.
        block: Block,
    },
    /// All entries of an object leave their blocks.
    EntriesRemoved {
        /// The object.
        object: StoredObjectId,
        /// Its entries, each with its block as it was before any of them left.
        entries: &'a [PlacedEntry],
    },
    /// A name is bound, or bound anew.
    NameBound(NewName<'a>),
    /// A name is unbound.
    NameUnbound {
        /// The name.
        name: &'a str,
    },
    /// The capacity of the space changes.
    Resized {
        /// Bytes more (or, negative, fewer).
        by: i64,
    },
}
