//! Lookups of gathered rows before they are written.

use super::Batch;
use crate::books::effects::BlockAfter;
use crate::books::rows::{NameChange, SpaceChange};
use crate::models::{BlockId, Lifetime, Rank, StoredObject, StoredObjectId, Tag, TagKey};
use crate::value::ObjectId;

impl Batch<'_> {
    /// A new object, by its id.
    pub fn object(&self, object_id: &ObjectId) -> Option<&StoredObject> {
        self.rows.objects.find(object_id)
    }

    /// Whether an object or any of its entries is new, or an entry moves.
    pub fn brings(&self, object: StoredObjectId) -> bool {
        // An object is placed before the next one is stored, so its entries are the last ones.
        let entries = &self.rows.entries;
        let entry = entries.binary_search_by_key(&object, |entry| entry.stored_object_id);
        entry.is_ok() || self.rows.objects.position(object).is_some() || self.rows.moves(object)
    }

    /// A new object, by its key.
    pub fn new_object(&self, object: StoredObjectId) -> Option<&StoredObject> {
        self.rows.objects.rows().get(self.rows.objects.position(object)?)
    }

    /// Whether an object is removed.
    pub fn removes(&self, object: StoredObjectId) -> bool {
        self.rows.objects_gone.contains_key(&object)
    }

    /// What holds an object from now on, if that changes.
    pub fn hold(&self, object: StoredObjectId) -> Option<Lifetime> {
        self.rows.holds.get(&object).copied()
    }

    /// The change of a name, if there is one.
    pub fn name(&self, name: &str) -> Option<&NameChange> {
        self.rows.names.get(name)
    }

    /// Whether what the space evicts changes.
    pub fn changes_eviction(&self) -> bool {
        matches!(self.rows.space_change, Some(SpaceChange::Evicts(_)))
    }

    /// The changed place of an object in the order of eviction; the place is `None` if the object leaves the order.
    pub fn rank(&self, object: StoredObjectId) -> Option<Option<Rank>> {
        self.rows.ranks.get(&object).copied()
    }

    /// The object with this id that the order remembers from now on, unless [`Self::rank`] says otherwise.
    pub fn remembered(&self, id: &ObjectId) -> Option<StoredObjectId> {
        self.rows.remembered(id)
    }

    /// The changed tags of a hold, each with its value, or none if it is removed.
    pub fn tags_of(&self, object: StoredObjectId, name: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
        let first = Tag {
            object,
            name: Some(name),
            key: "",
            value: "",
        };
        let tags = self.rows.tags.range(TagKey::from(first)..);
        let tags = tags.take_while(move |(tag, _)| tag.object == object && tag.name == name);
        tags.map(|(tag, value)| (tag.key.as_str(), value.as_deref()))
    }

    /// The changed tags of all holds of an object, each with its value, or none if it is removed.
    pub fn tags_of_object(&self, object: StoredObjectId) -> impl Iterator<Item = (&TagKey, Option<&String>)> {
        let first = Tag {
            object,
            name: None,
            key: "",
            value: "",
        };
        let tags = self.rows.tags.range(TagKey::from(first)..);
        let tags = tags.take_while(move |(tag, _)| tag.object == object);
        tags.map(|(tag, value)| (tag, value.as_ref()))
    }

    /// Whether an object gains or loses a name.
    pub fn renames(&self, object: StoredObjectId) -> bool {
        self.rows.renamed.contains(&object)
    }

    /// The new state of a block, if it changes.
    pub fn block(&self, block: BlockId) -> Option<&BlockAfter> {
        self.effects.blocks.get(&block)
    }
}
