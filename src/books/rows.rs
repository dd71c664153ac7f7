//! The rows of a batch. The store reads them; only the books can add them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::evicting::EvictionSetting;
use super::history_change::HistorySetting;
use crate::geometry::Geometry;
use crate::models::{
    Arena, ArenaId, Block, BlockId, DroppedSpace, LedgerId, Lifetime, MemRamId, NewEntry, Owner, Pool, PoolId, Quota,
    Rank, ReservationId, ReservationRow, StoredObject, StoredObjectId, TagKey, Timestamp,
};
use crate::value::ObjectId;

/// A new space.
#[derive(Debug)]
pub(crate) struct NewSpace {
    pub id: MemRamId,
    pub name: String,
    pub max_mem: i64,
    pub geometry: Geometry,
    pub created_at: Timestamp,
    pub history: HistorySetting,
    pub eviction: EvictionSetting,
}

/// What becomes of the row of the space.
#[derive(Debug)]
pub(crate) enum SpaceChange {
    /// It gets another name.
    Renamed {
        /// The new name.
        name: String,
        /// The name that it had.
        before: String,
    },
    /// What it evicts changes.
    Evicts(EvictionSetting),
    /// It begins to be dropped: nobody writes to it, except what removes its rows.
    Dropping(DroppedSpace),
    /// It is removed, because nothing is left in it but its history.
    Gone(Timestamp),
}

/// New, removed and directly changed rows.
#[derive(Debug, Default)]
pub(crate) struct Rows<'d> {
    pub space: Option<NewSpace>,
    pub space_change: Option<SpaceChange>,
    pub arenas: Vec<Arena>,
    pub pools: Vec<Pool>,
    pub blocks: Vec<Block>,
    pub objects: NewObjects,
    pub entries: Vec<NewEntry<'d>>,
    /// Damaged pieces with their right bytes.
    pub pieces: Vec<(LedgerId, &'d [u8])>,
    /// Pieces that go to another block.
    pub moved: BTreeMap<LedgerId, MovedPiece>,
    /// Existing objects whose anonymous hold changes, or when the last of their holds ends.
    pub holds: BTreeMap<StoredObjectId, Lifetime>,
    pub names: BTreeMap<String, NameChange>,
    /// The values of tags, or none for those that are removed.
    pub tags: BTreeMap<TagKey, Option<String>>,
    /// New and changed quotas, and those that are removed.
    pub quotas: BTreeMap<Owner, Option<Quota>>,
    /// Places in the order of eviction, or none for what leaves it.
    pub ranks: BTreeMap<StoredObjectId, Option<Rank>>,
    /// The objects that the order remembers, by id, even if they were forgotten again.
    remembered: HashMap<ObjectId, StoredObjectId>,
    /// New and changed reservations, and those that are removed.
    pub reservations: BTreeMap<ReservationId, Option<ReservationRow>>,
    /// Pieces that are given back: their object's key, the position of the first, and their number.
    pub pieces_gone: Vec<(StoredObjectId, i64, i64)>,
    /// When the first of the new and changed holds ends, if any does.
    pub first_end: Option<Timestamp>,
    /// Objects that gain or lose a name.
    pub(super) renamed: BTreeSet<StoredObjectId>,
    pub objects_gone: BTreeMap<StoredObjectId, ObjectGone>,
    pub blocks_gone: Vec<BlockId>,
    pub pools_gone: Vec<PoolId>,
    pub arenas_gone: Vec<ArenaId>,
    /// Bytes of content in `entries`.
    pub(super) bytes: usize,
}

/// A piece that goes to another block.
#[derive(Debug)]
pub(crate) struct MovedPiece {
    pub object: StoredObjectId,
    pub arena_id: ArenaId,
    pub pool_id: PoolId,
    pub block_id: BlockId,
    /// The content of its object, of which it becomes the only piece.
    pub joined: Option<Vec<u8>>,
}

impl MovedPiece {
    pub(super) fn new(object: StoredObjectId, to: &Block, joined: Option<&[u8]>) -> Self {
        Self {
            object,
            arena_id: to.arena_id,
            pool_id: to.pool_id,
            block_id: to.id,
            joined: joined.map(<[u8]>::to_vec),
        }
    }
}

/// A removed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectGone {
    pub id: ObjectId,
    /// Its entries that are removed with it.
    pub entries: i64,
}

/// The change of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameChange {
    /// Whether its row already exists.
    pub was_bound: bool,
    pub now: Option<Binding>,
}

/// What a name is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding {
    pub object: StoredObjectId,
    pub at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub refresh: Option<u64>,
}

impl ObjectGone {
    /// An object whose entries stay.
    pub(super) fn vacated(id: ObjectId) -> Self {
        Self { id, entries: 0 }
    }
}

impl Rows<'_> {
    pub(super) fn remove(&mut self, object: StoredObjectId, gone: ObjectGone) {
        self.holds.remove(&object);
        self.objects_gone.insert(object, gone);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.space.is_none()
            && self.space_change.is_none()
            && self.arenas.is_empty()
            && self.pools.is_empty()
            && self.blocks.is_empty()
            && self.objects.rows().is_empty()
            && self.entries.is_empty()
            && self.pieces.is_empty()
            && self.moved.is_empty()
            && self.holds.is_empty()
            && self.names.is_empty()
            && self.tags.is_empty()
            && self.quotas.is_empty()
            && self.ranks.is_empty()
            && self.reservations.is_empty()
            && self.pieces_gone.is_empty()
            && self.objects_gone.is_empty()
            && self.blocks_gone.is_empty()
            && self.pools_gone.is_empty()
            && self.arenas_gone.is_empty()
    }

    pub(super) fn move_piece(&mut self, id: LedgerId, moved: MovedPiece) {
        self.bytes += moved.joined.as_ref().map_or(0, Vec::len);
        self.moved.insert(id, moved);
    }

    /// Whether a piece of this object goes to another block.
    pub(super) fn moves(&self, object: StoredObjectId) -> bool {
        // The keys of its pieces follow its own.
        let next = self.moved.range(LedgerId::of(object, 0)..).next();
        next.is_some_and(|(_, moved)| moved.object == object)
    }

    pub(super) fn rank(&mut self, object: StoredObjectId, rank: Option<Rank>) {
        if let Some(id) = rank.and_then(|rank| rank.gone) {
            self.remembered.insert(id, object);
        }
        self.ranks.insert(object, rank);
    }

    /// The object with this id that the order remembers, unless it was forgotten again.
    pub(super) fn remembered(&self, id: &ObjectId) -> Option<StoredObjectId> {
        self.remembered.get(id).copied()
    }

    pub(super) fn store(&mut self, object: StoredObject) {
        self.ends(object.expires_at);
        self.objects.push(object);
    }

    pub(super) fn hold(&mut self, object: StoredObjectId, lifetime: Lifetime) {
        self.ends(lifetime.expires_at);
        match self.objects.get_mut(object) {
            Some(new) => new.set_lifetime(lifetime),
            None => drop(self.holds.insert(object, lifetime)),
        }
    }

    pub(super) fn hold_if_any(&mut self, object: StoredObjectId, lifetime: Option<Lifetime>) {
        if let Some(lifetime) = lifetime {
            self.hold(object, lifetime);
        }
    }

    fn ends(&mut self, at: Option<Timestamp>) {
        self.first_end = self.first_end.into_iter().chain(at).min();
    }

    /// Binds an unbound name.
    pub(super) fn bind(&mut self, name: &str, binding: Binding) {
        self.renamed.insert(binding.object);
        self.ends(binding.expires_at);
        let now = Some(binding);
        match self.names.get_mut(name) {
            Some(change) => change.now = now,
            None => {
                let was_bound = false;
                self.names.insert(name.to_owned(), NameChange { was_bound, now });
            }
        }
    }

    /// Changes the binding of a bound name.
    pub(super) fn rebind(&mut self, name: &str, binding: Binding) {
        let change = NameChange {
            was_bound: true,
            now: None,
        };
        self.ends(binding.expires_at);
        self.names.entry(name.to_owned()).or_insert(change).now = Some(binding);
        self.renamed.insert(binding.object);
    }

    /// Unbinds a bound name.
    pub(super) fn unbind(&mut self, name: &str, object: StoredObjectId) {
        self.renamed.insert(object);
        match self.names.get_mut(name) {
            Some(change) => change.now = None,
            None => {
                let change = NameChange {
                    was_bound: true,
                    now: None,
                };
                self.names.insert(name.to_owned(), change);
            }
        }
    }

    pub(super) fn absorb(&mut self, later: Self) {
        self.arenas.extend(later.arenas);
        self.pools.extend(later.pools);
        self.blocks.extend(later.blocks);
        for object in later.objects.rows {
            self.objects.push(object);
        }
        self.entries.extend(later.entries);
        self.moved.extend(later.moved);
        for (object, lifetime) in later.holds {
            self.hold(object, lifetime);
        }
        for (name, NameChange { was_bound, now }) in later.names {
            let change = self.names.entry(name).or_insert(NameChange { was_bound, now });
            change.now = now;
        }
        self.tags.extend(later.tags);
        self.quotas.extend(later.quotas);
        self.ranks.extend(later.ranks);
        self.remembered.extend(later.remembered);
        self.reservations.extend(later.reservations);
        self.pieces_gone.extend(later.pieces_gone);
        self.ends(later.first_end);
        self.renamed.extend(later.renamed);
        self.objects_gone.extend(later.objects_gone);
        self.blocks_gone.extend(later.blocks_gone);
        self.pools_gone.extend(later.pools_gone);
        self.arenas_gone.extend(later.arenas_gone);
        self.bytes += later.bytes;
    }
}

/// New objects in the order of their keys, with a lookup by id.
#[derive(Debug, Default)]
pub(crate) struct NewObjects {
    rows: Vec<StoredObject>,
    by_id: HashMap<ObjectId, usize>,
}

impl NewObjects {
    pub(super) fn push(&mut self, object: StoredObject) {
        self.by_id.insert(object.object_id, self.rows.len());
        self.rows.push(object);
    }

    pub(super) fn find(&self, object_id: &ObjectId) -> Option<&StoredObject> {
        self.rows.get(*self.by_id.get(object_id)?)
    }

    fn get_mut(&mut self, key: StoredObjectId) -> Option<&mut StoredObject> {
        let index = self.position(key)?;
        self.rows.get_mut(index)
    }

    pub(super) fn position(&self, key: StoredObjectId) -> Option<usize> {
        self.rows.binary_search_by_key(&key, |object| object.id).ok()
    }

    pub fn rows(&self) -> &[StoredObject] {
        &self.rows
    }
}
