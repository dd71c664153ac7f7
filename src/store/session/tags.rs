//! The tags of holds, which go when the hold does.

use super::WriteTx;
use crate::books::change::Change;
use crate::error::Result;
use crate::models::{StoredObjectId, Tag, signed};
use crate::store::queries;
use crate::store::queries::tags::Tags;

impl WriteTx<'_> {
    /// Whether any hold of the space has a tag. O(1), without a statement: so a space that has none pays nothing.
    fn has_tags(&mut self) -> Result<bool> {
        let gathered = self.writer.gathered().map(|batch| batch.effects().space.tags);
        let written = signed(self.writer.known()?.memram.tags);
        Ok(written.saturating_add(gathered.iter().sum()) > 0 || self.gathers_tags())
    }

    fn gathers_tags(&self) -> bool {
        self.writer.gathered().iter().any(|batch| !batch.rows().tags.is_empty())
    }

    /// The tags of a hold of an object: of this name, or of the anonymous one. O(log n + tags).
    pub fn tags_of(&mut self, object: StoredObjectId, name: Option<&str>) -> Result<Tags> {
        if !self.has_tags()? {
            return Ok(Tags::new());
        }
        let name = name.unwrap_or_default();
        let mut tags = self.read_written(|tx| queries::tags::of_hold(tx, object, name))?;
        for batch in self.writer.gathered().into_iter().rev() {
            for (key, value) in batch.tags_of(object, name) {
                match value {
                    Some(value) => drop(tags.insert(key.to_owned(), value.to_owned())),
                    None => drop(tags.remove(key)),
                }
            }
        }
        Ok(tags)
    }

    /// Removes the tags of a hold that ends by a change.
    pub(super) fn untag_ended(&mut self, change: &Change<'_>) -> Result<()> {
        let (object, name) = match *change {
            Change::NameUnbound { object, name, .. } => (object, Some(name)),
            Change::Expired { object, name, .. } => (object, name),
            Change::Released { object, .. }
            | Change::ObjectRemoved { object, .. }
            | Change::ObjectVacated { object, .. } => (object, None),
            _ => return Ok(()),
        };
        for (key, value) in &self.tags_of(object, name)? {
            self.apply(Change::Untagged(Tag {
                object,
                name,
                key,
                value,
            }))?;
        }
        Ok(())
    }
}
