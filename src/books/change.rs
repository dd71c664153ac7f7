//! The changes that the crate can make to rows. There is no other way to write.

use super::evicting::Cause;
use super::fix::Fix;
use super::refusals::Refusal;
use super::rows::{Binding, NewSpace, SpaceChange};
use crate::models::{
    Arena, Block, EventId, HistoryMode, Lifetime, NewEntry, Owner, PlacedEntry, Pool, Quota, Rank, ReservationId,
    ReservationRow, ReservationState, StoredObject, StoredObjectId, Tag,
};
use crate::value::{Kind, ObjectId};

/// A change of one row (or, for [`Change::EntriesRemoved`], of the entries of one object).
#[derive(Debug)]
pub(crate) enum Change<'a> {
    /// A space is created. Its history begins with all of it unreserved.
    SpaceMade(NewSpace),
    /// The space is renamed or dropped.
    SpaceChanged(SpaceChange),
    /// An arena is carved from the space.
    ArenaAdded(Arena),
    /// An empty arena is given back to the space.
    ArenaRemoved(Arena),
    /// A pool is carved from its arena.
    PoolAdded(Pool),
    /// An empty pool is given back to its arena.
    PoolRemoved(Pool),
    /// A block is carved from its pool.
    BlockAdded(Block),
    /// An empty block is given back to its pool.
    BlockRemoved(Block),
    /// A new object is stored.
    ObjectStored(StoredObject),
    /// An object is stored whose pieces are in their blocks already, as those of an upload.
    ObjectPosted {
        /// The object, with the key of the pieces.
        object: StoredObject,
        reservation: ReservationId,
    },
    /// An object is removed, but its pieces stay, and are given back later.
    ObjectVacated {
        object: StoredObjectId,
        object_id: ObjectId,
        kind: Kind,
        /// Bytes of its content.
        size: i64,
        /// The reservation that has its pieces now.
        reservation: ReservationId,
    },
    /// An object is about to be removed, to make room for another one; only the history changes.
    Evicted {
        object_id: ObjectId,
        /// Bytes of its content.
        size: i64,
        /// What it makes room for.
        cause: Cause,
    },
    /// An object is removed, after its entries.
    ObjectRemoved {
        object: StoredObjectId,
        object_id: ObjectId,
        kind: Kind,
        /// Bytes of its content.
        size: i64,
        /// How many entries it had.
        entries: i64,
    },
    /// An allocation found its content already stored.
    DedupHit {
        /// The object found.
        object: &'a StoredObject,
    },
    /// The anonymous hold of an object is taken, or ends at another time.
    Held {
        object: StoredObjectId,
        /// What holds it afterwards.
        lifetime: Lifetime,
    },
    /// The anonymous hold of an object is dropped.
    Released {
        object: StoredObjectId,
        object_id: ObjectId,
        /// What holds it afterwards.
        lifetime: Lifetime,
    },
    /// A hold of an object is over: a name is unbound, or the anonymous hold is dropped.
    Expired {
        /// The name, if it is one.
        name: Option<&'a str>,
        object: StoredObjectId,
        object_id: ObjectId,
        /// What holds it afterwards.
        lifetime: Lifetime,
        /// Bytes of the object if it is removed now, because nothing else holds it.
        frees: i64,
    },
    /// Bytes of an object are put into a block.
    EntryAdded {
        /// The entry with its bytes.
        entry: NewEntry<'a>,
        /// The block before the change.
        block: Block,
    },
    /// The damaged bytes of a piece are replaced with the right ones.
    PieceRepaired {
        object: &'a StoredObject,
        seq: i64,
        /// Its bytes, of the same length.
        data: &'a [u8],
    },
    /// All entries of an object are removed from their blocks.
    EntriesRemoved {
        object_id: ObjectId,
        /// Its entries, each with its block before the change.
        entries: &'a [PlacedEntry],
    },
    /// A piece of an object goes to another block, or all its pieces do and become one.
    PiecesMoved {
        object: StoredObjectId,
        object_id: ObjectId,
        /// Bytes of its content.
        size: i64,
        /// The position of the first of these pieces.
        seq: i64,
        /// The pieces, each with its block before the change.
        entries: &'a [PlacedEntry],
        /// The block that they go to, before the change. It may be one of theirs.
        block: Block,
        /// The content of the object, if its pieces become one.
        joined: Option<&'a [u8]>,
    },
    /// A slice of a written plan was carried out; only the history changes.
    PlanApplied {
        /// The digest of the plan.
        plan: ObjectId,
        /// Bytes moved and freed.
        bytes: i64,
    },
    /// A part of an upload begins: the pieces that follow belong to it, until the reservation changes.
    PartBegun { reservation: ReservationId },
    /// A reservation is made or changes.
    ReservationSet {
        /// Its row before, unless it is new.
        before: Option<&'a ReservationRow>,
        /// Its row.
        after: ReservationRow,
    },
    /// A reservation without a key is forgotten, because nothing of it is left.
    ReservationRemoved {
        /// Its row.
        reservation: &'a ReservationRow,
    },
    /// The last pieces of an upload, or of an object that was removed, are given back.
    PiecesReclaimed {
        /// The reservation that has them.
        reservation: &'a ReservationRow,
        /// The position of the first of them.
        seq: i64,
        /// The pieces, each with its block before the change.
        entries: &'a [PlacedEntry],
    },
    /// A new name is bound.
    NameBound {
        name: &'a str,
        /// What it is bound to.
        binding: Binding,
        object_id: ObjectId,
        /// What holds the object afterwards, if that changes.
        lifetime: Option<Lifetime>,
    },
    /// A bound name expires at another time.
    NameLasts {
        name: &'a str,
        /// What it is bound to: as before, except for when it expires.
        binding: Binding,
        /// What holds the object afterwards, if that changes.
        lifetime: Option<Lifetime>,
    },
    /// A name is unbound.
    NameUnbound {
        name: &'a str,
        object: StoredObjectId,
        object_id: ObjectId,
        /// What holds the object afterwards, if that changes.
        lifetime: Option<Lifetime>,
    },
    /// A hold gets a tag, or another value for one that it has.
    Tagged {
        tag: Tag<'a>,
        /// The value before, if it has the tag.
        before: Option<&'a str>,
    },
    /// A hold loses a tag.
    Untagged(Tag<'a>),
    /// An object gets another place in the order of eviction, or leaves it.
    Ranked {
        /// The object. It need not be stored any more.
        object: StoredObjectId,
        /// Its place before.
        before: Option<Rank>,
        /// Its place.
        after: Option<Rank>,
    },
    /// The hand of SIEVE moves.
    HandMoved {
        /// The difference of positions.
        by: i64,
    },
    /// An owner gets a quota, or other limits; what it has is counted already.
    QuotaSet {
        quota: Quota,
        /// Whether it had none.
        is_new: bool,
    },
    /// The quota of an owner is removed.
    QuotaRemoved(Owner),
    /// An owner with a quota gains or loses objects: the first of their holds gets its tag, or the last loses it.
    QuotaUsed {
        owner: Owner,
        /// Bytes gained or, if negative, lost.
        bytes: i64,
        /// Objects gained or, if negative, lost.
        objects: i64,
    },
    /// An allocation was refused; only the history changes.
    Refused(Refusal),
    /// The history setting changes.
    HistorySet {
        mode: HistoryMode,
        /// For `keep`, microseconds.
        keep: Option<i64>,
        /// For `keep`, bytes of events.
        max_bytes: Option<i64>,
    },
    /// The history begins again with the current balance.
    BooksOpened,
    /// Events up to one are removed; that one becomes an opening with their sums.
    HistoryTrimmed {
        /// The last of these events.
        last: EventId,
        /// The bytes by which the history becomes smaller.
        bytes: i64,
    },
    /// The ceiling of the file changes, for all its spaces.
    CeilingSet {
        /// Bytes; `None` for no ceiling.
        max_file: Option<i64>,
    },
    /// A repair corrects rows. Totals are corrected by separate rules.
    Fixed(Fix<'a>),
    /// The capacity of the space changes.
    Resized {
        /// The difference in bytes; negative if it shrinks.
        by: i64,
    },
}

impl Change<'_> {
    /// Whether it can be put off until there is room on disk: it neither gives back bytes nor lets
    /// others do so.
    pub fn grows(&self) -> bool {
        match self {
            Self::SpaceMade(_)
            | Self::ArenaAdded(_)
            | Self::PoolAdded(_)
            | Self::BlockAdded(_)
            | Self::ObjectStored(_)
            | Self::ObjectPosted { .. }
            | Self::PartBegun { .. }
            | Self::DedupHit { .. }
            | Self::EntryAdded { .. }
            | Self::PiecesMoved { .. }
            | Self::NameBound { .. }
            | Self::Tagged { .. }
            | Self::Refused(_) => true,
            Self::ReservationSet { before, after } => before.is_none() && after.state == ReservationState::Open,
            Self::SpaceChanged(_)
            | Self::ArenaRemoved(_)
            | Self::PoolRemoved(_)
            | Self::BlockRemoved(_)
            | Self::ObjectRemoved { .. }
            | Self::ObjectVacated { .. }
            | Self::ReservationRemoved { .. }
            | Self::PiecesReclaimed { .. }
            | Self::Held { .. }
            | Self::Released { .. }
            | Self::Expired { .. }
            | Self::NameLasts { .. }
            | Self::Evicted { .. }
            | Self::Ranked { .. }
            | Self::HandMoved { .. }
            | Self::PieceRepaired { .. }
            | Self::PlanApplied { .. }
            | Self::EntriesRemoved { .. }
            | Self::NameUnbound { .. }
            | Self::Untagged(_)
            | Self::QuotaSet { .. }
            | Self::QuotaRemoved(_)
            | Self::QuotaUsed { .. }
            | Self::HistorySet { .. }
            | Self::BooksOpened
            | Self::HistoryTrimmed { .. }
            | Self::CeilingSet { .. }
            | Self::Fixed(_)
            | Self::Resized { .. } => false,
        }
    }

    /// Whether all earlier changes must be written before it, and it before all later ones.
    pub fn stands_apart(&self) -> bool {
        matches!(
            self,
            Self::HistorySet { .. }
                | Self::BooksOpened
                | Self::HistoryTrimmed { .. }
                | Self::SpaceChanged(_)
                | Self::QuotaSet { .. }
                | Self::QuotaRemoved(_)
        )
    }
}
