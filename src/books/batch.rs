//! What a unit of work has gathered and not yet written.

use std::collections::{BTreeMap, HashMap};

use super::effects::Effects;
use crate::models::{NewArena, NewBlock, NewEntry, NewPool, StoredObject, StoredObjectId};

/// Rows that come and go and the effects of the triggers, until they are written.
#[derive(Debug, Default)]
pub(crate) struct Unit {
    pub arenas: Vec<NewArena>,
    pub pools: Vec<NewPool>,
    pub blocks: Vec<NewBlock>,
    pub objects: NewObjects,
    pub entries: Vec<NewEntry<'static>>,
    /// Bytes of content in `entries`.
    pub bytes: usize,
    /// Objects that go, each with the number of its entries.
    pub removed: BTreeMap<StoredObjectId, i64>,
    pub effects: Effects,
    /// Rows were removed, so the highest key of their table must be kept.
    pub keep_numbers: bool,
}

impl Unit {
    /// So many bytes of small pieces are gathered at most.
    pub const MOST_BYTES: usize = 1 << 20;
    /// So many objects that go, or come, are gathered at most.
    pub const MOST_OBJECTS: usize = 4096;
    /// A piece of this size is worth a statement of its own rather than a copy. With 4 KiB a
    /// batch of pieces of that size took a tenth longer, and threads that share a commit
    /// needed savepoints.
    pub const LARGE: usize = 64 * 1024;

    /// Whether an object or any of its entries is gathered.
    pub fn holds(&self, object: StoredObjectId) -> bool {
        // An object is placed before the next one is stored.
        let entry = self
            .entries
            .binary_search_by_key(&object, |entry| entry.stored_object_id);
        entry.is_ok() || self.objects.position(object).is_some()
    }

    /// Nothing is gathered that would be written.
    pub fn is_empty(&self) -> bool {
        self.arenas.is_empty()
            && self.pools.is_empty()
            && self.blocks.is_empty()
            && self.objects.rows().is_empty()
            && self.entries.is_empty()
            && self.removed.is_empty()
            && self.effects.events.is_empty()
    }

    /// More is gathered than should be.
    pub fn is_full(&self) -> bool {
        self.bytes >= Self::MOST_BYTES
            || self.objects.rows.len() >= Self::MOST_OBJECTS
            || self.removed.len() >= Self::MOST_OBJECTS
    }

    /// Takes over what a later unit has gathered.
    pub fn absorb(&mut self, later: Self) {
        self.arenas.extend(later.arenas);
        self.pools.extend(later.pools);
        self.blocks.extend(later.blocks);
        for object in later.objects.rows {
            self.objects.push(object);
        }
        self.entries.extend(later.entries);
        self.bytes += later.bytes;
        self.removed.extend(later.removed);
        self.effects.absorb(later.effects);
        self.keep_numbers |= later.keep_numbers;
    }
}

/// New objects in the order of their keys, found by their ids too.
#[derive(Debug, Default)]
pub(crate) struct NewObjects {
    rows: Vec<StoredObject>,
    by_id: HashMap<String, usize>,
}

impl NewObjects {
    pub fn push(&mut self, object: StoredObject) {
        self.by_id.insert(object.object_id.clone(), self.rows.len());
        self.rows.push(object);
    }

    /// The object with these hexadecimal digits for an id.
    pub fn find(&self, object_id: &str) -> Option<&StoredObject> {
        self.rows.get(*self.by_id.get(object_id)?)
    }

    pub fn get_mut(&mut self, key: StoredObjectId) -> Option<&mut StoredObject> {
        let index = self.position(key)?;
        self.rows.get_mut(index)
    }

    fn position(&self, key: StoredObjectId) -> Option<usize> {
        self.rows.binary_search_by_key(&key, |object| object.id).ok()
    }

    pub fn rows(&self) -> &[StoredObject] {
        &self.rows
    }

    pub fn clear(&mut self) {
        self.rows.clear();
        self.by_id.clear();
    }
}
